"""Answers to the lessons that measure whole models (17 to 20), computed with passes in numpy; as lesson_answers.py has them for
the others. `f.quipu` only writes files: nothing that it measures is taken over, save where a lesson asks what follows from
it.
"""

import functools
import math
import os
import subprocess
import tempfile

import numpy as np

from numpy_llama import Llama, divergence


def written(f, kind):
    """The path of the model in another file type."""
    path = os.path.join(tempfile.mkdtemp(), kind + ".gguf")
    subprocess.run([f.quipu, "quantize", f.model, path, kind, "--allow-requantize"], check=True, capture_output=True)
    return path


def relative(found, reference, at=slice(None)):
    """Rms of the error over rms of the values."""
    error = (found[at] - reference[at]).astype(np.float64)
    return float(np.sqrt((error ** 2).sum() / (reference[at].astype(np.float64) ** 2).sum()))


# Eighteen: the prompt in four chains.
class Spread:
    def __init__(self, f):
        self.base, self.other = Llama(f.model), Llama(written(f, "Q4_0"))
        self.ids = f.column("SELECT token_id FROM token WHERE source = 'prompt' ORDER BY position")
        a, b = self.base, self.other
        self.reference = a.forward(self.ids)
        self.weights = a.forward(self.ids, b.weights)
        self.activations = a.forward(self.ids, None, b.types)
        self.both = a.forward(self.ids, b.weights, b.types)
        self.last = a.layers - 1

    def error(self, chain, name, at=slice(None)):
        return relative(chain[name], self.reference[name], at)

    def deeper(self):
        return self.error(self.both, f"l_out-{self.last}", -1) / self.error(self.both, "l_out-0", -1)

    def own(self):
        """The local error of the last feed-forward network's product, over its accumulated one."""
        name = f"ffn_out-{self.last}"
        tensor = f"blk.{self.last}.ffn_down.weight"
        local = self.base.product(tensor, self.reference[name + "<"], self.other.weights, self.other.types)
        return relative(local, self.reference[name]) / self.error(self.both, name)

    @functools.cached_property
    def parts(self):
        """The divergence with one part rounded and nothing else: the embedding, each layer, the output."""
        a, b = self.base, self.other
        layers = [{n for n in b.types if n.startswith(f"blk.{i}.")} for i in range(a.layers)]

        def alone(names):
            weights = {n: (b.weights[n] if n in names else w) for n, w in a.weights.items()}
            types = {n: (b.types[n] if n in names else "F32") for n in b.types}
            return divergence(self.reference["result_output"], a.forward(self.ids, weights, types)["result_output"])

        # The embedding is looked up: its type rounds no activations.
        return [alone(names) for names in [{"token_embd.weight"}, *layers, {"output.weight"}]]

    def worst(self):
        layers = self.parts[1:-1]
        return str(int(np.argmax(layers))), 100 * max(layers) / sum(self.parts)


@functools.cache
def spread(f):
    return Spread(f)


def harm(f):
    s = spread(f)
    return s.error(s.weights, "result_output") / s.error(s.activations, "result_output")


PROMPT = ("--prompt", "Mia has the ball. Tom has the kite. Tom is at the lake. Who has the ball?")

ANSWERS = {
    "error-travels/who-rounds": lambda f: f"{harm(f) > 1} {harm(f)}",
    "error-travels/depth": lambda f: f"{spread(f).deeper() >= spread(f).base.layers} {spread(f).deeper()}",
    "error-travels/own-share": lambda f: 100 * spread(f).own() ** 2,
    "error-travels/worst-layer": lambda f: spread(f).worst(),
}

MISTAKES = {
    "error-travels/who-rounds": (lambda f: f"{harm(f) > 1} {harm(f) ** 2}", "mean *squares*"),
    "error-travels/depth": (
        lambda f: f"{spread(f).deeper() >= spread(f).base.layers} {math.sqrt(spread(f).base.layers)}", "root"),
    "error-travels/own-share": (lambda f: 100 * (1 - spread(f).own() ** 2), "came in with its input"),
    "error-travels/worst-layer": (lambda f: (spread(f).worst()[0], 100 / len(spread(f).parts)), "all parts were alike"),
}

CHANGES = {
    "error-travels/less-error": lambda f: (
        ["propagate", f.model, "--no-shares", *PROMPT, "--output", "OUT"],
        ["propagate", written(f, "Q8_0"), "--base", f.model, "--no-shares", *PROMPT, "--output", "OUT"]),
}
