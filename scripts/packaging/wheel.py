#!/usr/bin/env python3
"""Packs what stage.py put together, and the Python package, into a wheel.

    wheel.py STAGE FOLDER

Needs `deflate` from PyPI, which `make wheel` installs in .venv/. In the wheel the program lies in the package,
`quipu/bin/quipu` with `quipu/share/quipu`; manual pages and completions go where the environment has them.
"""

import base64
import hashlib
import pathlib
import platform
import sys
import time
import zipfile

import deflate

import program
from stage import ROOT, epoch, version

# The host of packages takes 100 MB; ours should not take a minute to fetch.
LIMIT = 40_000_000
METADATA = """\
Metadata-Version: 2.1
Name: quipu
Version: {version}
Summary: Step through a llama-family GGUF model: every operation, weight and bit, recorded and explained.
License: MIT
Classifier: License :: OSI Approved :: MIT License
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Scientific/Engineering :: Artificial Intelligence
Requires-Python: >=3.9
Provides-Extra: arrays
Requires-Dist: numpy>=1.24; extra == "arrays"
Description-Content-Type: text/markdown

{readme}"""
WHEEL = """\
Wheel-Version: 1.0
Generator: quipu
Root-Is-Purelib: false
Tag: {tag}
"""
ENTRY_POINTS = """\
[console_scripts]
quipu = quipu.__main__:main
"""


def tag(binary):
    """Python 3, any ABI, and the platform: the glibc that the program's symbols ask for."""
    if platform.system() != "Linux":
        sys.exit("wheels are made on Linux; elsewhere use `make install`")
    major, minor = program.needs(binary)[1]
    return f"py3-none-manylinux_{major}_{minor}_{platform.machine()}"


def members(stage, number, platform_tag):
    """Name in the wheel, and content, of every file."""
    information, data = f"quipu-{number}.dist-info", f"quipu-{number}.data/data"
    for path in sorted((ROOT / "python/quipu").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(ROOT / "python")), path.read_bytes()
    for path in sorted(path for path in stage.rglob("*") if path.is_file()):
        name = path.relative_to(stage).as_posix()
        if name.startswith("share/doc/"):
            yield f"{information}/licenses/{path.name}", path.read_bytes()
        elif name.startswith(("bin/", "share/quipu/")):
            yield f"quipu/{name}", path.read_bytes()
        else:
            yield f"{data}/{name}", path.read_bytes()
    readme = (ROOT / "README.md").read_text()
    yield f"{information}/METADATA", METADATA.format(version=number, readme=readme).encode()
    yield f"{information}/WHEEL", WHEEL.format(tag=platform_tag).encode()
    yield f"{information}/entry_points.txt", ENTRY_POINTS.encode()


class Compressor:
    """As zlib's, for a whole file at once. libdeflate searches longer: the program takes 5 % less."""

    def __init__(self):
        self.content = b""

    def compress(self, content):
        self.content += content
        return b""

    def flush(self):
        return deflate.deflate_compress(self.content, 12)


def pack(stage, wheel, number, platform_tag):
    date = time.gmtime(epoch())[:6]
    record = f"quipu-{number}.dist-info/RECORD"
    rows = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, content):
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (0o100755 if name == "quipu/bin/quipu" else 0o100644) << 16
            with archive.open(entry, "w") as member:
                member._compressor = Compressor()
                member.write(content)

        for name, content in members(stage, number, platform_tag):
            add(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(content)}")
        add(record, ("\n".join([*rows, f"{record},,"]) + "\n").encode())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    stage, folder = map(pathlib.Path, sys.argv[1:])
    number, platform_tag = version(stage / "bin/quipu"), tag(stage / "bin/quipu")
    for earlier in folder.glob("quipu-*.whl"):
        earlier.unlink()
    wheel = folder / f"quipu-{number}-{platform_tag}.whl"
    pack(stage, wheel, number, platform_tag)
    size = wheel.stat().st_size
    print(f"{wheel}: {size / 1e6:.1f} MB")
    if size > LIMIT:
        sys.exit(f"{wheel}: {size / 1e6:.1f} MB, expected at most {LIMIT / 1e6:.0f}")


if __name__ == "__main__":
    main()
