"""Answers to the lessons that measure whole models (17 to 20), computed with passes in numpy; as lesson_answers.py has
them for the others. `f.quipu` only writes files: nothing that it measures is taken over, save where a lesson asks what
follows from it.
"""

import functools
import glob
import json
import math
import os
import subprocess
import tempfile

import numpy as np

from lesson_answers import Q4_0, W, decoded
from numpy_llama import Llama, divergence, log_softmax

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models")
MICRO, TRAINED = (os.path.join(MODELS, f"micro-world-{name}.gguf") for name in ("f16", "qat-q2_k"))
HELD_OUT = os.path.join(MODELS, "micro-world-held-out.txt")


@functools.cache
def written(f, *kind, model=None):
    """The path of the model, or of another, in another file type, with options if need be."""
    path = os.path.join(tempfile.mkdtemp(), kind[0] + ".gguf")
    subprocess.run(
        [f.quipu, "quantize", model or f.model, path, *kind, "--allow-requantize"], check=True, capture_output=True)
    return path


def relative(found, reference, at=slice(None)):
    """Rms of the error over rms of the values."""
    error = (found[at] - reference[at]).astype(np.float64)
    return float(np.sqrt((error ** 2).sum() / (reference[at].astype(np.float64) ** 2).sum()))


# Eighteen: the prompt in four runs.
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

    def error(self, run, name, at=slice(None)):
        return relative(run[name], self.reference[name], at)

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


