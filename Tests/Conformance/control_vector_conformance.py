"""Control vectors: what `trace --control-vector` makes of a run against llama.cpp's `llama_set_adapter_cvec`.

For each model a file with a random direction for each layer (as large as a tenth of the stream), added by a random
factor to all layers or to some: the streams after all layers and the logits are compared. Where the run without a
vector has llama.cpp's bits, the run with one must have them too; elsewhere its error may be ten times as large.

    python3 Tests/Conformance/control_vector_conformance.py --quipu .build/release/quipu MODEL.gguf … [--seed 1]
"""

import argparse
import ctypes as C
import json
import os
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

from oracle import Session

PROMPT = "Once upon a time the dog ran to the"


def steer(session, directions, factor, layers):
    """As `common_control_vector_load` and `common_init` do it: the factor first, rows for layers 1 and up."""
    width = next(iter(directions.values())).size
    data = np.zeros(max(directions) * width, np.float32)
    for layer, direction in directions.items():
        data[(layer - 1) * width : layer * width] += direction * np.float32(factor)
    name = "llama_set_adapter_cvec" if hasattr(llama_cpp, "llama_set_adapter_cvec") else "llama_apply_adapter_cvec"
    pointer = data.ctypes.data_as(C.POINTER(C.c_float))
    status = getattr(llama_cpp, name)(session._context, pointer, data.size, width, layers[0], layers[1] - 1)
    assert status == 0, f"llama.cpp refuses the vector: {status}"
    return data


def streams(nodes):
    return {name: values for _, name, _, values in nodes if name.startswith("l_out-") and values is not None}


def recorded(quipu, folder, options, names):
    path = os.path.join(folder, "trace.db")
    subprocess.run([quipu, "trace", *options, "--force", "--output", path], check=True, capture_output=True)
    arrays = os.path.join(folder, "values.npz")
    subprocess.run([quipu, "export", path, *names, "--output", arrays, "--force"], check=True, capture_output=True)
    with np.load(arrays) as file:
        return {key: file[key].copy() for key in file.files}


def error(found, expected):
    """Normalised mean square error; 0 where all bits are the same."""
    found, expected = found.reshape(-1), expected.reshape(-1)
    if np.array_equal(found.view(np.uint32), expected.view(np.uint32)):
        return 0.0
    difference = found.astype(np.float64) - expected
    return float((difference**2).sum() / (expected.astype(np.float64) ** 2).sum())


def compare(quipu, model, ids, folder, vector):
    """The largest error of a layer's stream, and that of the logits."""
    session = Session(model)
    options = [model, "--ids", ",".join(map(str, ids))]
    if vector:
        path, directions, factor, layers = vector
        data = steer(session, directions, factor, layers)
        options += ["--control-vector", f"{path}*{factor}", "--control-vector-layers", f"{layers[0]}:{layers[1]}"]
    logits, nodes = session.record(ids)
    expected = streams(nodes)
    expected["result_output"] = logits
    found = recorded(quipu, folder, options, list(expected))
    assert set(found) == set(expected), sorted(set(found) ^ set(expected))
    if vector:
        del data
    errors = {name: error(found[name], expected[name]) for name in expected}
    return max(value for name, value in errors.items() if name != "result_output"), errors["result_output"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quipu", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    failures = 0
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            session = Session(model)
            ids = session.tokenize(PROMPT) if session.n_vocab > 1000 else []
            ids = ids or generator.integers(3, session.n_vocab, 9).tolist()
            _, nodes = session.record(ids)
            sizes = streams(nodes)
            layers = len(sizes)
            directions = {}
            for layer in range(1, layers):
                stream = sizes[f"l_out-{layer}"]
                width = stream.shape[-1]
                size = float(np.sqrt((stream.astype(np.float64) ** 2).mean()))
                directions[layer] = (generator.standard_normal(width) * size / 10).astype(np.float32)
            path = os.path.join(folder, "vector.gguf")
            writer = gguf.GGUFWriter(path, "controlvector")
            writer.add_string("controlvector.model_hint", "llama")
            writer.add_int32("controlvector.layer_count", layers - 1)
            for layer, direction in directions.items():
                writer.add_tensor(f"direction.{layer}", direction)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()

            plain = compare(options.quipu, model, ids, folder, None)
            factor = float(np.float32(round(generator.uniform(-2, 2), 3)))
            cases = {"all layers": (1, layers)}
            if layers > 2:
                first = int(generator.integers(1, layers - 1))
                cases["some"] = (first, int(generator.integers(first + 1, layers)))
            for name, chosen in cases.items():
                steered = compare(options.quipu, model, ids, folder, (path, directions, round(factor, 3), chosen))
                bad = any(s > max(0 if p == 0 else 1e-12, 10 * p) for s, p in zip(steered, plain, strict=True))
                failures += bad
                print(json.dumps({
                    "model": os.path.basename(model), "case": name, "layers": chosen, "factor": round(factor, 3),
                    "plain": plain, "steered": steered, "ok": not bad,
                }))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
