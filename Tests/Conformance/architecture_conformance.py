#!/usr/bin/env python3
"""Random models of every architecture against the real llama.cpp: every node of every pass, and the greedy
continuation.

    python3 Tests/Conformance/architecture_conformance.py --quipu .build/release/quipu [--seed 7] [--count 3] [NAME ...]

For each architecture `--count` models with F32 weights and as many with others; sizes, weights and tokens follow from
the seed, so that a failure can be repeated. Kinds, names, order, shapes and sources of nodes must be equal. With F32
weights, values may differ by an NMSE of 1e-10 a node, and greedy tokens must be equal; else by whole_pass.py's limit.
Needs requirements.txt and requirements-whole-pass.txt.
"""

import argparse
import os
import random
import sys
import tempfile

import numpy as np

import models
import whole_pass
from program import Quipu
from trace import Trace

FLOAT_LIMIT = 1e-10
OTHER_FORMATS = ["F16", "BF16", "Q8_0", "Q5_1", "Q4_0", "Q4_K", "Q6_K", "MXFP4"]

# What files of an architecture may have besides what they must have.
MAY_HAVE = {
    "llama": dict(biases=["", "qkv", "all"], separate_output=[False, True], fused_qkv=[False, True],
                  rope_factors=[False, True], long_factors=[False, True], original_context=[0, 128, 1024]),
    "mixtral": dict(biases=["", "qkv"], separate_output=[False, True], rope_factors=[False, True],
                    experts=[2, 4, 7, 8, 21], experts_used=[1, 2]),
    "deepseek2": dict(separate_output=[False, True], dense_layers=[0, 1], experts=[8, 16], experts_used=[1, 2, 4],
                      groups=[(), (4, 2), (2, 1)], router_bias=[False, True], query_rank=[0, 64]),
    "deepseek2-lite": dict(layers=[26], separate_output=[False, True], experts=[4, 6]),
    "deepseek2-old": dict(separate_output=[False, True], dense_layers=[0, 1], query_rank=[0, 64]),
    "qwen2": dict(separate_output=[False, True], fused_qkv=[False, True]),
    "qwen2moe": dict(experts=[4, 9, 20], experts_used=[1, 2, 4]),
    "qwen3moe": dict(biases=["", "qkv"], separate_output=[False, True], experts=[4, 8, 33], experts_used=[1, 2, 4]),
    "qwen3": dict(biases=["", "qkv"], separate_output=[False, True]),
    "smollm3": dict(biases=["", "qkv"], separate_output=[False, True], fused_qkv=[False, True], layers=[4, 5, 8]),
    "olmo2": dict(biases=["", "qkv"]),
    "granite": dict(biases=["", "qkv", "all"], separate_output=[False, True], fused_qkv=[False, True],
                    rope_factors=[False, True]),
    "gemma2": dict(biases=["", "qkv"], fused_qkv=[False, True], layers=[1, 2, 3, 4]),
    "gemma3": dict(biases=["", "qkv"], separate_output=[False, True], fused_qkv=[False, True], layers=[2, 6, 7]),
    "phi3": dict(
        fused_qkv=[False, True], separate_output=[False, True], rope_scaling=[""], original_context=[128, 1024]),
    "gpt-oss": dict(fused_qkv=[False, True], layers=[1, 2, 3, 4], experts=[4, 8, 9], experts_used=[1, 2, 4],
                    rope_scaling=["", "yarn"]),
    "command-r": dict(biases=["", "qkv"], fused_qkv=[False, True]),
    "starcoder2": dict(separate_output=[False, True], fused_qkv=[False, True]),
    "mistral3": dict(biases=["", "qkv", "all"], separate_output=[False, True], fused_qkv=[False, True],
                     long_factors=[False, True], original_context=[64, 128]),
}
# Keys whose numbers stand for words.
NAMES = {"expert_gating_func"}
# llama.cpp reads heads of these as embedding / heads wide.
PLAIN_HEADS = {"qwen2", "qwen2moe", "olmo2", "phi3", "command-r", "starcoder2"}


