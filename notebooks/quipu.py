"""What the notebooks share: running quipu, and its traces as pandas tables and numpy arrays.

A trace is plain SQLite. Blobs are little-endian and in ggml's order, its first dimension the fastest, so that an array
here has the dimensions the other way round: `[64, 9, 5]` of ggml (channels, heads, tokens) is `a[token, head, channel]`.
"""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("QUIPU", str(ROOT / ".build/release/quipu"))
MODEL = pathlib.Path(os.environ.get("QUIPU_MODEL") or ROOT / "models/micro-world-f16.gguf")


def run(*arguments):
    """Runs a command with --json and returns its document; an error of quipu's is raised with its own words."""
    done = subprocess.run([PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 2):
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def workspace(name):
    """An empty folder for a notebook's files."""
    folder = ROOT / "notebooks" / ".work" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def claim(name, value):
    """Prints what a notebook found, so that a test can read it."""
    print(f"claim {name} = {json.dumps(value, default=float, ensure_ascii=False)}")


class Trace:
    """One run of a trace file; the newest unless another is named."""

    def __init__(self, path, run=None):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.run = run or self.db.execute("SELECT max(id) FROM run").fetchone()[0]

    def sql(self, statement, *values):
        """The rows of a statement."""
        return pd.read_sql_query(statement, self.db, params=values)

    def tokens(self):
        return self.sql("SELECT * FROM token WHERE run_id = ? ORDER BY position", self.run)

    def ops(self, step=0):
        """The operations of a pass: 0 is the prompt, then one a token."""
        return self.sql("SELECT op.* FROM op JOIN pass ON pass.id = pass_id WHERE run_id = ? AND step = ? ORDER BY seq",
                        self.run, step)

    def layers(self, step=0):
        return self.sql("SELECT * FROM v_layer WHERE run_id = ? AND step = ? ORDER BY layer", self.run, step)

    def op(self, address, step=0):
        """`Qcur-3` is the last operation of that name, `Qcur-3#0` the first."""
        name, _, place = address.partition("#")
        found = self.ops(step).query("name == @name")
        if found.empty:
            raise KeyError(f"there is no operation {name} in pass {step}")
        return found.iloc[int(place) if place else -1]

    def values(self, address, step=0):
        """The recorded values of an operation; NaN where none were captured."""
        op = self.op(address, step)
        shape = tuple(int(op[f"ne{i}"]) for i in range(4))
        array = np.full(np.prod(shape), np.nan, np.float32)
        chunks = self.db.execute("SELECT first_element, n_elements, run_length, run_stride, dtype, data FROM tensor "
                                 "WHERE op_id = ? ORDER BY chunk", (int(op.id),)).fetchall()
        if not chunks:
            raise KeyError(f"{address} has no values of its own: {op.kind}; see its inputs, or --capture all")
        for first, count, length, stride, dtype, data in chunks:
            i = np.arange(count)
            places = first + i if length is None else first + i // length * stride + i % length
            array[places] = np.frombuffer(data, {"f32": "<f4", "f16": "<f2"}[dtype])
        while len(shape) > 1 and shape[-1] == 1:
            shape = shape[:-1]
        return array.reshape(shape[::-1])

    def inputs(self, address, step=0):
        return self.sql("SELECT * FROM op_input WHERE op_id = ? ORDER BY slot", int(self.op(address, step).id))


def heat_map(axes, table, title, unit, **options):
    """A table of numbers as a picture with its scale; readable for the colour-blind."""
    data = np.asarray(table, float)
    image = axes.imshow(data, aspect="auto", cmap=options.pop("cmap", "cividis"), **options)
    axes.locator_params(integer=True)
    axes.set_title(title)
    axes.figure.colorbar(image, ax=axes, label=unit)
    return image


def label(axes, names, x, y):
    """Names beside points of a falling curve; neighbours in turn above and below, so that they stay readable."""
    for place, (at, height, name) in enumerate(sorted(zip(x, y, names))):
        side, across, up = (-1, "right", "top") if place % 2 else (1, "left", "bottom")
        axes.annotate(name, (at, height), xytext=(4 * side, 9 * side), textcoords="offset points", fontsize=8,
                      rotation=50, ha=across, va=up)
    axes.margins(0.1, 0.25)


def pieces(tokens):
    """Tokens as labels."""
    return [f"{position} {piece!r}" for position, piece in zip(tokens.position, tokens.piece)]
