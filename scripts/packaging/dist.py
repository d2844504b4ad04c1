#!/usr/bin/env python3
"""Packs what stage.py put together into a tarball: the same bytes each time it is made from the same commit.

    dist.py STAGE FOLDER
"""

import gzip
import hashlib
import pathlib
import platform
import subprocess
import sys
import tarfile

from stage import ROOT, epoch, version


def pack(stage, archive, top):
    """Names sorted, owners and times fixed."""
    with archive.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in [stage, *sorted(stage.rglob("*"))]:
            entry = tar.gettarinfo(path, str(pathlib.PurePosixPath(top, path.relative_to(stage).as_posix())))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = epoch()
            entry.mode = 0o755 if path.is_dir() or path.parent.name == "bin" else 0o644
            if entry.isdir():
                tar.addfile(entry)
            else:
                with path.open("rb") as content:
                    tar.addfile(entry, content)


def note(number):
    """A tarball is a release only if it is made from the version's tag, with nothing changed."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.split("\n")
    if number not in git("tag", "--points-at", "HEAD") or git("status", "--porcelain")[0]:
        return f"note: this is not the tag {number} as it was committed; name it a release only from there"
    return ""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    stage, folder = map(pathlib.Path, sys.argv[1:])
    number = version(stage / "bin/quipu")
    top = f"quipu-{number}-{platform.system().lower()}-{platform.machine()}"
    archive = folder / f"{top}.tar.gz"
    pack(stage, archive, top)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}")
    if note(number):
        print(note(number), file=sys.stderr)


if __name__ == "__main__":
    main()
