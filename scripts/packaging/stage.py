#!/usr/bin/env python3
"""Puts together what is installed: bin/quipu and share/, as under a prefix.

    stage.py BUILD OUT        # BUILD is .build/release; OUT is made anew
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import man_pages
import notices
import program

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMPLETIONS = {
    "bash": "bash-completion/completions/quipu",
    "zsh": "zsh/site-functions/_quipu",
    "fish": "fish/vendor_completions.d/quipu.fish",
}
# A target's resources, what of them is taken, and where it goes.
RESOURCES = [
    ("quipu_EmbeddedModel", "", "quipu/models"),
    ("quipu_Lessons", "lessons", "quipu/lessons"),
    ("quipu_ReportPage", "Page", "quipu/page"),
]


def epoch():
    """The time that files are given: SOURCE_DATE_EPOCH, or that of the last commit."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    done = subprocess.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("there is no commit to take a time from; set SOURCE_DATE_EPOCH")
    return int(done.stdout)


def version(binary):
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def resources(build, share):
    """What SwiftPM puts into folders beside the program."""
    for name, inner, folder in RESOURCES:
        found = [path for path in (build / f"{name}.resources", build / f"{name}.bundle") if path.is_dir()]
        if not found:
            sys.exit(f"{build / name}.resources: found no such folder; build first")
        shutil.copytree(found[0] / inner, share / folder)


def stage(build, out):
    shutil.rmtree(out, ignore_errors=True)
    binary, share = out / "bin/quipu", out / "share"
    program.link(build, binary)
    resources(build, share)
    for shell, path in COMPLETIONS.items():
        script = subprocess.run(
            [binary, "--generate-completion-script", shell], capture_output=True, text=True, check=True).stdout
        (share / path).parent.mkdir(parents=True)
        (share / path).write_text(script)
    man_pages.write(str(binary), share / "man/man1", time.strftime("%Y-%m-%d", time.gmtime(epoch())))
    documents = share / "doc/quipu"
    documents.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", documents)
    licences = notices.page(build.resolve().parents[1] / "checkouts", program.toolchain())
    (documents / "THIRD-PARTY.txt").write_text(licences)
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path == binary else 0o644)
        os.utime(path, (epoch(), epoch()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    stage(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    binary = pathlib.Path(sys.argv[2]) / "bin/quipu"
    libraries, glibc = program.needs(binary)
    print(f"{sys.argv[2]}: quipu {version(binary)}, {binary.stat().st_size / 1e6:.1f} MB, "
          f"needs glibc {'.'.join(map(str, glibc))} ({', '.join(sorted(libraries))})")
