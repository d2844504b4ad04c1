"""Local parity: every op of a trace against real ggml, from the op's own recorded inputs.

An error cannot travel here: each op starts from what was recorded, so each is held to the rounding of its own sums.
"""

import dataclasses

import numpy as np

import ggml
import integers
import kv_padding
from recompute import RECOMPUTE, VIEWS, Bench, CacheMemory, root
from trace import Trace

FORMATS = ["F32", "F16", "BF16"] + [ggml.TYPES[type][0] for type in integers.FORMATS]
QUANTISED = [ggml.TYPES[type][0] for type in integers.FORMATS]

# What a complete run of the suite has checked. Products and row look-ups count once for each weight format.
REQUIRED = (
    [kind for kind in RECOMPUTE if kind not in ("MUL_MAT", "GET_ROWS")]
    + [f"MUL_MAT {f}" for f in FORMATS] + [f"GET_ROWS {f}" for f in FORMATS]
    + [f"MUL_MAT {f}, integers" for f in QUANTISED] + ["MUL_MAT of the cache", "GET_ROWS of a node"])


def tolerance(kind):
    """Worst NMSE allowed. One wrong rounding of one activation costs 1e-9 or more; the same products summed in another
    order cost about 1e-13, two ways to compute an exponential about 1e-14. See README.md."""
    if kind in ("SOFT_MAX", "SWIGLU"):
        return 1e-8
    return 1e-12 if kind.startswith("MUL_MAT") and kind.split(",")[0].split()[-1] in QUANTISED else 1e-10


@dataclasses.dataclass
class Tally:
    """What is known about one kind of node."""

    oracle: str
    allowed: float
    count: int = 0
    failures: int = 0
    worst: float = -1.0
    where: str = ""

    def add(self, error, where):
        self.count += 1
        self.failures += not error <= self.allowed
        if not error <= self.worst:
            self.worst, self.where = error, where


def nmse(values, reference, power=None):
    """Sum of squared differences over sum of squares (or over the sum of `power`, where the reference's squares do not
    say how large the numbers were that made it); infinite for a shape or a value that cannot be compared."""
    values, reference = np.asarray(values, np.float64).ravel(), np.asarray(reference, np.float64).ravel()
    if values.shape != reference.shape or not np.isfinite(values).all() or not np.isfinite(reference).all():
        return float("inf")
    difference, power = ((values - reference) ** 2).sum(), (reference**2 if power is None else power).sum()
    return float(difference / power) if power > 0 else (0.0 if difference == 0 else float("inf"))


class LocalParity:
    """Tallies over any number of traces."""

    def __init__(self):
        self.tallies = {}

    def check(self, path, label):
        """Checks all ops of the last run in the trace file `path`; `label` says in the report which one it was."""
        trace = Trace(path)
        cache = CacheMemory(trace)
        for run_pass in trace.passes:
            for op in run_pass.ops:
                self.check_op(trace, cache, op, f"{label}: {op}")
                cache.note(op)
        return trace

    def check_op(self, trace, cache, op, where):
        if op.kind not in RECOMPUTE:
            self._add(op.kind, "none: the suite does not know this kind", float("inf"), where)
            return
        with Bench(trace, cache, op) as bench:
            reference = bench.compute(RECOMPUTE[op.kind](bench))
        if reference.shape != op.ne[::-1]:
            self._add(op.kind, ggml.VERSION, float("inf"), f"{where}: shape {op.ne}, ggml {reference.shape[::-1]}")
        elif op.kind in VIEWS:
            self._add(op.kind, ggml.VERSION, _statistics_error(op, _data_of(op, reference)), where)
        elif op.kind == "SET_ROWS":
            values, elements = trace.recorded_at(op)
            self._add(op.kind, ggml.VERSION, _set_rows_error(values, elements, reference, cache, op), where)
            self._check_statistics(op, values, where)
        else:
            values = trace.recorded(op)
            assert values is not None, f"{where} has no recorded values; was the trace made with --capture all?"
            self._add(self._class(op, trace), ggml.VERSION, nmse(values, reference), where)
            self._check_statistics(op, values, where)
            self._check_integers(trace, op, values, where)

    def _class(self, op, trace):
        """The kind, and for products and row look-ups what is multiplied or looked up."""
        weight = op.inputs[0].weight
        if op.kind not in ("MUL_MAT", "GET_ROWS"):
            return op.kind
        if weight is not None:
            return f"{op.kind} {ggml.TYPES[trace.weight(weight)[0]][0]}"
        return "MUL_MAT of the cache" if op.kind == "MUL_MAT" else "GET_ROWS of a node"

    def _check_integers(self, trace, op, values, where):
        weight = op.inputs[0].weight
        if op.kind != "MUL_MAT" or weight is None or trace.weight(weight)[0] not in integers.FORMATS:
            return
        type, (n_in, _), data = trace.weight(weight)
        x = trace.recorded(op.inputs[1].op).reshape(-1, n_in)
        error = nmse(values, *integers.multiply(type, data, x))
        oracle = f"numpy, {integers.exactness(type)}; relative to the terms summed"
        self._add(f"{self._class(op, trace)}, integers", oracle, error, where)

    def _check_statistics(self, op, values, where):
        self._add("columns n min max rms", "numpy", _statistics_error(op, values), where)

    def _add(self, kind, oracle, error, where):
        self.tallies.setdefault(kind, Tally(oracle, tolerance(kind))).add(error, where)

    def report(self):
        """Prints a line a kind. Returns whether all passed and no kind was left out."""
        print(f"{'kind':<24} {'checked':>8} {'failed':>7} {'worst NMSE':>11} {'allowed':>8}  oracle; worst node")
        for kind, t in sorted(self.tallies.items()):
            worst = "" if t.worst == 0 else f"; {t.where}"
            print(f"{kind:<24} {t.count:>8} {t.failures:>7} {t.worst:>11.1e} {t.allowed:>8.0e}  {t.oracle}{worst}")
        unchecked = [kind for kind in REQUIRED if kind not in self.tallies]
        if unchecked:
            print("FAILED, not checked at all: " + ", ".join(unchecked))
        return not unchecked and not any(t.failures for t in self.tallies.values())


def _data_of(op, values):
    """What a view shows, without the cells of a whole cache that no pass before this one has filled."""
    if not kv_padding.is_whole_cache(op.kind, op.name):
        return values
    cells = op.inputs[0].ne[1]
    return values.reshape(-1, cells)[:, :op.run_pass.first_position]


def _statistics_error(op, values):
    """The op's columns n, min, max and rms against its values; a view has no other trace of its own."""
    x = np.asarray(values, np.float64)
    recorded = [op.stats[key] for key in ("min", "max", "rms")]
    if op.stats["n"] != x.size:
        return float("inf")
    if x.size == 0:
        return 0.0 if recorded == [None] * 3 else float("inf")
    return float("inf") if None in recorded else nmse(recorded, [x.min(), x.max(), np.sqrt((x * x).mean())])


def _set_rows_error(values, elements, reference, cache, op):
    """Exactly the elements that the op writes must be recorded, with ggml's values."""
    before = cache.values(root(op.inputs[2]).leaf, int(np.prod(op.ne)))
    flat = reference.ravel()
    n_written = int(np.prod(op.inputs[0].ne))
    untouched = np.ones(len(flat), bool)
    untouched[elements] = False
    if len(np.unique(elements)) != n_written or not np.array_equal(flat[untouched], before[untouched]):
        return float("inf")
    return nmse(values, flat[elements])

