#!/usr/bin/env python3
"""Where a build's processor seconds go: per module, from when to when, and how long the machine was idle. Linux only.

    scripts/build_times.py                                    # a clean release build of quipu in .build-times
    scripts/build_times.py --save after.json --against before.json
    scripts/build_times.py -- make demo                       # any command, as it is

Processor seconds of a process are those read from /proc just before it ended; what lived shorter than one sample is the
row `(short-lived)`, so the rows add up to what the kernel counted for the whole command. A row spans from the start of
the first process of a module to the end of the last one.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")
SCRATCH = ".build-times"
DEFAULT_COMMAND = ["swift", "build", "-c", "release", "--product", "quipu", "--scratch-path", SCRATCH]
BAR = 40
MANIFESTS = "(manifests)"


@dataclasses.dataclass
class Process:
    label: str
    cpu: float
    start: float
    end: float


@dataclasses.dataclass
class Row:
    """Seconds: of the processor, and from the command's start."""

    module: str
    cpu: float
    start: float
    end: float


def option(arguments: list[str], name: str) -> str | None:
    """The argument that follows `name`."""
    return arguments[arguments.index(name) + 1] if name in arguments[:-1] else None


def label(arguments: list[str], parent: str | None) -> str:
    """What a process works for: a module, a C target, a link, or what its parent does."""
    program = os.path.basename(arguments[0]) if arguments else ""
    module, output = option(arguments, "-module-name"), option(arguments, "-o") or ""
    if parent == MANIFESTS or any(argument.endswith(("Package.swift", "-manifest")) for argument in arguments):
        return MANIFESTS
    if program in ("swift-autolink-extract", "ld", "ld.gold", "ld.lld", "lld", "ar", "llvm-ar") or (
        program in ("swiftc", "swift-driver", "swift-frontend", "clang", "clang++")
        and ("-emit-executable" in arguments or (program.startswith("clang") and output and "-c" not in arguments))
    ):
        return "(link)"
    if module:
        return module
    if program.startswith("clang") and (target := re.search(r"/([^/]+)\.build/", output)):
        return target[1]
    if program.startswith("git"):
        return "(packages)"
    if program in ("swift-build", "swift-test", "swift-package", "swift"):
        return "(SwiftPM)"
    return parent or "(other)"


class Sampler:
    """The processes below one process, by /proc."""

    def __init__(self, root: int):
        self.began = time.time()
        with open("/proc/uptime") as file:
            self.boot = self.began - float(file.read().split()[0])
        self.processes: dict[tuple[int, int], Process] = {}
        self.known = {root}

    def sample(self):
        now = time.time() - self.began
        stats = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (stat := self.stat(entry)):
                stats[int(entry)] = stat
        alive = self.known & stats.keys()
        waiting = set(stats) - alive
        while found := {pid for pid in waiting if stats[pid][0] in alive}:
            alive |= found
            waiting -= found
        self.known = alive
        for pid in sorted(alive, key=lambda pid: stats[pid][2]):
            self.see(pid, stats, now)

    @staticmethod
    def stat(pid: str) -> tuple[int, float, int] | None:
        """Parent, own processor seconds and start in ticks since boot."""
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return None
        return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, int(fields[19])

    def see(self, pid: int, stats: dict, now: float):
        parent, cpu, start = stats[pid]
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = [os.fsdecode(argument) for argument in file.read().split(b"\0")[:-1]]
        except OSError:
            return
        process = self.processes.get((pid, start))
        if not process:
            process = Process("(other)", 0, self.boot + start / TICKS - self.began, now)
            self.processes[pid, start] = process
        if arguments:  # after exec they are others than after fork
            above = self.processes.get((parent, stats[parent][2])) if parent in stats else None
            process.label = label(arguments, above.label if above else None)
        process.cpu, process.end = cpu, now

    def rows(self) -> list[Row]:
        """One a label, in the order in which they began."""
        rows: dict[str, Row] = {}
        for process in self.processes.values():
            row = rows.setdefault(process.label, Row(process.label, 0, process.start, process.end))
            row.cpu += process.cpu
            row.start, row.end = max(0, min(row.start, process.start)), max(row.end, process.end)
        return sorted(rows.values(), key=lambda row: row.start)


