"""The licences of what is linked into the program, with their texts, as one page."""

import pathlib

LICENCES = pathlib.Path(__file__).parent / "licences"

# What, under which licence, where its text lies: in the folder of checkouts, of the toolchain, or here.
PARTS = [
    ("Swift's standard library, Foundation, Dispatch", "Apache-2.0 WITH Swift-exception", "toolchain"),
    ("ICU, in Foundation", "Unicode-3.0", "icu.txt"),
    ("OpenSSL's libcrypto", "Apache-2.0", "The text is that of Swift's licence above, without the exception."),
    ("SQLite", "public domain", "The authors disclaim copyright: https://www.sqlite.org/copyright.html"),
    ("GCC's libstdc++ and libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1",
     "The exception lets programs that are linked with them be passed on under any terms: "
     "https://www.gnu.org/licenses/gcc-exception-3.1.html"),
    ("GRDB.swift", "MIT", "GRDB.swift/LICENSE"),
    ("swift-argument-parser", "Apache-2.0 WITH Swift-exception", "swift-argument-parser/LICENSE.txt"),
    ("swift-numerics", "Apache-2.0 WITH Swift-exception", "swift-numerics/LICENSE.txt"),
    ("swift-mustache", "Apache-2.0", "swift-mustache/LICENSE.txt"),
    ("Yams", "MIT", "Yams/LICENSE"),
    ("LibYAML, in Yams", "MIT", "libyaml.txt"),
    ("Rainbow", "MIT", "Rainbow/LICENSE"),
]


def page(checkouts, toolchain):
    """The page; `checkouts` holds the packages, `toolchain` is the folder of Swift's `bin` and `share`."""
    missing = {path.name for path in checkouts.iterdir()} - {path.split("/")[0] for _, _, path in PARTS}
    if missing:
        raise SystemExit(f"notices.py: no licence is named for {', '.join(sorted(missing))}: add it to PARTS")
    lines = ["The program quipu is under the MIT licence (LICENSE). Linked into it are:", ""]
    lines += [f"- {name}: {licence}" for name, licence, _ in PARTS]
    for name, licence, path in PARTS:
        lines += ["", "=" * 80, f"{name} ({licence})", "", text(path, checkouts, toolchain)]
    return "\n".join(lines) + "\n"


def text(path, checkouts, toolchain):
    if path == "toolchain":
        return (toolchain / "share/swift/LICENSE.txt").read_text().strip()
    for folder in (checkouts, LICENCES):
        if (folder / path).is_file():
            return (folder / path).read_text().strip()
    if "/LICENSE" in path:
        raise SystemExit(f"notices.py: {checkouts / path}: found no such file, expected a licence")
    return path
