#!/usr/bin/env python3
"""Damages copies of a trace and reads them with every command: none may end in a signal, hang, or write raw text.

    scripts/mutate_traces.py QUIPU MODEL [--count 5000] [--seed 1] [--jobs 2] [--only NUMBER]

A trace of MODEL is made, and a copy of it whose tables have lost types and constraints. Statements change values, rows
and the schema; bytes of the file are overwritten too. Mutation i of a seed is always the same; `--only i` repeats it
with every command and keeps the damaged trace. Says what was tried, and each failure with the statements that make it;
exits with 1 if there is any.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

SECONDS = 60
INTEGERS = [
    0,
    1,
    2,
    -1,
    -4096,
    3,
    255,
    65_536,
    2**31 - 1,
    2**31,
    2**32,
    10**12,
    2**50,
    2**53 + 1,
    2**62,
    2**63 - 1,
    -(2**63),
]
REALS = [0.5, -1.0, 1e300, -1e300, 5e-324, float("inf")]
TEXTS = [
    "",
    "x",
    "{}",
    "[]",
    '{"axes":[9,9,9,9]}',
    '{"axes":[0,0,0,0]}',
    '{"nb1":-4,"nb2":0,"nb3":0,"offset":-8}',
    '{"nb1":4611686018427387904,"nb2":4,"nb3":4,"offset":4}',
    "[" * 3000,
    '{"temperature":1e999}',
    "\x1b[2J\x1b]0;x\x07",
    "a\u202eb\u2066c\u2028d",
    "\x9b31m\x7f",
    "q4_1",
    "VIEW",
    "MUL_MAT",
    "SET_ROWS",
    "PERMUTE",
    "pattern",
    "layer_output",
    "key_cache",
    "../x",
    "0" * 5000,
]
BLOBS = [b"", b"\x00\x00\x00", b"\xff" * 64, b"\x00\x00\xc0\x7f" * 16, b"\x00" * 4096]
NAMES = [
    "kq-1",
    "Qcur-1 (view)",
    "cache_k_l1 (view)",
    "kqv_out-1",
    "ffn_out-1[0:2]",
    "result_output",
    "embd",
    "l_out-0",
    "cache_v_l0 (view) (permuted)",
    "kq_soft_max-2",
]
BYTES = "bytes"
# But for those that SQLite keeps for itself.
TABLES = "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite%'"
STEPS = "n\nlayer\nend\nback\ninputs\nusers\nheat\np\nwatch rms > 1\nc\nrwatch resid[1] > 0\nwhy\nfind kq\nquit\n"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
WORDS = ["Fatal error", "NSCocoaErrorDomain", "DecodingError", "SQLite error", "Swift/", "DatabaseError"]


def commands(model: str, generator: random.Random) -> list[list[str]]:
    name = generator.choice(NAMES)
    at = name if "[" in name else name + "[0,0]"
    return [
        ["ops", "t.db"],
        ["ops", "t.db", "--layer", "1", "--json"],
        ["show", "t.db", name],
        ["show", "t.db", name, "--json"],
        ["show", "t.db", name, "--step", "1"],
        ["sql", "t.db", "SELECT * FROM v_op LIMIT 4"],
        ["sql", "t.db", "SELECT sum(flops), sum(ns) FROM op"],
        ["sql", "t.db", "SELECT * FROM v_layer"],
        ["sql", "t.db", "SELECT f32(data, 3), row(data, 0, 4) FROM tensor LIMIT 3", "--json"],
        ["step", "t.db", "--model", model, "--lines"],
        ["explain", "element", "t.db", at, "--model", model],
        ["explain", "logit", "t.db", "--model", model],
        ["verify", "t.db", "--model", model],
        ["lens", "t.db", "--model", model],
        ["lens", "t.db", "--model", model, "--record"],
        ["attention", "t.db"],
        ["attention", "t.db", "1.1", "--model", model],
        ["report", "t.db", "-o", "r.html", "--force"],
        ["export", "t.db", "kq-*", name, "-o", "x.npz", "--force"],
        ["diff", "t.db", "good.db"],
        ["diff", "good.db", "t.db"],
        ["experts", "t.db", "--json"],
        ["lesson", "check", "t.db"],
        ["gqa", "map", model, "--trace", "t.db", "--layer", "0"],
        ["merge", "new.db", "t.db"],
        ["merge", "t.db", "good.db"],
        ["trace", model, "--from", "t.db", "--scale", "ffn_out-1=2", "-o", "new.db"],
        ["trace", model, "-p", "Once", "--append", "-o", "t.db"],
    ]


class Mutator:
    """Statements that damage a trace, by its own schema."""

    def __init__(self, path: str) -> None:
        with sqlite3.connect(path) as db:
            names = [row[0] for row in db.execute(TABLES)]
            self.tables = {
                name: [row[1] for row in db.execute(f'PRAGMA table_info("{name}")')]
                for name in names
                if db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            }
            self.views = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type='view'")]

    def mutation(self, generator: random.Random) -> tuple[bool, list[tuple[str, list]]]:
        """Whether it is done to the copy without constraints, and the statements with their values."""
        kinds = [self.value] * 12 + [self.row] * 4 + [self.schema] * 2
        count = 1 if generator.random() < 0.8 else generator.randint(2, 4)
        if generator.random() < 0.15:  # no statement, but bytes of the file itself
            return generator.random() < 0.6, [self.bytes(generator) for _ in range(generator.choice([1, 1, 4, 40]))]
        return generator.random() < 0.6, [generator.choice(kinds)(generator) for _ in range(count)]

    def bytes(self, generator: random.Random) -> tuple[str, list]:
        """Where, as a share of the file; more often in its header and the schema than elsewhere."""
        place = generator.choice([generator.random(), generator.random() ** 6, generator.random() * 1e-4])
        return BYTES, [
            place,
            generator.choice([b"\x00", b"\xff", b"\x01\x00\x00\x00", generator.randbytes(8), b"\xff" * 512]),
        ]

    def table(self, generator: random.Random) -> str:
        central = ["graph_op", "graph_input", "op_stat", "tensor", "pass", "token", "run", "model"]
        return generator.choice(central if generator.random() < 0.7 else sorted(self.tables))

    def where(self, table: str, generator: random.Random) -> str:
        """All rows, one, or some."""
        if table == "graph_op" and generator.random() < 0.4:
            return (
                f"WHERE kind = '{generator.choice(['VIEW', 'PERMUTE', 'RESHAPE', 'SET_ROWS', 'MUL_MAT', 'SOFT_MAX'])}'"
            )
        column = generator.choice(self.tables[table])
        offset = generator.randint(0, 40)
        some = f'WHERE "{column}" = (SELECT "{column}" FROM "{table}" ORDER BY 1 LIMIT 1 OFFSET {offset})'
        return generator.choice(["", "", some, some, f'WHERE "{column}" IS NOT NULL'])

    def value(self, generator: random.Random) -> tuple[str, list]:
        table = self.table(generator)
        column = generator.choice(self.tables[table])
        other = generator.choice(self.tables[table])
        where = self.where(table, generator)
        pick = generator.random()
        if pick < 0.45:
            return f'UPDATE OR REPLACE "{table}" SET "{column}" = ? {where}', [generator.choice(INTEGERS)]
        if pick < 0.6:
            change = generator.choice(
                [
                    f'"{column}" + 1',
                    f'"{column}" - 1',
                    f'-"{column}"',
                    f'"{column}" * 2',
                    f'"{other}"',
                    "NULL",
                    f'CAST("{column}" AS TEXT)',
                    f'substr("{column}", 1, 5)',
                    f'"{column}" || "{column}"',
                ]
            )
            return f'UPDATE OR REPLACE "{table}" SET "{column}" = {change} {where}', []
        return (
            f'UPDATE OR REPLACE "{table}" SET "{column}" = ? {where}',
            [generator.choice(generator.choice([REALS, TEXTS, TEXTS, BLOBS]))],
        )

    def row(self, generator: random.Random) -> tuple[str, list]:
        table = self.table(generator)
        return generator.choice(
            [
                (f'DELETE FROM "{table}" {self.where(table, generator)}', []),
                (f'DELETE FROM "{table}" {self.where(table, generator)}', []),
                (f'INSERT OR REPLACE INTO "{table}" SELECT * FROM "{table}" LIMIT {generator.randint(1, 50)}', []),
            ]
        )

    def schema(self, generator: random.Random) -> tuple[str, list]:
        table, view = self.table(generator), generator.choice(self.views)
        endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i AS id FROM c"
        return generator.choice(
            [
                (f'DROP TABLE "{table}"', []),
                (f'DROP VIEW "{view}"', []),
                (f'DROP TABLE "{table}"; CREATE VIEW "{table}" AS {endless}', []),
                (f'DROP VIEW "{view}"; CREATE VIEW "{view}" AS {endless}', []),
                (f'DROP TABLE "{table}"; CREATE TABLE "{table}" (id)', []),
                (f'CREATE TRIGGER evil AFTER INSERT ON "{table}" BEGIN DELETE FROM run; END', []),
                (f"PRAGMA user_version = {generator.choice([-1, 0, 1, 3, 4, 6, 9999])}", []),
            ]
        )


def loosen(path: str) -> None:
    """Rebuilds each table without types and constraints, and the views as they were."""
    with sqlite3.connect(path) as db:
        views = db.execute("SELECT name, sql FROM sqlite_schema WHERE type='view'").fetchall()
        tables = [row[0] for row in db.execute(TABLES).fetchall()]
        db.executescript("PRAGMA foreign_keys=OFF;" + "".join(f'DROP VIEW "{name}";' for name, _ in views))
        for table in tables:
            # With the columns that SQLite computes, as ordinary ones.
            columns = ", ".join(f'"{row[1]}"' for row in db.execute(f'PRAGMA table_xinfo("{table}")').fetchall())
            db.executescript(
                f'CREATE TABLE "loose_{table}" ({columns}); '
                f'INSERT INTO "loose_{table}" SELECT {columns} FROM "{table}"; '
                f'DROP TABLE "{table}"; ALTER TABLE "loose_{table}" RENAME TO "{table}";'
            )
        for _, sql in views:
            db.execute(sql)


def damage(path: str, statements: list[tuple[str, list]]) -> bool:
    """Whether anything could be changed."""
    done = False
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON; PRAGMA synchronous=OFF")
    for sql, values in statements:
        try:
            if sql == BYTES:
                continue
            if values:
                db.execute(sql, values)
            else:
                db.executescript(sql)
            done = True
        except sqlite3.Error:  # what a constraint keeps out is tried on the copy without
            pass
    db.close()
    for place, new in (values for sql, values in statements if sql == BYTES):
        with open(path, "r+b") as file:
            file.seek(int(place * os.path.getsize(path)))
            file.write(new)
        done = True
    return done


def complaint(status: int | None, output: bytes, errors: bytes, is_step: bool) -> str | None:
    """What is wrong with how a command ended."""
    if status is None:
        return f"no end after {SECONDS} s"
    if status < 0 or status >= 128:
        return f"a signal, status {status}"
    if status not in (0, 1, 2):  # 2: verify found something
        return f"status {status}"
    text, said = output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
    if status == 1 and not said.startswith("quipu: ") and not is_step and "verify" not in text and not text:
        return "no complaint in words"
    for stream in (text, said):
        raw = RAW.search(stream)
        if raw:
            return f"raw {raw.group()!r} in {stream[max(0, raw.start() - 40) : raw.end() + 10]!r}"
        word = next((word for word in WORDS if word in stream), None)
        if word:
            return f"'{word}' in {stream[:300]!r}"
    return None


def run(quipu: str, folder: str, command: list[str]) -> tuple[int | None, bytes, bytes]:
    home = {"HOME": folder, "XDG_STATE_HOME": folder + "/state", "XDG_CACHE_HOME": folder + "/cache"}
    try:
        done = subprocess.run(
            [quipu, *command],
            cwd=folder,
            capture_output=True,
            input=STEPS.encode(),
            timeout=SECONDS,
            env=os.environ | home,
        )
    except subprocess.TimeoutExpired as late:
        return None, late.stdout or b"", late.stderr or b""
    return done.returncode, done.stdout, done.stderr


def try_one(number: int, options: argparse.Namespace, base: str, mutator: Mutator) -> tuple[list[dict], int, bool]:
    """Failures, commands run, and whether the trace was changed at all."""
    generator = random.Random(f"{options.seed}.{number}")
    is_loose, statements = mutator.mutation(generator)
    every = commands(options.model, generator)
    chosen = every if options.only is not None else generator.sample(every, options.each)
    failures = []
    with tempfile.TemporaryDirectory(prefix="quipu-mutation-") as folder:
        source = f"{base}/{'loose' if is_loose else 'good'}.db"
        shutil.copy(source, f"{folder}/damaged.db")
        shutil.copy(f"{base}/good.db", f"{folder}/good.db")
        changed = damage(f"{folder}/damaged.db", statements)
        if not changed:
            return [], 0, False
        for command in chosen:
            shutil.copy(f"{folder}/damaged.db", f"{folder}/t.db")
            for leftover in ("new.db", "t.db-wal", "t.db-shm", "t.db-journal"):
                pathlib.Path(folder, leftover).unlink(missing_ok=True)
            status, output, errors = run(options.quipu, folder, command)
            problem = complaint(status, output, errors, command[0] == "step")
            if options.only is not None:
                print(" ".join(command), "->", status, errors.decode("utf-8", "replace")[:300].strip())
            if problem:
                failures.append(
                    dict(
                        mutation=number,
                        loose=is_loose,
                        statements=repr(statements),
                        command=command,
                        problem=problem,
                        errors=errors.decode("utf-8", "replace")[-400:],
                    )
                )
        if options.only is not None:
            shutil.copy(f"{folder}/damaged.db", "damaged.db")
            print("damaged.db:", "without constraints," if is_loose else "", statements)
    return failures, len(chosen), True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quipu")
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=1, help="commands that read each mutation")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    options.quipu, options.model = (os.path.abspath(path) for path in (options.quipu, options.model))
    with tempfile.TemporaryDirectory(prefix="quipu-traces-") as base:
        made = ["trace", options.model, "-p", "Once upon a time", "--generate", "3", "-o", "good.db"]
        status, _, errors = run(options.quipu, base, made)
        if status != 0:
            sys.exit(f"no trace to damage: {errors.decode()}")
        shutil.copy(f"{base}/good.db", f"{base}/loose.db")
        loosen(f"{base}/loose.db")
        mutator = Mutator(f"{base}/good.db")
        numbers = [options.only] if options.only is not None else range(options.count)
        failures, ran, changed = [], 0, 0
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for found, count, was_changed in pool.map(lambda i: try_one(i, options, base, mutator), numbers):
                ran += count
                changed += was_changed
                for failure in found:
                    failures.append(failure)
                    print(json.dumps(failure), flush=True)
                if ran % 500 == 0 and count:
                    print(f"{ran} commands, {len(failures)} failures", file=sys.stderr, flush=True)
    print(f"{changed} of {len(numbers)} mutations took hold, {ran} commands, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
