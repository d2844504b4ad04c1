"""Whole passes: tokens, graph, logits and continuation against golden values, and every node against llama.cpp.

Here errors do travel from op to op, and one rounding tie early on moves what follows, so that llama.cpp's own builds
for different processors disagree by NMSE 1.5e-3 to 3.7e-3 on SmolLM2. Hence the limit for a node of 4e-3.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import kv_padding
from local_parity import nmse
from trace import Trace

NODE_LIMIT = 4e-3
LOGIT_LIMIT = 1e-3  # for F32 weights, where nothing is rounded to integers
SURE_MARGIN = 0.5  # a lead in logits that rounding cannot turn round


def read_golden(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def tokens_differ(quipu, model, golden):
    """Prompts whose token ids are not the golden ones, as messages."""
    for case in golden:
        ids = quipu.tokenize(model, case["prompt"])
        if ids != case["tokens"]:
            yield f"tokens of {case['prompt']!r}: {ids}, expected {case['tokens']}"


def continuation_differs(trace, case, end_ids, sure_only):
    """Greedy tokens against the golden ones: all, or those before the first step that was decided by little."""
    expected, n = case["greedy24"], len(case["greedy24"])
    if sure_only:
        n = next((i for i, margin in enumerate(case["margin24"]) if margin < SURE_MARGIN), n)
    # The golden continuation goes on after an end-of-text token; the program need not.
    n = min([n] + [i for i, token in enumerate(expected) if token in end_ids])
    if trace.generated[:n] != expected[:n]:
        yield f"continuation of {case['prompt']!r}: {trace.generated[:n]}, expected {expected[:n]}"


def first_logits(trace):
    """The logits that follow the prompt."""
    return trace.recorded(trace.passes[0].ops[-1]).astype(np.float64)


def logits_differ(trace, case):
    """The golden top ten and logsumexp against the recorded logits of the first pass."""
    logits = first_logits(trace)
    largest = max(abs(logits[id] - value) for id, value in case["top10"])
    total = logits.max() + np.log(np.exp(logits - logits.max()).sum())
    if not max(largest, abs(total - case["logsumexp"])) <= LOGIT_LIMIT:
        yield f"logits of {case['prompt']!r}: off by {largest:.2e}, logsumexp by {total - case['logsumexp']:.2e}"
    if np.argsort(-logits, kind="stable")[:10].tolist() != [id for id, _ in case["top10"]]:
        yield f"the ten likeliest tokens after {case['prompt']!r} are others than expected"


def read_tsv(path):
    """Nodes of a golden file as (kind, name, ne, source names)."""
    with open(path) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return [(r[1], r[2], tuple(map(int, r[3].split("x"))), r[8].split(",")) for r in rows[1:]]


def graph_differs(run_pass, expected):
    """Kinds, names, order, shapes and sources of a pass against llama.cpp's nodes."""
    if len(run_pass.ops) != len(expected):
        yield f"{len(run_pass.ops)} nodes, llama.cpp has {len(expected)}"
    for op, (kind, name, ne, sources) in zip(run_pass.ops, expected, strict=False):
        found = (op.kind, op.name, [edge.name for edge in op.inputs])
        if found != (kind, name, sources):
            yield f"seq {op.seq}: {found}, llama.cpp has {(kind, name, sources)}"
        elif not _same_shape(op, ne, run_pass.n_positions):
            yield f"seq {op.seq} {op.name}: shape {op.ne}, llama.cpp has {ne}"


def _same_shape(op, ne, n_positions):
    if kv_padding.is_whole_cache(op.kind, op.name):
        return op.ne[0] == ne[0] and op.ne[2:] == ne[2:]  # ne1 counts cells, and their number is our own affair
    axis = kv_padding.attended_axis(op.kind, op.name)
    return op.ne == tuple(n_positions if i == axis else n for i, n in enumerate(ne))


class NodeDistance:
    """Every node of every pass against llama.cpp, which is fed the tokens that the trace was."""

    def __init__(self, limit=NODE_LIMIT):
        self.limit = limit
        self.problems, self.worst, self.n_nodes, self.labels = [], [], 0, 0

    def check(self, trace_path, model, label):
        """Compares; returns llama.cpp's logits after each pass."""
        trace = Trace(trace_path)
        oracle = _ask_oracle(model, [run_pass.token_ids for run_pass in trace.passes])
        nodes = json.loads(str(oracle["nodes"]))
        for run_pass, expected in zip(trace.passes, nodes, strict=True):
            values = [oracle.get(f"{run_pass.number}.{i}") for i in range(len(expected))]
            shaped = [
                (kind, name, v.shape[::-1], sources)
                for (kind, name, sources), v in zip(expected, values, strict=True)
            ]
            differences = list(graph_differs(run_pass, shaped))
            self.problems += [f"{label}, pass {run_pass.number}: {message}" for message in differences]
            if not differences:
                self._compare(trace, run_pass, values, label)
        self.labels += 1
        return oracle["logits"]

    def _compare(self, trace, run_pass, values, label):
        for op, reference in zip(run_pass.ops, values, strict=True):
            recorded = trace.recorded(op)
            if recorded is None:
                continue  # views only name what other nodes hold
            is_write = op.kind == "SET_ROWS" and op.name.startswith("cache_")
            written = _written(op, reference, run_pass) if is_write else reference
            error = nmse(*_finite(recorded, written))
            self.n_nodes += 1
            self.worst = sorted(self.worst + [(error, f"{label}: {op}")], reverse=True)[:10]
            if not error <= self.limit:
                self.problems.append(f"{label}: {op}: NMSE {error:.2e} from llama.cpp")

    def report(self):
        print(f"{self.n_nodes} nodes of {self.labels} runs compared with llama.cpp; limit {self.limit:.0e}; farthest:")
        for error, where in self.worst:
            print(f"  {error:.2e}  {where}")


def _finite(recorded, reference):
    """Both without what is infinite in both, and alike: the ratings of experts that cannot be chosen."""
    left, right = np.asarray(recorded, np.float64).reshape(-1), np.asarray(reference, np.float64).reshape(-1)
    kept = ~(np.isinf(left) & (left == right)) if left.shape == right.shape else slice(None)
    return left[kept], right[kept]


def _written(op, cache, run_pass):
    """What a pass wrote to the oracle's cache, in the order in which a trace records it."""
    first, end = run_pass.first_position, run_pass.n_positions
    if op.name.startswith("cache_k_l"):
        return cache[0, 0, first:end]
    width = int(np.prod(op.inputs[0].ne)) // (end - first)
    return cache.reshape(width, -1)[:, first:end]


def _ask_oracle(model, passes):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "oracle.npz")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "oracle.py")
        subprocess.run(
            [sys.executable, script, model, "--passes", json.dumps(passes), "--npz", path], check=True,
            env=os.environ | {"GGML_CPU_TILED_MM": "0"})  # K-quants in the order of single products; docs/parity.md
        with np.load(path) as file:
            return {key: file[key] for key in file.files}