def recipe(architecture, weights, number, chance):
    """A model of random sizes."""
    must, may = models.ARCHITECTURES[architecture], MAY_HAVE[architecture]
    kv_heads = chance.choice([1, 2, 3])
    heads = kv_heads * chance.choice([1, 2, 3, 4])
    if weights.endswith("_K"):  # rows of whole super-blocks
        heads, kv_heads = 4, chance.choice([1, 2, 4])
        sizes = dict(
            embedding=256, head_size=64 if architecture in PLAIN_HEADS else chance.choice([64, 128]), feed_forward=512)
    else:
        size = chance.choice([32, 64]) if weights[0] in "QM" else chance.choice([8, 12, 32, 48])
        embedding = heads * size if architecture in PLAIN_HEADS else chance.choice([32, 96, 160])
        sizes = dict(embedding=embedding, head_size=size, feed_forward=chance.choice([32, 96, 224]))
    facts = must | dict(
        layers=chance.choice([1, 2, 3]), heads=heads, kv_heads=kv_heads,
        rope_scaling=chance.choice(["", "linear", "yarn"]),
        vocabulary=chance.choice(["sentencepiece", "byte_pair"])) | sizes
    facts |= {key: chance.choice(values) for key, values in may.items()}
    if facts.get("layers") == 1:
        facts["dense_layers"] = 0
    for width in ("expert_width", "shared_width"):  # whole blocks, as all widths
        if width in must:
            facts[width] = chance.choice([256, 512] if weights.endswith("_K") else [32, 64, 96])
    if "latent" in must:
        widths = [256] if weights.endswith("_K") else [32, 64] if weights[0] in "QM" else [12, 16, 40]
        facts["latent"] = tuple(chance.choice(sizes) for sizes in (widths, [4, 8, 32], widths, widths))
        facts["shared_width"] = facts["expert_width"] * chance.choice([1, 2])
        facts["query_rank"] = facts.get("query_rank", 0) and (256 if weights.endswith("_K") else 64)
    if "keys" in must:
        facts["keys"] = tuple(
            (key, number if isinstance(number, bool) or key in NAMES
             else type(number)(number * chance.uniform(0.5, 2)))
            for key, number in must["keys"])
    if facts.get("long_factors"):  # in place of another way to stretch
        facts |= dict(rope_scaling="", rope_factors=False)
    return models.Recipe(
        f"{architecture}-{weights.lower()}-{number}", weights, seed=chance.randrange(1, 1 << 31),
        **(dict(architecture=architecture) | facts))


def check(quipu, distance, made, folder, chance):
    """Traces a random prompt and holds it against llama.cpp. Returns problems beyond those of nodes."""
    model = models.write(made, folder)
    ids = [chance.randrange(3, 256) for _ in range(chance.choice([1, 2, 7, 31, 270]))]
    path = quipu.trace(model, ids, os.path.join(folder, "trace.db"), generate=8)
    logits = distance.check(path, model, made.name)
    trace = Trace(path)
    problems = []
    if trace.tokens[:len(ids)] != ids:
        problems.append(f"{made.name}: another prompt was recorded than was asked for")
    expected = [int(np.argmax(row)) for row in logits][:len(trace.generated)]
    if distance.limit == FLOAT_LIMIT and trace.generated != expected:
        problems.append(f"{made.name}: greedy {trace.generated}, llama.cpp {expected}")
    os.remove(model)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(models.ARCHITECTURES))
    parser.add_argument("--quipu", required=True, help="the program under test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=3)
    options = parser.parse_args()
    quipu, chance = Quipu(options.quipu), random.Random(options.seed)
    exact, rounded = whole_pass.NodeDistance(FLOAT_LIMIT), whole_pass.NodeDistance()
    problems = []
    with tempfile.TemporaryDirectory(prefix="quipu-architectures-") as folder:
        for name in options.names:
            for number in range(options.count):
                for distance, weights in ((exact, "F32"), (rounded, chance.choice(OTHER_FORMATS))):
                    made = recipe(name, weights, number, chance)
                    found = check(quipu, distance, made, folder, chance)
                    print(f"{'FAILED' if found else 'ok    '}  {made.name}", flush=True)
                    problems += found
    for distance in (exact, rounded):
        distance.report()
        problems += distance.problems
    for problem in problems[:40]:
        print("FAILED:", problem[:400])
    sys.exit(f"{len(problems)} problems, seed {options.seed}" if problems else 0)


if __name__ == "__main__":
    main()
