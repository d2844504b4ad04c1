"""Reads a trace file: runs, passes, ops, recorded values and, through the GGUF file, weights."""

import dataclasses
import json
import sqlite3

import gguf
import numpy as np

DTYPES = {"f32": "<f4", "f16": "<f2", "i32": "<i4"}


@dataclasses.dataclass
class Input:
    """An edge: exactly one of `op`, `weight` and `leaf` is set."""

    name: str
    ne: tuple
    op: "Op | None" = None
    weight: str | None = None
    leaf: str | None = None


@dataclasses.dataclass
class Op:
    id: int
    run_pass: "Pass"
    seq: int
    name: str
    kind: str
    type: str
    ne: tuple
    params: dict
    stats: dict
    inputs: list = dataclasses.field(default_factory=list, repr=False)

    def __str__(self):
        return f"{self.name} (pass {self.run_pass.number}, seq {self.seq})"


@dataclasses.dataclass
class Pass:
    id: int
    number: int
    first_position: int
    token_ids: list
    ops: list = dataclasses.field(default_factory=list, repr=False)

    @property
    def positions(self):
        return np.arange(self.first_position, self.first_position + len(self.token_ids))

    @property
    def n_positions(self):
        """Positions that exist once this pass is done."""
        return self.first_position + len(self.token_ids)


class Trace:
    """The last run of a trace file."""

    def __init__(self, path):
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row
        self.run_id, model_id, complete = self._db.execute(
            "SELECT id, model_id, complete FROM run ORDER BY id DESC LIMIT 1").fetchone()
        assert complete == 1, f"{path}: the run is not complete"
        model_path, = self._db.execute("SELECT path FROM model WHERE id = ?", (model_id,)).fetchone()
        self._tensors = {t.name: t for t in gguf.GGUFReader(model_path).tensors}
        rows = self._db.execute("SELECT id, name FROM weight WHERE model_id = ?", (model_id,))
        self._weight_names = {row["id"]: row["name"] for row in rows}
        self.tokens = [row[0] for row in self._db.execute(
            "SELECT token_id FROM token WHERE run_id = ? ORDER BY position", (self.run_id,))]
        self.generated = [row[0] for row in self._db.execute(
            "SELECT token_id FROM token WHERE run_id = ? AND source = 'generated' ORDER BY position", (self.run_id,))]
        self.passes = [self._read_pass(number, row) for number, row in enumerate(self._db.execute(
            "SELECT id, first_position, n_tokens FROM pass WHERE run_id = ? ORDER BY step, id", (self.run_id,)))]

    def _read_pass(self, number, row):
        first, n = row["first_position"], row["n_tokens"]
        run_pass = Pass(row["id"], number, first, self.tokens[first:first + n])
        by_id = {}
        for op in self._db.execute("SELECT * FROM op WHERE pass_id = ? ORDER BY seq", (run_pass.id,)):
            stats = {key: op[key] for key in ("n", "sum", "min", "max", "rms")}
            by_id[op["id"]] = Op(
                op["id"], run_pass, op["seq"], op["name"], op["kind"], op["type"], _ne(op),
                json.loads(op["params"] or "{}"), stats)
        edges = self._db.execute(
            "SELECT i.* FROM op_input i JOIN op ON op.id = i.op_id WHERE op.pass_id = ? ORDER BY op.seq, i.slot",
            (run_pass.id,))
        for edge in edges:
            by_id[edge["op_id"]].inputs.append(Input(
                edge["name"], _ne(edge), by_id.get(edge["source_op_id"]),
                self._weight_names.get(edge["weight_id"]), edge["leaf"]))
        run_pass.ops = list(by_id.values())
        return run_pass

    def weight(self, name):
        """(type id, ne, bytes) of a tensor of the file."""
        tensor = self._tensors[name]
        return int(tensor.tensor_type), tuple(int(n) for n in tensor.shape), np.ascontiguousarray(tensor.data)

    def recorded(self, op):
        """The captured values of an op, flat, in the order of the blob; `None` if there are none."""
        rows = self._chunks(op)
        return np.concatenate([values for values, _ in rows]) if rows else None

    def recorded_at(self, op):
        """Captured values and, for each, the element of the op's output that it is."""
        rows = self._chunks(op)
        return np.concatenate([v for v, _ in rows]), np.concatenate([e for _, e in rows])

    def _chunks(self, op):
        result = []
        for row in self._db.execute("SELECT * FROM tensor WHERE op_id = ? ORDER BY chunk", (op.id,)):
            values = np.frombuffer(row["data"], DTYPES[row["dtype"]])
            assert len(values) == row["n_elements"], f"{op}: {len(values)} values for n_elements {row['n_elements']}"
            i, length = np.arange(len(values)), row["run_length"] or max(len(values), 1)
            stride = row["run_stride"] or 0
            result.append((values, row["first_element"] + i // length * stride + i % length))
        return result


def _ne(row):
    return tuple(row[f"ne{axis}"] for axis in range(4))