# Seventeen and nineteen: the held-out text, in chunks of which the second halves count.
class Reading:
    def __init__(self, f, model, size, count):
        self.base, self.size = Llama(model), size
        ids, start = self.tokens(f, model, size * count)
        self.chunks = [start + ids[i * size + len(start):(i + 1) * size] for i in range(count)]
        self.targets = [token for chunk in self.chunks for token in chunk[size // 2 + 1:]]
        self.expected = self.logits()

    @staticmethod
    def tokens(f, model, count):
        """The first ids of the text, and what the vocabulary begins every text with."""
        with open(HELD_OUT, encoding="utf-8") as file:
            text = file.read(12 * count).rpartition("\n")[0]

        def ids(*options):
            done = subprocess.run(
                [f.quipu, "tokenize", model, text, "--json", *options], check=True, capture_output=True, text=True)
            return json.loads(done.stdout)["ids"]

        found, plain = ids(), ids("--no-add-special")
        assert len(found) >= count, f"{len(found)} tokens, expected {count}"
        return found[:count], found[:len(found) - len(plain)]

    def logits(self, weights=None, types=None):
        """[positions, vocabulary], with activations rounded as the types of the weights ask."""
        rows = [
            self.base.forward(chunk, weights, types or self.base.types)["result_output"][self.size // 2:-1]
            for chunk in self.chunks
        ]
        return np.concatenate(rows)

    def perplexity(self, logits=None):
        found = log_softmax(self.expected if logits is None else logits)
        return math.exp(-found[np.arange(len(self.targets)), self.targets].mean())

    def version(self, path):
        """Perplexity, KLD, and the share of positions with the same token on top."""
        other = Llama(path)
        found = self.logits(other.weights, other.types)
        same = float((found.argmax(axis=1) == self.expected.argmax(axis=1)).mean())
        return self.perplexity(found), divergence(self.expected, found), same


@functools.cache
def reading(f, size=128, count=4, model=None): return Reading(f, model or f.model, size, count)


TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")


@functools.cache
def table(f):
    """Of each type: perplexity, KLD, share of the same; and bytes."""
    return [(*reading(f).version(written(f, kind)), os.path.getsize(written(f, kind))) for kind in TYPES]


def steepest(f):
    kld = [row[1] for row in table(f)]
    worst = max(range(1, len(kld)), key=lambda i: kld[i] - kld[i - 1])
    return TYPES[worst], kld[worst] - kld[worst - 1], kld[worst]


def other_top(f):
    """In percent, of the version with the lowest perplexity among those that differ."""
    return 100 * (1 - min(row for row in table(f) if row[1] > 1e-9)[2])


def good_enough(f):
    """The smallest type below the limit between the fourth and fifth KLD."""
    kld = sorted(row[1] for row in table(f))
    limit = math.sqrt(kld[3] * kld[4])
    return min((row[3], i) for i, row in enumerate(table(f)) if row[1] <= limit)[1]


def log_chances(f, scale=1):
    """ln(p) of each generated token, by the logits scaled."""
    ids = f.column("SELECT token_id FROM token WHERE source = 'generated' ORDER BY position")
    return [float(log_softmax(scale * f.values("result_output", step=s).reshape(-1))[i]) for s, i in enumerate(ids)]


def two_outcomes(f):
    """Of the token nearest to an even chance: its probability, and that by a quarter of the logits."""
    p, q = (np.exp(log_chances(f, scale)) for scale in (1, 0.25))
    s = np.argmin(np.abs(p - 0.5))
    return p[s], q[s]


def kl(p, q): return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


# Nineteen: one role at a time in Q4_0.
def role(name): return name.removesuffix(".weight").split(".")[-1]


@functools.cache
def roles(f):
    """Role, KLD and number of weights, the most sensitive first."""
    text, other = reading(f), Llama(written(f, "Q4_0", "--pure"))
    a, found = text.base, []
    for name in {role(n) for n in a.elements if not n.endswith("norm.weight")}:
        # The output matrix of a model that has none is the token table.
        meant = {n for n in other.types if role(n) == name or (name == "token_embd" and n not in a.elements)}
        weights = {n: other.weights[n] if n in meant else w for n, w in a.weights.items()}
        types = {n: other.types[n] if n in meant else t for n, t in a.types.items()}
        kld = divergence(text.expected, text.logits(weights, types))
        found.append((kld, name, sum(a.elements[n] for n in meant if n in a.elements)))
    return [(name, kld, n) for kld, name, n in sorted(found, reverse=True)]


def harm_by_weight(f):
    (first, kld, n), (_, middle, m) = roles(f)[0], roles(f)[len(roles(f)) // 2]
    return first, kld / n / (middle / m), kld / middle


def importances(f): return (f.values("kqv_out-0") ** 2).mean(axis=0)


def heard(f):
    error = (decoded(f.row(W, 0), Q4_0) - f.row(W, 0))[:6]
    harms = importances(f)[:6] * error ** 2
    most, squares = int(harms.argmax()), error ** 2
    return str(most), 100 * harms[most] / harms.sum(), 100 * squares[most] / squares.sum()


@functools.cache
def rounded_or_trained(f):
    """Perplexities of the embedded model: as it is, rounded, trained rounded."""
    text = reading(f, count=8, model=MICRO)
    return text.perplexity(), text.version(written(f, "Q2_K", model=MICRO))[0], text.version(TRAINED)[0]


def avoided(f):
    before, ptq, qat = rounded_or_trained(f)
    return abs(qat - ptq) < abs(qat - before), 100 * (ptq - qat) / (ptq - before)


def favoured(f):
    name = roles(f)[0][0]
    return ("^output" if name == "output" else name) + "=q8_0"


# Twenty: bytes of the file, and what follows from what `quipu bench` measured for this learner.
def bytes_a_token(f):
    table = f.tensors["token_embd.weight"]
    tied = "output.weight" not in f.tensors
    total = sum(int(t.n_bytes) for t in f.tensors.values())
    return total - (not tied) * int(table.n_bytes) + int(table.n_bytes) // int(table.shape[1])


def down(f): return f.tensors["blk.0.ffn_down.weight"]


@functools.cache
def bench(f):
    for path in glob.glob(os.path.join(os.path.dirname(f.trace), "output-*")):
        with open(path, encoding="utf-8") as file:
            kept = file.read()
        if kept.startswith("{") and "memory_bandwidth" in kept:
            return json.loads(kept)
    raise RuntimeError("the lesson has not measured yet")


def slowest(f):
    """Of all that computes, what takes the most time in saying a token."""
    return max((op for op in bench(f)["ops"] if op["phase"] == "decode" and op["ops"] > 0), key=lambda op: op["ns"])


def limit(f):
    op = slowest(f)
    waits = "For bytes" if op["intensity"] < op["balance"] else "For its own"
    return waits, op["balance"] / op["intensity"], op["balance"]


def times_as_long(f):
    rate = {phase: bench(f)[phase]["tokens_per_second"] for phase in ("prompt", "decode")}
    return rate["decode"] / rate["prompt"]


def prompt_time(f):
    n = bench(f)["prompt"]["n_tokens"]
    return n * times_as_long(f) >= n, n * times_as_long(f)


PROMPT = ("--prompt", "Mia has the ball. Tom has the kite. Tom is at the lake. Who has the ball?")

ANSWERS = {
    "error-travels/who-rounds": lambda f: f"{harm(f) > 1} {harm(f)}",
    "error-travels/depth": lambda f: f"{spread(f).deeper() >= spread(f).base.layers} {spread(f).deeper()}",
    "error-travels/own-share": lambda f: 100 * spread(f).own() ** 2,
    "error-travels/worst-layer": lambda f: spread(f).worst(),
    "perplexity/by-hand": lambda f: math.exp(-np.mean(log_chances(f))),
    "perplexity/divergence": lambda f: kl(*two_outcomes(f)),
    "perplexity/steepest": lambda f: steepest(f)[:2],
    "perplexity/lower": lambda f: f"false {other_top(f)}",
    "sensitivity/most-sensitive": lambda f: harm_by_weight(f)[:2],
    "sensitivity/importance": lambda f: importances(f).max(),
    "sensitivity/heard": lambda f: heard(f)[:2],
    "sensitivity/trained": lambda f: "{} {}".format(*avoided(f)),
    "roofline/bytes-a-token": bytes_a_token,
    "roofline/intensity": lambda f: 2 * int(down(f).n_elements) / int(down(f).n_bytes),
    "roofline/limit": lambda f: limit(f)[:2],
    "roofline/prompt": lambda f: "{} {}".format(*prompt_time(f)),
    "roofline/bound": lambda f: bench(f)["memory_bandwidth"] / bytes_a_token(f),
}

MISTAKES = {
    "error-travels/who-rounds": (lambda f: f"{harm(f) > 1} {harm(f) ** 2}", "mean *squares*"),
    "error-travels/depth": (
        lambda f: f"{spread(f).deeper() >= spread(f).base.layers} {math.sqrt(spread(f).base.layers)}", "root"),
    "error-travels/own-share": (lambda f: 100 * (1 - spread(f).own() ** 2), "came in with its input"),
    "error-travels/worst-layer": (lambda f: (spread(f).worst()[0], 100 / len(spread(f).parts)), "all parts were alike"),
    "perplexity/by-hand": (lambda f: math.exp(np.mean(log_chances(f))), "minus is missing"),
    "perplexity/divergence": (lambda f: kl(*reversed(two_outcomes(f))), "other way round"),
    "perplexity/steepest": (lambda f: steepest(f)[::2], "That is its KLD"),
    "perplexity/lower": (lambda f: f"false {100 - other_top(f)}", "how often it has the *same*"),
    "sensitivity/most-sensitive": (lambda f: harm_by_weight(f)[::2], "ratio of the KLDs"),
    "sensitivity/importance": (lambda f: math.sqrt(importances(f).max()), "the rms"),
    "sensitivity/heard": (lambda f: heard(f)[::2], "Importance is missing"),
    "sensitivity/trained": (lambda f: f"{avoided(f)[0]} {100 - avoided(f)[1]}", "the share that is left"),
    "roofline/bytes-a-token": (
        lambda f: sum(int(t.n_elements) for t in f.tensors.values()), "one number for each weight"),
    "roofline/intensity": (lambda f: int(down(f).n_elements) / int(down(f).n_bytes), "two operations"),
    "roofline/limit": (lambda f: (limit(f)[0], limit(f)[2] - slowest(f)["intensity"]), "difference"),
    "roofline/prompt": (lambda f: f"{prompt_time(f)[0]} {1 / times_as_long(f)}", "as fast reading is"),
    "roofline/bound": (lambda f: bench(f)["decode"]["tokens_per_second"], "what was measured"),
}

CHANGES = {
    "error-travels/less-error": lambda f: (
        ["propagate", f.model, "--no-shares", *PROMPT, "--output", "OUT"],
        ["propagate", written(f, "Q8_0"), "--base", f.model, "--no-shares", *PROMPT, "--output", "OUT"]),
    "perplexity/smallest": lambda f: tuple(
        ["quantize", f.model, "OUT", kind, "--allow-requantize"]
        for kind in ("Q5_1", TYPES[good_enough(f)])),
    "sensitivity/favour": lambda f: tuple(
        ["quantize", f.model, "OUT", "Q4_0", "--pure", "--allow-requantize", "--tensor-type", rule]
        for rule in ("weight=q8_0", favoured(f))),
    "roofline/fewer-bytes": lambda f: tuple(
        ["quantize", f.model, "OUT", kind, "--pure", "--allow-requantize"] for kind in ("F16", "Q4_0")),
}
