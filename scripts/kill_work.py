#!/usr/bin/env python3
"""Kills long work at random times, goes on with it, and compares it with work that nobody killed.

    scripts/kill_work.py QUIPU MODEL [--text FILE] [--kills 5] [--seed 1] [--only COMMAND] [--sensitivity OPTIONS]

Each command that keeps rows in turn. A run is killed with SIGKILL at a time drawn from the length of an undisturbed
one, and begun again with --resume, as often as asked; then it may finish. Rows and result must be those of the
undisturbed run, byte for byte, but for the speed that `quant table` measures.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

# What each run of a command is told; {other} is a second version of the model, {trace} one of it.
COMMANDS = {
    "perplexity": ["perplexity", "{model}", "{text}"],
    "compare": ["compare", "{model}", "{other}", "{text}"],
    "quant sensitivity": ["quant", "sensitivity", "{model}", "{text}", "{sensitivity}"],
    "quant table": ["quant", "table", "{model}", "{text}", "--types", "Q8_0,Q6_K,Q4_K_M,Q4_0,Q3_K_M,Q2_K"],
    "quant errors": ["quant", "errors", "{model}", "--as", "Q8_0,Q4_0,Q4_K,Q2_K"],
    "propagate": ["propagate", "{model}", "--as", "Q4_0", "--prompt", "Mia has the red ball. Tom is at the lake."],
    "ablate sweep": ["ablate", "sweep", "{trace}"],
}


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: list[str]) -> str:
    process = start(command)
    output, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nends with {process.returncode}: {errors.strip()[-500:]}")
    return output


def plain(text: str) -> str:
    """Without speeds, which no two runs share."""
    return re.sub(r'"tokens_per_second" ?: ?[0-9.e+-]+', "", text)


def rows(path: pathlib.Path) -> list[str]:
    return sorted(plain(line) for line in path.read_text().splitlines())


def check(command: list[str], folder: pathlib.Path, kills: int, chance: random.Random) -> str:
    whole, cut = folder / "whole.jsonl", folder / "cut.jsonl"
    whole.unlink(missing_ok=True)
    cut.unlink(missing_ok=True)
    began = time.monotonic()
    expected = finish([*command, "--json", "--output", str(whole)])
    seconds = time.monotonic() - began
    kept, killed = [], 0
    for _ in range(kills):
        process = start([*command, "--json", "--output", str(cut), "--resume"])
        time.sleep(chance.uniform(0, seconds * 0.6))
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        lines = cut.read_bytes().count(b"\n") if cut.exists() else 0
        kept.append(max(0, lines - 1))
    if kept != sorted(kept):
        sys.exit(f"rows were lost: {kept}")
    found = finish([*command, "--json", "--output", str(cut), "--resume"])
    again = finish([*command, "--json", "--output", str(cut), "--resume"])
    if rows(cut) != rows(whole):
        sys.exit("the rows differ")
    if plain(found) != plain(expected) or again != found:
        sys.exit("the results differ")
    json.loads(found)
    return f"{len(rows(whole)) - 1} rows in {seconds:.1f} s; killed {killed} times, with {kept} rows kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quipu")
    parser.add_argument("model")
    parser.add_argument("--text", help="a text to score; without one, the model's own")
    parser.add_argument("--chunks", default="4", help="chunks of the text (4)")
    parser.add_argument("--sensitivity", default="--by tensor", help="more options for quant sensitivity")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=COMMANDS, help="this command; repeatable")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    text = (["--file", options.text] if options.text else []) + ["--chunks", options.chunks]
    several = {"{text}": text, "{sensitivity}": options.sensitivity.split()}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        other = folder / "other.gguf"
        if not options.only or "compare" in options.only:
            finish([options.quipu, "quantize", options.model, str(other), "Q4_0", "--allow-requantize"])
        trace = folder / "trace.db"
        ids = ",".join(str(300 + number % 90) for number in range(200))
        finish([options.quipu, "trace", options.model, "--ids", ids, "--capture", "stats", "--output", str(trace)])
        names = {"{model}": [options.model], "{other}": [str(other)], "{trace}": [str(trace)]} | several
        for command in options.only or COMMANDS:
            parts = [word for part in COMMANDS[command] for word in names.get(part, [part])]
            print(f"{command}: {check([options.quipu, *parts], folder, options.kills, chance)}", flush=True)


if __name__ == "__main__":
    main()
