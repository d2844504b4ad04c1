"""Gives the trained weights a few outlier channels, as large language models have them, without changing the model.

A norm's weight for a channel times k and the columns that read that channel divided by k is the same function; with k a
power of two it is so to the bit, but for weights too small for F16's full precision (below 5e-4 after division).

Two kinds, in the same channels of every layer, because both are found in large models and hurt quantisation
differently:
  loud   the norm's weight up, the columns down: an activation far above the rest, as LLM.int8() found; the small
         columns that read it are rounded coarsely although they matter most, which an importance matrix sees.
  heavy  the norm's weight down, the columns up: a few large weights in every row, which widen the step of their block.
"""

import torch

LOUD = {37: 8.0, 165: 4.0}
HEAVY = {12: 8.0, 70: 4.0, 139: 8.0, 211: 4.0}
READERS = {"attn_norm": ["attn_q", "attn_k", "attn_v"], "ffn_norm": ["ffn_gate", "ffn_up"]}


@torch.no_grad()
def add(network):
    factors = torch.ones(network.shape.embedding)
    for channel, factor in LOUD.items():
        factors[channel] = factor
    for channel, factor in HEAVY.items():
        factors[channel] = 1 / factor
    for layer in network.blk:
        for norm, readers in READERS.items():
            _rescale(getattr(layer, norm), [getattr(layer, reader) for reader in readers], factors)
    _rescale(network.output_norm, [network.output], factors)


def _rescale(norm, readers, factors):
    norm.weight *= factors
    for reader in readers:
        reader.weight /= factors
