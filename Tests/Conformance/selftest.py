"""Would the suite notice? One recorded number of each kind is changed, and the check of that op must fail."""

import numpy as np

import ggml
import integers
from local_parity import LocalParity, nmse, tolerance
from recompute import VIEWS, CacheMemory
from trace import Trace


class _Tampered(Trace):
    """A trace in which one value of one op is off by a thousandth of the op's largest."""

    victim = None

    def recorded(self, op):
        values = super().recorded(op)
        return _off(values) if op is self.victim else values

    def recorded_at(self, op):
        values, elements = super().recorded_at(op)
        return (_off(values) if op is self.victim else values), elements


def _off(values):
    changed = values.copy()
    at = np.abs(values).argmax()
    changed[at] = changed[at] * 1.003 if changed.dtype == np.float16 else changed[at] * 1.001
    return changed


def unnoticed(path):
    """Node kinds of the trace whose tampering the suite overlooks; should be empty."""
    trace = _Tampered(path)
    cache, seen, overlooked = CacheMemory(trace), set(), []
    for op in trace.passes[0].ops:
        if op.kind not in seen and op.kind not in VIEWS:
            seen.add(op.kind)
            trace.victim = op
            parity = LocalParity()
            parity.check_op(trace, cache, op, str(op))
            overlooked += [] if any(t.failures for t in parity.tallies.values()) else [op.kind]
            trace.victim = None
        cache.note(op)
    return overlooked + [f"one wrong rounding, {name}" for name in _roundings_overlooked()]


def _roundings_overlooked():
    """Formats in which one activation code off by one, in one of 16 rows, stays below the tolerance."""
    random = np.random.default_rng(0)
    for type in integers.FORMATS:
        name = ggml.TYPES[type][0]
        data = ggml.quantize(type, random.standard_normal((64, 512), np.float32))
        x = random.standard_normal((16, 512), np.float32)
        changed = x.copy()
        block = slice(96, 128) if ggml.TYPES[type][1] < 256 else slice(0, 256)
        changed[3, 100] += np.abs(x[3, block]).max() / 127
        error = nmse(integers.multiply(type, data, changed)[0], *integers.multiply(type, data, x))
        if error <= tolerance(f"MUL_MAT {name}"):
            yield name
