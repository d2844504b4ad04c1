#!/usr/bin/env python3
"""Writes Tests/Fixtures/golden/quantize.json: what real ggml and llama.cpp make of the fixtures' weights.

    .venv/bin/python quant_golden.py    # as fixtures.sh does

Needs requirements.txt and requirements-whole-pass.txt. The Swift tests of `quantize` and `quant` use it:

- `files`: SHA-256 of the file that llama.cpp's quantiser writes, by model and file type; from quantised weights with
  its allow_requantize. Types that it refuses to write without an importance matrix are left out.
- `errors`: of each tensor of stories260K, of each layer and of each role what a format loses; layers and roles are
  computed over the weights of all their tensors in a row.
- `reference`: the same of llama.cpp's Q4_K_M of stories260K against the original, over all formats of a layer or role.
- `compare`: what each format loses on one tensor of tiny-kquants.

Encoded and decoded by ggml (`format_conformance.Ggml`); the figures are computed here, in double precision.
"""
import collections
import hashlib
import json
import os
import tempfile

import gguf
import numpy as np

from format_conformance import TYPES, Ggml
from quantize_conformance import FILE_TYPES, Reference

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures")
STORIES = os.path.join(FIXTURES, "stories260K.gguf")
FORMATS = ("Q4_0", "Q5_1")
COMPARED = "blk.0.attn_q.weight"
NAMES = {number: name for name, (number, *_) in TYPES.items()}


def figures(original, made):
    """The statistics of one or several tensors, given as lists of arrays."""
    x, y = (np.concatenate([part.ravel() for part in parts]) for parts in (original, made))
    error = np.sort(np.abs(y - x))
    x, y = x.astype(np.float64), y.astype(np.float64)
    squared, rank = ((y - x) ** 2).sum(), (x.size * 95 + 99) // 100
    return {
        "n": x.size, "rmse": np.sqrt(squared / x.size), "rel_rmse": np.sqrt(squared / (x * x).sum()),
        "max_abs": float(error[-1]), "p95_abs": float(error[rank - 1]),
        "sqnr_db": 10 * np.log10((x * x).sum() / squared) if squared else None,
        "cosine": (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()),
    }


def matrices(ggml, path):
    """name: values of every matrix, as they decode."""
    result = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if len(tensor.shape) == 1:
            continue
        name, columns = NAMES.get(int(tensor.tensor_type)), int(tensor.shape[0])
        data = np.ascontiguousarray(tensor.data)
        if name is not None and name != "F32":
            row_bytes = columns // TYPES[name][1] * TYPES[name][2]
            data = ggml.decode(name, data.view(np.uint8).reshape(-1, row_bytes), columns)
        result[tensor.name] = data
    return result


def summary(original, made):
    """Figures by tensor, and of layers and roles over all weights of their tensors together."""
    layers, roles, tensors = collections.defaultdict(list), collections.defaultdict(list), {}
    for name, values in made.items():
        parts = name.split(".")
        pair = original[name], values
        if parts[0] == "blk":
            layers[parts[1]].append(pair)
        roles[parts[-2]].append(pair)
        tensors[name] = figures([pair[0]], [pair[1]])
    return {
        "tensors": tensors, "layers": {key: figures(*zip(*pairs, strict=True)) for key, pairs in layers.items()},
        "roles": {key: figures(*zip(*pairs, strict=True)) for key, pairs in roles.items()}}


def written(ggml, name, values):
    """Values as a format makes them."""
    return ggml.decode(name, ggml.encode(name, np.ascontiguousarray(values, np.float32), None), values.shape[1])


def main():
    ggml, reference = Ggml(), Reference()
    stories = matrices(ggml, STORIES)
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "out.gguf")
        for model in ("stories260K", "tiny-bias-f16", "tiny-kquants"):
            files[model] = {}
            for name in [*FILE_TYPES, "COPY"]:
                path = os.path.join(FIXTURES, model + ".gguf")
                if reference.quantize(path, output, name, allow_requantize=True):
                    with open(output, "rb") as file:
                        files[model][name] = hashlib.sha256(file.read()).hexdigest()
                if model == "stories260K" and name == "Q4_K_M":
                    against = summary(stories, matrices(ggml, output))
    errors = {
        name: summary(stories, {
            key: written(ggml, name, values)
            for key, values in stories.items() if values.shape[1] % TYPES[name][1] == 0})
        for name in FORMATS}
    weights = matrices(ggml, os.path.join(FIXTURES, "tiny-kquants.gguf"))[COMPARED]
    compare = {
        name: figures([weights], [written(ggml, name, weights)])
        for name, (_, _, _, activation, needs_importance) in TYPES.items() if activation and not needs_importance}
    golden = {"files": files, "errors": errors, "reference": against, "compare": compare}
    with open(os.path.join(FIXTURES, "golden", "quantize.json"), "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
