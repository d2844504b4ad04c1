"""Recomputes any op of a trace with real ggml from the op's own recorded inputs and the file's weights.

`RECOMPUTE` maps a node kind to what calls ggml for it. Inputs are brought into a scratch context by `Bench.input`:
weights with their bytes as they lie in the file, computed nodes with their recorded values, and views, reshapes and
permutations by ggml's own view functions on top of those, so that strides are real too.
"""

import numpy as np

import ggml

VIEWS = ("VIEW", "RESHAPE", "PERMUTE")


class CacheMemory:
    """The KV cache as the recorded SET_ROWS leave it; follow the ops of a run in order."""

    def __init__(self, trace):
        self._trace = trace
        self._cells = {}  # leaf name -> flat float16

    def values(self, leaf, n):
        return self._cells.setdefault(leaf, np.zeros(n, np.float16))

    def note(self, op):
        if op.kind != "SET_ROWS":
            return
        destination = root(op.inputs[2])
        values, elements = self._trace.recorded_at(op)
        self.values(destination.leaf, int(np.prod(op.ne)))[elements] = values


def root(edge):
    """The edge behind any views: a weight, a leaf or a computed node."""
    while edge.op is not None and edge.op.kind in VIEWS:
        edge = edge.op.inputs[0]
    return edge


class Bench:
    """A scratch context of ggml with access to the trace that an op belongs to."""

    def __init__(self, trace, cache, op):
        self.trace, self.cache, self.op = trace, cache, op
        self._placed = {}
        self._graph = ggml.Graph(self._size())

    def __enter__(self):
        self._graph.__enter__()
        return self

    def __exit__(self, *exception):
        self._graph.__exit__(*exception)

    def apply(self, name, *arguments):
        return self._graph.apply(name, *arguments)

    def compute(self, result):
        return self._graph.compute(result)

    def input(self, slot):
        return self._place(self.op.inputs[slot])

    def optional(self, slot):
        return self.input(slot) if len(self.op.inputs) > slot else None

    def view(self, op):
        """The tensor that a view, reshape or permutation names."""
        source, ne = self._place(op.inputs[0]), op.ne
        if op.kind == "RESHAPE":
            return self.apply("ggml_reshape_4d", source, *ne)
        if op.kind == "PERMUTE":
            return self.apply("ggml_permute", source, *op.params["axes"])
        strides = [op.params[key] for key in ("nb1", "nb2", "nb3")]
        return self.apply("ggml_view_4d", source, *ne, *strides, op.params["offset"])

    def _place(self, edge):
        if edge.weight is not None:
            type, ne, data = self.trace.weight(edge.weight)
            return self._graph.put_bytes(type, ne, data)
        if edge.op is None:
            return self._graph.put(leaf_values(edge, self.op.run_pass, self.op, self.cache))
        if edge.op.id not in self._placed:
            self._placed[edge.op.id] = self._place_op(edge.op)
        return self._placed[edge.op.id]

    def _place_op(self, op):
        if op.kind in VIEWS:
            return self.view(op)
        values = self.trace.recorded(op)
        assert values is not None and len(values) == np.prod(op.ne), f"{op} has no recorded values; --capture all?"
        return self._graph.put(values.reshape(op.ne[::-1]))

    def _size(self):
        """Bytes for the op, its inputs, and what a matrix product keeps of its quantised activations."""
        def bytes(edge):
            base = root(edge)
            if base.weight is not None:
                return self.trace.weight(base.weight)[2].nbytes
            return 8 * int(np.prod(base.ne))
        return 3 * sum(bytes(edge) for edge in self.op.inputs) + 12 * int(np.prod(self.op.ne))


def leaf_values(edge, run_pass, op, cache):
    """What a leaf held during a pass; they follow from tokens and positions."""
    positions, shape = run_pass.positions, edge.ne[::-1]
    name = edge.leaf
    if name == "inp_tokens":
        return np.array(run_pass.token_ids, np.int32)
    if name == "inp_pos":
        return positions.astype(np.int32)
    if name in ("out_ids", "inp_out_ids"):
        return np.array([len(positions) - 1], np.int32)
    if name == "attn_inp_kq_mask":
        hidden = np.arange(run_pass.n_positions)[None, :] > positions[:, None]
        return np.where(hidden, np.float32(-np.inf), np.float32(0)).reshape(shape)
    if name == "attn_inp_k_idxs":
        return positions.astype(np.int64)
    if name == "attn_inp_v_idxs":
        # Element j of the cell at a position lies at j * cells + position; a token's elements come one after another.
        width = int(np.prod(edge.ne)) // len(positions)
        cells = op.ne[1] // width
        return (positions[:, None] + np.arange(width)[None, :] * cells).astype(np.int64).reshape(-1)
    if name.startswith(("cache_k_l", "cache_v_l")):
        return cache.values(name, int(np.prod(edge.ne))).reshape(shape)
    raise KeyError(f"leaf {name} of {op} is not known to the suite")


def _mul_mat(b):
    return b.apply("ggml_mul_mat", b.input(0), b.input(1))


def _rms_norm(b):
    return b.apply("ggml_rms_norm", b.input(0), b.op.params["eps"])


def _rope(b):
    p = b.op.params
    integers = [p[key] for key in ("n_dims", "mode", "n_ctx_orig")]
    floats = [p[key] for key in ("freq_base", "freq_scale", "ext_factor", "attn_factor", "beta_fast", "beta_slow")]
    return b.apply("ggml_rope_ext", b.input(0), b.input(1), b.optional(2), *integers, *floats)


def _soft_max(b):
    return b.apply("ggml_soft_max_ext", b.input(0), b.input(1), b.op.params["scale"], b.op.params["max_bias"])


def _set_rows(b):
    # Recorded sources are rows, indices, destination (llama.cpp's order of sources); ggml is called destination first.
    return b.apply("ggml_set_rows", b.input(2), b.input(0), b.input(1))


def _scale(b):
    return b.apply("ggml_scale", b.input(0), b.op.params["scale"])


def _elementwise(function):
    return lambda b: b.apply(function, b.input(0), b.input(1))


RECOMPUTE = {
    "GET_ROWS": _elementwise("ggml_get_rows"),
    "RMS_NORM": _rms_norm,
    "MUL": _elementwise("ggml_mul"),
    "ADD": _elementwise("ggml_add"),
    "SCALE": _scale,
    "MUL_MAT": _mul_mat,
    "ROPE": _rope,
    "SET_ROWS": _set_rows,
    "SOFT_MAX": _soft_max,
    "CONT": lambda b: b.apply("ggml_cont_4d", b.input(0), *b.op.ne),
    "SWIGLU": _elementwise("ggml_swiglu_split"),
    "VIEW": lambda b: b.view(b.op),
    "RESHAPE": lambda b: b.view(b.op),
    "PERMUTE": lambda b: b.view(b.op),
}
