#!/usr/bin/env python3
"""Peak memory and time of every command that reads a long trace, and of the trace itself. Linux and macOS.

    scripts/memory_table.py --model SmolLM2-135M-Instruct.Q4_1.gguf
    scripts/memory_table.py --model … --quipu old/quipu --save before.json
    scripts/memory_table.py --model … --against before.json       # before and after, as the table in docs/speed.md
    scripts/memory_table.py --model … --text FILE                 # its beginning as prompt: 0.1.0 takes no ids

Each trace is of a prompt of random tokens, or of a text's first tokens, `--capture stats`. Memory is the most that the
kernel counted as resident for the process (`ru_maxrss`), less the bytes of the model's file: Quipu maps the file, and
what it reads of it counts as resident though the system may drop it at any time. Time is from start to end. A command
that needs more than `--limit` of address space, or fails in another way, has no numbers.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "report": ["report", "{trace}", "--output", "{folder}/report.html", "--force"],
    "lens": ["lens", "{trace}"],
    "explain logit": ["explain", "logit", "{trace}"],
    "attention": ["attention", "{trace}"],
    "attention 0.3": ["attention", "{trace}", "0.3"],
    "verify": ["verify", "{trace}"],
    "diff": ["diff", "{trace}", "{trace}"],
    "ops": ["ops", "{trace}"],
    "propagate": ["propagate", "{model}", "{option}", "{prompt}", "--no-shares"],
}
# Ids that every vocabulary of a real model has, without its special tokens at either end.
IDS = range(1000, 20_000)
# The system counts in kilobytes, but for macOS.
UNIT = 1 if sys.platform == "darwin" else 1024
SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """`12G` in bytes."""
    unit = SIZES.get(text[-1:].upper())
    return int(float(text[:-1] if unit else text) * (unit or 1))


def prompt(tokens: int, options) -> tuple[str, str]:
    """An option and its value."""
    if options.text:
        return "--prompt", beginning(pathlib.Path(options.text).read_text(), tokens, options)
    return "--ids", random_ids(tokens)


def random_ids(tokens: int) -> str:
    generator = random.Random(tokens)
    return ",".join(str(generator.choice(IDS)) for _ in range(tokens))


def beginning(text: str, tokens: int, options) -> str:
    """The shortest beginning of a text that has so many tokens."""

    def count(length: int) -> int:
        command = [options.quipu, "tokenize", options.model, text[:length], "--json"]
        return len(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["ids"])

    low, high = 1, len(text)
    if count(high) < tokens:
        sys.exit(f"{options.text}: found a text of {count(high)} tokens, expected {tokens}")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(middle) >= tokens else (middle + 1, high)
    return text[:low]


def measure(command: list[str], limit: int) -> dict:
    """Seconds, the most bytes resident, and why it failed if it did."""
    # The shell takes the limit on itself and then becomes the command: no code runs between fork and exec.
    bounded = ["sh", "-c", f'ulimit -v {limit >> 10} && exec "$@"', "sh", *command]
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        running = subprocess.Popen(bounded, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    result = {"seconds": time.monotonic() - began, "resident": usage.ru_maxrss * UNIT}
    if running.returncode:
        last = said[-1] if said else ""
        result["failure"] = f"status {running.returncode}: {last}"
    return result


def run(options, folder: str) -> dict:
    rows = {}
    for tokens in options.tokens:
        trace, (option, text) = f"{folder}/{tokens}.db", prompt(tokens, options)
        begin = [options.quipu, "trace", options.model, option, text, "--capture", "stats", "--output", trace]
        values = {"trace": trace, "folder": folder, "model": options.model, "option": option, "prompt": text}
        all_commands = {"trace": begin} | {
            name: [options.quipu] + [part.format(**values) for part in command] for name, command in COMMANDS.items()
        }
        for name, command in all_commands.items():
            if options.only and name not in ("trace", *options.only):
                continue
            result = measure(command, options.limit)
            rows[f"{name} {tokens}"] = {"command": name, "tokens": tokens} | result
            print(f"{name}, {tokens} tokens: {cell(rows[f'{name} {tokens}'], options.model_bytes)}", file=sys.stderr)
            if name == "report" and "failure" not in result:
                rows[f"{name} {tokens}"]["page"] = os.path.getsize(f"{folder}/report.html")
    return {"model_bytes": options.model_bytes, "limit": options.limit, "rows": rows}


def beside(row: dict, model_bytes: int) -> float:
    """Megabytes beside the model."""
    return max(0, row["resident"] - model_bytes) / 1e6


def cell(row: dict | None, model_bytes: int) -> str:
    if not row:
        return "–"
    if "failure" in row:
        return f"none ({row['failure']})"
    return f"{beside(row, model_bytes):,.0f} MB, {row['seconds']:.1f} s"


def table(result: dict, before: dict | None) -> str:
    """Markdown: a row a command, a column a length, or two with `before`."""
    lengths = sorted({row["tokens"] for row in result["rows"].values()})
    commands = list(dict.fromkeys(row["command"] for row in result["rows"].values()))
    heads, rows = [], []
    for length in lengths:
        heads += [f"{length:,} tokens, before", "after"] if before else [f"{length:,} tokens"]
    for command in commands:
        cells = []
        for length in lengths:
            key = f"{command} {length}"
            if before:
                cells.append(short(before["rows"].get(key), before))
            cells.append(short(result["rows"].get(key), result))
        rows.append([f"`{command}`", *cells])
    lines = [["", *heads], ["---"] * (len(heads) + 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short(row: dict | None, result: dict) -> str:
    if row and "failure" in row:
        return f"not in {result['limit'] / (1 << 30):.0f} GiB" if is_memory(row) else "failed"
    return cell(row, result["model_bytes"])


def is_memory(row: dict) -> bool:
    """Whether it ended for want of memory: killed by a signal, or by the program's own refusal."""
    return row["failure"].startswith("status -") or "memory" in row["failure"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a .gguf file that takes so many tokens")
    parser.add_argument("--quipu", default=".build/release/quipu", help="the program to measure")
    parser.add_argument("--tokens", default="128,1923,4000", help="lengths of prompts, separated by commas")
    parser.add_argument("--text", help="a text whose beginning is the prompt (default: random tokens)")
    parser.add_argument("--only", action="append", default=[], choices=COMMANDS, help="this command; repeatable")
    parser.add_argument("--limit", type=size, default=size("12G"), help="address space of each process (12G)")
    parser.add_argument("--save", metavar="JSON", help="write what was measured")
    parser.add_argument("--against", metavar="JSON", help="show what --save wrote beside it")
    parser.add_argument("--show", metavar="JSON", help="measure nothing: show what --save wrote")
    options = parser.parse_args()
    before = json.loads(pathlib.Path(options.against).read_text()) if options.against else None
    if options.show:
        return print(table(json.loads(pathlib.Path(options.show).read_text()), before))
    if not options.model:
        parser.error("--model is needed to measure")
    options.tokens = [int(number) for number in options.tokens.split(",")]
    options.model_bytes = os.path.getsize(options.model)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options, folder)
    if options.save:
        pathlib.Path(options.save).write_text(json.dumps(result, indent=1) + "\n")
    print(table(result, before))


if __name__ == "__main__":
    main()
