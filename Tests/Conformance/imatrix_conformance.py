#!/usr/bin/env python3
"""`quipu imatrix` against the real llama-imatrix: the same file, byte for byte.

llama-imatrix takes a chunk at a time (-b and -ub as long as a chunk) and does without flash attention, as Quipu does:
then activations and the order of sums are the same, and so are all bits. With llama-imatrix's own defaults (four chunks
in a batch, flash attention) the values differ in rounding; --defaults says by how much.

    imatrix_conformance.py --quipu .build/release/quipu --llama-imatrix PATH MODEL… [--chunk 64]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np

TEXT = os.path.join(os.path.dirname(__file__), "../../models/micro-world-held-out.txt")


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")


def theirs(arguments, model, folder, chunk, chunks, output, exact=True):
    command = [arguments.llama_imatrix, "-m", model, "-f", "text.txt", "-c", str(chunk), "--chunks", str(chunks)]
    command += ["-b", str(chunk), "-ub", str(chunk), "-fa", "off", "--no-repack"] if exact else []
    run(command + ["--no-ppl", "-o", output], folder)


def largest_difference(one, other):
    """The largest difference of a mean, as a share of the mean of its tensor."""
    readers = [{t.name: t.data.astype(np.float64) for t in gguf.GGUFReader(path).tensors} for path in (one, other)]
    if readers[0].keys() != readers[1].keys():
        return float("inf")
    worst = 0.0
    for name in readers[0]:
        if name.endswith(".in_sum2"):
            a, b = (r[name] / np.maximum(r[name.replace("in_sum2", "counts")], 1) for r in readers)
            worst = max(worst, float(np.abs(a - b).max() / b.mean()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quipu", default=".build/release/quipu")
    parser.add_argument("--llama-imatrix", required=True)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=4)
    parser.add_argument("--defaults", action="store_true", help="also compare with llama-imatrix's own defaults")
    parser.add_argument("--golden", metavar="FOLDER", help="write llama-imatrix's files there and compare nothing")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    arguments.quipu, arguments.llama_imatrix = map(os.path.abspath, (arguments.quipu, arguments.llama_imatrix))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(arguments.text, os.path.join(folder, "text.txt"))
        for model in map(os.path.abspath, arguments.models):
            name = os.path.basename(model)
            paths = [os.path.join(folder, f"{who}.gguf") for who in ("ours", "theirs")]
            theirs(arguments, model, folder, arguments.chunk, arguments.chunks, paths[1])
            if arguments.golden:
                shutil.copy(paths[1], os.path.join(arguments.golden, f"imatrix-{name}"))
                continue
            command = [arguments.quipu, "imatrix", model, "--file", "text.txt", "--chunk", str(arguments.chunk)]
            command += ["--chunks", str(arguments.chunks), "-o", paths[0], "--force", "--json"]
            run(command, folder)
            same = pathlib.Path(paths[0]).read_bytes() == pathlib.Path(paths[1]).read_bytes()
            words = "the same bytes" if same else f"differs, by up to {largest_difference(*paths):.2e} of a mean"
            if arguments.defaults:
                theirs(arguments, model, folder, arguments.chunk, arguments.chunks, paths[1], exact=False)
                words += f"; from the defaults by up to {largest_difference(*paths):.2e} of a mean"
            failed += not same
            print(f"{name}: {words}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
