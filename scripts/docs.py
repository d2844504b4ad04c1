#!/usr/bin/env python3
"""Writes the libraries' interface as web pages, with DocC of the Swift toolchain: no package depends on it.

    scripts/docs.py .build/release/Modules .build/docs     # what `swift build` made of the libraries, and where to

Fails where a public name has no description, and at every warning of DocC: links that lead nowhere, parameters that are
described in part. The landing page and the order of things are in docs/Quipu.docc.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ["Tensors", "GGUF", "Quantization"]
# A block's fields are in the picture of its layout, which its type's text has.
LAYOUT = re.compile(r"Block[A-Z]+\d+(_\w+)?")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    modules, output = map(Path, sys.argv[1:])
    target = json.loads(run("swift", "-print-target-info"))["target"]["triple"]
    with tempfile.TemporaryDirectory() as graphs:
        for module in MODULES:
            run(
                "swift", "symbolgraph-extract", "-module-name", module, "-target", target, "-I", modules,
                "-I", ROOT / "Sources/SIMDKernels/include", "-minimum-access-level", "public",
                "-skip-synthesized-members", "-output-dir", graphs,
            )
        if missing := [line for module in MODULES for line in undescribed(Path(graphs) / f"{module}.symbols.json")]:
            sys.exit("Public names without a description:\n" + "\n".join(missing))
        shutil.rmtree(output, ignore_errors=True)
        run(
            docc(), "convert", ROOT / "docs/Quipu.docc", "--additional-symbol-graph-dir", graphs,
            "--fallback-display-name", "Quipu", "--fallback-bundle-identifier", "quipu", "--warnings-as-errors",
            "--transform-for-static-hosting", "--output-path", output,
        )
    pages = len(list((output / "data").rglob("*.json")))
    print(f"{pages} pages in {output}. To read them: python3 -m http.server -d {output}")
    print("and then http://localhost:8000/documentation/quipu")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def docc() -> str:
    """Beside the compiler; on Apple's systems where Xcode keeps it."""
    if beside := shutil.which("docc", path=str(Path(shutil.which("swift") or "").resolve().parent)):
        return beside
    return shutil.which("docc") or run("xcrun", "--find", "docc").strip()


def undescribed(graph: Path) -> list[str]:
    """Public names without a text of their own. Cases of enumerations are named for what they are."""
    found = []
    for symbol in json.loads(graph.read_text("utf-8"))["symbols"]:
        path, kind = symbol["pathComponents"], symbol["kind"]["identifier"]
        is_field = len(path) == 2 and LAYOUT.fullmatch(path[0])
        if "docComment" in symbol or is_field or kind == "swift.enum.case" or path[-1] == "init()":
            continue
        location = symbol["location"]
        file = location["uri"].removeprefix(f"file://{ROOT}/")
        found.append(f"{file}:{location['position']['line'] + 1}: {'.'.join(path)}")
    return found


if __name__ == "__main__":
    main()
