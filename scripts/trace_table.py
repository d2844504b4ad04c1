#!/usr/bin/env python3
"""What `quipu trace` says a trace will take, and what it takes: bytes of the file, memory and time. Linux and macOS.

    scripts/trace_table.py --model model.gguf --tokens 8000 --capture stats
    scripts/trace_table.py --model model.gguf --tokens 512,2000 --capture last --capture "all --only l_out*"

A row for each length and each `--capture`, which may be followed by other options of `quipu trace`. Memory and time are
measured as by memory_table.py.
"""

import argparse
import json
import os
import subprocess
import tempfile

import memory_table


def row(options: argparse.Namespace, tokens: int, capture: str, folder: str) -> str:
    trace = f"{folder}/trace.db"
    command = [options.quipu, "trace", options.model, "--ids", memory_table.random_ids(tokens), "--capture"]
    command += [*capture.split(), "--max-size", "100G"]
    estimate = json.loads(
        subprocess.run([*command, "--estimate", "--json"], check=True, capture_output=True, text=True).stdout
    )
    result = memory_table.measure([*command, "--output", trace, "--force"], options.limit)
    said = estimate["size_bytes"]
    if "failure" in result:
        return f"| {tokens:,} | `{capture}` | {said / 1e6:,.1f} MB | {result['failure']} | | | |"
    size = os.path.getsize(trace)
    memory = memory_table.beside(result, options.model_bytes)
    return (
        f"| {tokens:,} | `{capture}` | {said / 1e6:,.1f} MB | {size / 1e6:,.1f} MB | {100 * (said / size - 1):+.1f} % "
        f"| {memory:,.0f} MB | {result['seconds']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a .gguf file that takes so many tokens")
    parser.add_argument("--quipu", default=".build/release/quipu", help="the program to measure")
    parser.add_argument("--tokens", default="8000", help="lengths of prompts, separated by commas")
    parser.add_argument("--capture", action="append", help="and other options; repeatable (stats)")
    parser.add_argument("--limit", type=memory_table.size, default=memory_table.size("16G"))
    options = parser.parse_args()
    options.model_bytes = os.path.getsize(options.model)
    print("| tokens | `--capture` | estimated | file | off by | memory | seconds |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for tokens in options.tokens.split(","):
            for capture in options.capture or ["stats"]:
                print(row(options, int(tokens), capture, folder), flush=True)


if __name__ == "__main__":
    main()
