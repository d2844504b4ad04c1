#!/usr/bin/env python3
"""Kills commands that write at random times, and looks at what they leave.

    scripts/kill_runs.py QUIPU MODEL [--count 500] [--seed 1] [--signal KILL] [--only NUMBER]

Each kind of writing in turn: a new trace, --append, --force, merges, quantize, report, lessons. A run is killed at a
time drawn from the length of an undisturbed one. What was there before must be there as it was, or what replaces it as
a whole; a trace must be read by `ops` and `sql`, or be named by them; and the next run must work and leave no partial
file behind.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time


class Bench:
    """A folder to work in, and the program."""

    def __init__(self, quipu: str, model: str, folder: str) -> None:
        self.quipu, self.model, self.folder = quipu, model, pathlib.Path(folder)
        state = {"HOME": folder, "XDG_STATE_HOME": f"{folder}/state", "XDG_CACHE_HOME": f"{folder}/cache"}
        self.environment = os.environ | state | {"TMPDIR": f"{folder}/tmp"}
        self.path("tmp").mkdir()

    def path(self, name: str) -> pathlib.Path:
        return self.folder / name

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.quipu, *command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str) -> tuple[int, str, str]:
        process = self.start(*command)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")

    def well(self, *command: str) -> None:
        status, _, errors = self.run(*command)
        if status != 0:
            raise Wrong(f"`quipu {' '.join(command)}` ends with {status}: {errors.strip()[-300:]}")


class Wrong(Exception):
    """What a killed run must not leave."""


def rows(path: pathlib.Path, sql: str) -> list:
    """By Python's own SQLite, of a copy, so that nothing is recovered for the program."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal", "-journal"):
            if pathlib.Path(f"{path}{ending}").exists():
                shutil.copy(f"{path}{ending}", f"{folder}/copy.db{ending}")
        with sqlite3.connect(f"{folder}/copy.db") as db:
            return db.execute(sql).fetchall()


def check_read(bench: Bench, name: str) -> int:
    """Complete runs in a trace that must be readable."""
    path = bench.path(name)
    if path.stat().st_size == 0 or not rows(path, "SELECT name FROM sqlite_schema"):
        status, _, errors = bench.run("ops", name)
        if status != 1 or not any(words in errors for words in ("an empty file", "killed as it began")):
            raise Wrong(f"{name} without a table is read as {status}: {errors}")
        bench.well("trace", bench.model, "-p", "Once", "-o", name, "--force")
        return 0
    status, output, errors = bench.run("sql", name, "SELECT count(*) AS n FROM run WHERE complete")
    if status != 0:
        raise Wrong(f"sql on {name} ends with {status}: {errors.strip()}")
    complete = int(output.split()[1])
    if "ok" not in bench.run("sql", name, "PRAGMA integrity_check")[1]:
        raise Wrong(f"{name} fails its integrity check")
    status, _, errors = bench.run("ops", name)
    if status != 0 and not any(words in errors for words in ("holds no run", "the run has none yet")):
        raise Wrong(f"ops on {name} ends with {status}: {errors.strip()}")
    return complete


def check_clean(bench: Bench) -> None:
    left = [path.name for path in bench.folder.iterdir() if ".partial" in path.name or ".nosync" in path.name]
    if left:
        raise Wrong(f"left behind after the next run: {left}")


class Scenario:
    """A command that writes, what must be there before it, and what must be there after it was killed."""

    name = ""
    command: tuple[str, ...] = ()

    def prepare(self, bench: Bench) -> None:
        pass

    def check(self, bench: Bench) -> None:
        raise NotImplementedError


class NewTrace(Scenario):
    name = "trace"

    def __init__(self, model: str) -> None:
        self.command = ("trace", model, "-p", "Once upon a time", "-g", "8", "-o", "t.db")

    def check(self, bench: Bench) -> None:
        if bench.path("t.db").exists():
            check_read(bench, "t.db")
            bench.well("trace", bench.model, "-p", "Once", "-o", "t.db", "--append")
        else:
            bench.well(*self.command)
        check_clean(bench)


class Append(Scenario):
    name = "trace --append"

    def __init__(self, model: str) -> None:
        self.command = ("trace", model, "-p", "Once upon a time", "-g", "8", "-o", "t.db", "--append")

    def prepare(self, bench: Bench) -> None:
        bench.well("trace", bench.model, "-p", "Once", "-o", "t.db")
        first = "SELECT count(*), (SELECT sum(length(data)) FROM tensor), (SELECT uuid FROM run WHERE id = 1) FROM op"
        self.before = rows(bench.path("t.db"), first)
        last = rows(bench.path("t.db"), "SELECT max(id) FROM op_stat")[0][0]
        self.question = first.replace("FROM tensor", f"FROM tensor WHERE op_id <= {last}") + f" WHERE id <= {last}"

    def check(self, bench: Bench) -> None:
        if check_read(bench, "t.db") < 1:
            raise Wrong("the run that was there is lost")
        if rows(bench.path("t.db"), self.question) != self.before:
            raise Wrong("rows of the run that was there are lost")
        bench.well("trace", bench.model, "-p", "Once", "-o", "t.db", "--append")
        check_read(bench, "t.db")


class Force(Scenario):
    name = "trace --force"

    def __init__(self, model: str) -> None:
        self.command = ("trace", model, "-p", "Once upon a time", "-g", "8", "-o", "t.db", "--force")

    def prepare(self, bench: Bench) -> None:
        bench.well("trace", bench.model, "-p", "Once", "-o", "t.db")

    def check(self, bench: Bench) -> None:
        if check_read(bench, "t.db") != 1:
            raise Wrong("neither the earlier trace nor the new one is whole")
        bench.well(*self.command)
        check_clean(bench)


