#!/usr/bin/env python3
"""Installs what stage.py put together, and removes it again.

    install.py install STAGE PREFIX [DESTDIR]
    install.py uninstall PREFIX [DESTDIR]

PREFIX/share/quipu/installed.txt lists what was written: files, and with a slash at the end the folders that were made.
Only what it lists is ever replaced or removed.
"""

import contextlib
import os
import pathlib
import shutil
import sys

LIST = "share/quipu/installed.txt"


def target(prefix, destdir):
    prefix = pathlib.Path(prefix).expanduser().absolute()
    return pathlib.Path(destdir).expanduser().absolute() / prefix.relative_to("/") if destdir else prefix


def listed(root):
    try:
        return (root / LIST).read_text().splitlines()
    except FileNotFoundError:
        return []


def make_folders(root, folder, made):
    """Makes a folder below `root`, or `root` itself, and notes which ones were not there."""
    for path in [*reversed([above for above in folder.parents if above == root or root in above.parents]), folder]:
        if not path.is_dir():
            path.mkdir(parents=path == root)
            path.chmod(0o755)
            made.append(f"{path.relative_to(root)}/")


def put(source, target):
    """Replaces the file in one step: a program that runs goes on with the old one."""
    new = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(source, new)
        new.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        os.utime(new, (source.stat().st_atime, source.stat().st_mtime))
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def remove(root, entries):
    """Removes files and then, where nothing else is in them, folders."""
    for entry in entries:
        if not entry.endswith("/"):
            (root / entry).unlink(missing_ok=True)
    for entry in sorted((entry for entry in entries if entry.endswith("/")), key=len, reverse=True):
        with contextlib.suppress(OSError):
            (root / entry).rmdir()


def install(stage, root):
    stage = pathlib.Path(stage)
    files = sorted(str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file())
    if "bin/quipu" not in files:
        sys.exit(f"{stage}: found no program there; run `make stage` first")
    earlier = listed(root)
    foreign = [str(root / name) for name in files if name not in earlier and os.path.lexists(root / name)]
    if foreign:
        sys.exit(f"{foreign[0]}: found a file that `make install` did not write. Nothing was installed. "
                 "Move it away, or choose another PREFIX.")
    made = [entry for entry in earlier if entry.endswith("/")]
    for name in [LIST, *files]:
        make_folders(root, (root / name).parent, made)
    # First the list: whatever happens, `make uninstall` knows all that may be there.
    (root / LIST).write_text("\n".join([*files, LIST, *made]) + "\n")
    for name in files:
        put(stage / name, root / name)
    remove(root, [entry for entry in earlier if entry not in files and entry != LIST and not entry.endswith("/")])
    print(f"Installed {len(files)} files under {root}: {root / 'bin/quipu'}")
    if str(root / "bin") not in os.environ.get("PATH", "").split(os.pathsep):
        print(f"{root / 'bin'} is not on your PATH.")


def uninstall(root):
    entries = listed(root)
    if not entries:
        sys.exit(f"{root / LIST}: found no such file; `make install` installed nothing under {root}")
    remove(root, entries)
    print(f"Removed {sum(not entry.endswith('/') for entry in entries)} files under {root}")


def main(arguments):
    if arguments[:1] == ["install"] and len(arguments) in (3, 4):
        root, run = target(*[*arguments[2:], ""][:2]), lambda: install(arguments[1], root)
    elif arguments[:1] == ["uninstall"] and len(arguments) in (2, 3):
        root, run = target(*[*arguments[1:], ""][:2]), lambda: uninstall(root)
    else:
        sys.exit(__doc__)
    try:
        run()
    except OSError as error:
        sys.exit(f"{error.filename or root}: cannot be written: {(error.strerror or str(error)).lower()}. "
                 "Use sudo, or a PREFIX of your own: make install PREFIX=~/.local")


if __name__ == "__main__":
    main(sys.argv[1:])
