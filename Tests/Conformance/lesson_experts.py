"""Answers to the lesson on experts and latent attention, from the GGUF and the recorded logits of the routers; as
lesson_answers.py has them for the others. Which experts were chosen is worked out here, not read from the trace.
"""

import itertools

import numpy as np


def key(f, name):
    fields = f.reader.fields
    return int(fields[fields["general.architecture"].contents() + "." + name].contents())


def n(f): return key(f, "expert_count")
def k(f): return key(f, "expert_used_count")
def layer(f): return key(f, "leading_dense_block_count")
def experts(f): return [t for t in f.reader.tensors if t.name.split(".")[-2].endswith("_exps")]
def routed(f): return sum(int(t.n_elements) for t in experts(f))
def routed_bytes(f): return sum(int(t.n_bytes) for t in experts(f))
def layers(f): return len({t.name.split(".")[1] for t in experts(f)})
def params(f): return sum(int(t.n_elements) for t in f.reader.tensors)


def deep(f): return max(layer(f), key(f, "block_count") - 2)


def scores(f, at):
    """Of every token of the prompt in a layer, [token, expert]."""
    return 1 / (1 + np.exp(-f.values(f"ffn_moe_logits-{at}")))


def chosen(f, at):
    """[token, choice], the best first."""
    biased = scores(f, at) + f.row(f"blk.{at}.exp_probs_b.bias", 0)
    return np.argsort(-biased, axis=1, kind="stable")[:, :k(f)]


def picked(f): return scores(f, layer(f))[-1][chosen(f, layer(f))[-1]]
def even(f, tokens): return 100 * (1 - (1 - k(f) / n(f)) ** tokens)


def alike(f):
    return np.mean([len(set(a) & set(b)) for a, b in itertools.pairwise(chosen(f, deep(f)))])


def pair(f): return 100 * (2 * k(f) - alike(f)) / n(f)
def heads(f): return key(f, "attention.head_count")
def rank(f): return key(f, "attention.kv_lora_rank")
def turned(f): return key(f, "rope.dimension_count")
def k_size(f): return key(f, "attention.key_length_mla")
def v_size(f): return key(f, "attention.value_length_mla")
def latent(f): return 2 * (rank(f) + turned(f))
def mha(f): return 2 * heads(f) * (k_size(f) + v_size(f))
def unread(f): return routed_bytes(f) / layers(f) * (n(f) - k(f)) / n(f)


def first(f, number): return (str(chosen(f, layer(f))[-1][0]), number)
def bills(f, number): return ("The question mixes up", number)


ANSWERS = {
    "experts/active": lambda f: params(f) - routed(f) * (n(f) - k(f)) // n(f),
    "experts/who": lambda f: first(f, picked(f)[0] / picked(f).sum()),
    "experts/even": lambda f: even(f, 3),
    "experts/measured": lambda f: f"{pair(f) < even(f, 2)} {pair(f)}",
    "experts/memory": lambda f: ("All that is stored", routed_bytes(f)),
    "experts/latent-bytes": latent,
    "experts/price": lambda f: (rank(f) + turned(f)) / k_size(f),
    "experts/category": lambda f: bills(f, unread(f) / (mha(f) - latent(f))),
}

MISTAKES = {
    "experts/active": (lambda f: params(f) - routed(f), "leaves out all experts"),
    "experts/who": (lambda f: first(f, picked(f)[0]), "That is its score"),
    "experts/even": (lambda f: 100 - even(f, 3), "*not* read"),
    "experts/measured": (lambda f: f"{pair(f) < even(f, 2)} {even(f, 2)}", "even routing would give"),
    "experts/memory": (lambda f: ("All that is stored", routed_bytes(f) // layers(f)), "That is one layer"),
    "experts/latent-bytes": (lambda f: 2 * rank(f), "rotated part"),
    "experts/price": (lambda f: rank(f) / k_size(f), "rotated part"),
    "experts/category": (lambda f: bills(f, unread(f) / mha(f)), "not by what is saved"),
}