class Merge(Scenario):
    name = "merge"
    command = ("merge", "t.db", "a.db", "b.db")

    def prepare(self, bench: Bench) -> None:
        for name, prompt in (("t.db", "Once"), ("a.db", "Tom went out"), ("b.db", "Lily saw a cat")):
            bench.well("trace", bench.model, "-p", prompt, "-o", name)

    def check(self, bench: Bench) -> None:
        if check_read(bench, "t.db") not in (1, 2, 3):
            raise Wrong("the run that was there is lost")
        bench.well(*self.command)
        if check_read(bench, "t.db") != 3:
            raise Wrong("merging again does not end with all runs")


class MergeNew(Merge):
    name = "merge into a new file"

    def prepare(self, bench: Bench) -> None:
        super().prepare(bench)
        bench.path("t.db").unlink()

    def check(self, bench: Bench) -> None:
        if bench.path("t.db").exists() and check_read(bench, "t.db") != 2:
            raise Wrong("a part of the merged trace has the name of the whole")
        bench.well(*self.command)
        check_clean(bench)


class WholeFile(Scenario):
    """A file whose bytes are those of before, or those of an undisturbed run."""

    output = ""

    def check(self, bench: Bench) -> None:
        path = bench.path(self.output)
        now = path.read_bytes() if path.exists() else None
        bench.well(*self.command)
        if now is not None and not self.is_whole(now, path.read_bytes()):
            raise Wrong(f"{self.output} was neither as before nor as it is when complete: {len(now)} bytes")
        check_clean(bench)

    def is_whole(self, now: bytes, complete: bytes) -> bool:
        return now in (complete, getattr(self, "before", None))


class Quantize(WholeFile):
    name = "quantize --force"
    output = "q.gguf"

    def __init__(self, model: str) -> None:
        self.command = ("quantize", model, "q.gguf", "Q4_0", "--force", "--allow-requantize")

    def prepare(self, bench: Bench) -> None:
        shutil.copy(bench.model, bench.path("q.gguf"))
        self.before = bench.path("q.gguf").read_bytes()


class Report(WholeFile):
    name = "report --force"
    output = "r.html"
    command = ("report", "t.db", "-o", "r.html", "--force")

    def prepare(self, bench: Bench) -> None:
        bench.well("trace", bench.model, "-p", "Once", "-o", "t.db")
        bench.path("r.html").write_text("<!DOCTYPE html><title>before</title>")
        self.before = bench.path("r.html").read_bytes()

    def is_whole(self, now: bytes, complete: bytes) -> bool:
        return now == self.before or (now.startswith(b"<!DOCTYPE html>") and now.rstrip().endswith(b"</html>"))


class Lesson(Scenario):
    name = "lesson"
    command = ("lesson", "start", "1")

    def prepare(self, bench: Bench) -> None:
        bench.well("lesson", "progress")

    def check(self, bench: Bench) -> None:
        bench.well("lesson", "progress")
        bench.well("lesson", "start", "1")
        bench.well("lesson", "next")
        check_clean(bench)


def scenarios(model: str) -> list[Scenario]:
    return [NewTrace(model), Append(model), Force(model), Merge(), MergeNew(), Quantize(model), Report(), Lesson()]


def try_one(number: int, options: argparse.Namespace, seconds: dict[str, float]) -> str | None:
    """What is wrong after one kill; `None` if nothing is."""
    generator = random.Random(f"{options.seed}.{number}")
    kinds = scenarios(options.model)
    scenario = kinds[number % len(kinds)]
    with tempfile.TemporaryDirectory(prefix="quipu-kill-") as folder:
        bench = Bench(options.quipu, options.model, folder)
        try:
            if scenario.name not in seconds:
                with tempfile.TemporaryDirectory(prefix="quipu-kill-") as undisturbed:
                    other = Bench(options.quipu, options.model, undisturbed)
                    scenario.prepare(other)
                    start = time.monotonic()
                    other.well(*scenario.command)
                    seconds[scenario.name] = time.monotonic() - start
            scenario.prepare(bench)
            process = bench.start(*scenario.command)
            # Writing comes late in a command: half of the kills fall into its last third.
            share = generator.uniform(0, 1.05) if generator.random() < 0.5 else generator.uniform(0.6, 1.05)
            time.sleep(share * seconds[scenario.name])
            process.send_signal(getattr(signal, f"SIG{options.signal}"))
            process.communicate()
            scenario.check(bench)
        except Wrong as wrong:
            if options.only is not None:
                shutil.copytree(folder, f"killed-{number}", dirs_exist_ok=True)
            return f"{number}: {scenario.name}, killed at {share:.0%}: {wrong}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quipu")
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", default="KILL", choices=["KILL", "INT", "TERM"])
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    options.quipu, options.model = (os.path.abspath(path) for path in (options.quipu, options.model))
    seconds: dict[str, float] = {}
    numbers = range(options.count) if options.only is None else [options.only]
    failures = [failure for number in numbers if (failure := try_one(number, options, seconds))]
    for failure in failures:
        print(failure)
    print(
        f"{len(numbers)} runs killed with SIG{options.signal}, {len(failures)} failures; undisturbed they take "
        + ", ".join(f"{name} {duration:.2f} s" for name, duration in seconds.items())
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