def machine_idle() -> float:
    """Idle seconds of all cores since boot."""
    with open("/proc/stat") as file:
        fields = file.readline().split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def measure(command: list[str], folder: str, period: float) -> dict:
    """Runs the command, which must succeed."""
    before, idle, began = resource.getrusage(resource.RUSAGE_CHILDREN), machine_idle(), time.time()
    running = subprocess.Popen(command, cwd=folder)
    sampler = Sampler(running.pid)
    while running.poll() is None:
        sampler.sample()
        time.sleep(period)
    wall, after = time.time() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if running.returncode:
        sys.exit(f"build_times.py: {' '.join(command)} ended with status {running.returncode}; nothing was measured")
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = sampler.rows()
    unseen = total - sum(row.cpu for row in rows)
    rows.append(Row("(short-lived)", max(0, unseen), 0, wall))
    cores = len(os.sched_getaffinity(0))
    return {
        "command": command, "cores": cores, "wall": wall, "cpu": total, "machine_idle": machine_idle() - idle,
        "rows": [dataclasses.asdict(row) for row in rows],
    }  # fmt: skip


def show(result: dict, before: dict | None):
    old = {row["module"]: row for row in before["rows"]} if before else {}
    width = max(len(row["module"]) for row in [*result["rows"], *old.values()])
    print(f"{'module':{width}}  {'cpu s':>7}  {'from':>6}  {'to':>6}  {'before':>7}" if before else
          f"{'module':{width}}  {'cpu s':>7}  {'from':>6}  {'to':>6}")  # fmt: skip
    scale = BAR / max(result["wall"], 1e-9)
    for row in result["rows"]:
        left = min(BAR - 1, int(row["start"] * scale))
        bar = " " * left + "─" * max(1, min(BAR, round(row["end"] * scale)) - left)
        was = f"  {old.pop(row['module'])['cpu']:7.1f}" if row["module"] in old else "         " if before else ""
        line = f"{row['module']:{width}}  {row['cpu']:7.1f}  {row['start']:6.1f}  {row['end']:6.1f}{was}  {bar}"
        print(line.rstrip())
    for row in old.values():
        print(f"{row['module']:{width}}  {'–':>7}  {'–':>6}  {'–':>6}  {row['cpu']:7.1f}")
    for each, title in [(before, "before"), (result, "now")]:
        if each:
            print(summary(each, title))
    if before:
        print(f"before / now: {before['wall'] / result['wall']:.2f} of the time, "
              f"{before['cpu'] / result['cpu']:.2f} of the processor seconds")  # fmt: skip


def summary(result: dict, title: str) -> str:
    capacity = result["wall"] * result["cores"]
    others = max(0, capacity - result["machine_idle"] - result["cpu"])
    return (
        f"{title}: {result['wall']:.1f} s from start to end, {result['cpu']:.1f} processor seconds on "
        f"{result['cores']} cores; "
        f"{result['machine_idle'] / capacity:.0%} idle, {others / capacity:.0%} taken by other programs"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=pathlib.Path(__file__).parents[1], help="where the command runs")
    parser.add_argument("--save", metavar="JSON", help="write what was measured")
    parser.add_argument("--against", metavar="JSON", help="compare with what --save wrote")
    parser.add_argument("--show", metavar="JSON", help="measure nothing: show what --save wrote")
    parser.add_argument("--period", type=float, default=0.1, help="seconds between samples (0.1)")
    parser.add_argument("command", nargs="*", help="instead of a clean release build")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("build_times.py: reads /proc, which only Linux has")
    before = json.loads(pathlib.Path(options.against).read_text()) if options.against else None
    if options.show:
        return show(json.loads(pathlib.Path(options.show).read_text()), before)
    if not options.command:
        shutil.rmtree(pathlib.Path(options.folder) / SCRATCH, ignore_errors=True)
    result = measure(options.command or DEFAULT_COMMAND, options.folder, options.period)
    if options.save:
        pathlib.Path(options.save).write_text(json.dumps(result, indent=1) + "\n")
    show(result, before)


if __name__ == "__main__":
    main()
