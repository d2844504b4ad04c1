"""The embedded model's network: a llama, small, in PyTorch.

Read it top to bottom: the shape, one layer, the stack. Shapes are [batch, position, channel]. The rotary embedding
turns neighbouring pairs of channels (2i, 2i+1), as ggml's `llama` architecture does, so weights go into the GGUF as
they are: the permutation of q and k that converters apply is for checkpoints that pair channel i with i + 16.
"""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass(frozen=True)
class Shape:
    vocabulary: int = 1024
    embedding: int = 256
    layers: int = 4
    feed_forward: int = 512
    heads: int = 8
    kv_heads: int = 2
    head_size: int = 32
    context: int = 256
    rope_base: float = 10000.0
    epsilon: float = 1e-5


# The GGUF's keys, after the architecture's name, and the fields of a shape that they hold: those of every network.
KEYS = {"vocab_size": "vocabulary", "context_length": "context", "embedding_length": "embedding",
        "block_count": "layers", "feed_forward_length": "feed_forward", "attention.head_count": "heads",
        "rope.freq_base": "rope_base", "attention.layer_norm_rms_epsilon": "epsilon"}


class RMSNorm(nn.Module):
    def __init__(self, shape, width=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width or shape.embedding))
        self.epsilon = shape.epsilon

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.epsilon)


def rope_table(shape, length):
    """cos and sin of position times frequency, [position, head_size / 2]."""
    frequency = shape.rope_base ** (-torch.arange(0, shape.head_size, 2).float() / shape.head_size)
    angle = torch.outer(torch.arange(length).float(), frequency)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Turns each pair of neighbouring channels of x, [batch, head, position, head_size], by its position's angle."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        n, kv = shape.embedding, shape.kv_heads * shape.head_size
        self.attn_norm = RMSNorm(shape)
        self.attn_q = nn.Linear(n, n, bias=False)
        self.attn_k = nn.Linear(n, kv, bias=False)
        self.attn_v = nn.Linear(n, kv, bias=False)
        self.attn_output = nn.Linear(n, n, bias=False)
        self.ffn_norm = RMSNorm(shape)
        self.ffn_gate = nn.Linear(n, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(n, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, n, bias=False)

    def forward(self, x, cos, sin, watch=None):
        normed = self.attn_norm(x)
        q, k, v = (linear(normed).unflatten(-1, (-1, self.shape.head_size)).transpose(1, 2)
                   for linear in (self.attn_q, self.attn_k, self.attn_v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        weights = attention_weights(q, k)
        if watch is not None:
            watch.append(weights)
        heads = weights @ v.repeat_interleave(self.shape.heads // self.shape.kv_heads, dim=1)
        x = x + self.attn_output(heads.transpose(1, 2).flatten(-2))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


def attention_weights(q, k):
    """softmax(q k / sqrt(head_size)) under the causal mask, [batch, head, to, from]; query head h reads KV head
    h // group."""
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    future = torch.full(scores.shape[-2:], -math.inf, dtype=scores.dtype).triu(1)
    return torch.softmax(scores + future, -1, dtype=scores.dtype)


class Llama(nn.Module):
    """Parameter names are those of the GGUF, with dots for the layer number: `blk.0.attn_q.weight`."""

    architecture = "llama"
    shape_type = Shape
    keys = KEYS | {"attention.head_count_kv": "kv_heads", "rope.dimension_count": "head_size"}

    def __init__(self, shape=None):
        super().__init__()
        self.shape = shape = shape or self.shape_type()
        self.token_embd = nn.Embedding(shape.vocabulary, shape.embedding)
        self.blk = nn.ModuleList(self.layer(number) for number in range(shape.layers))
        self.output_norm = RMSNorm(shape)
        self.output = nn.Linear(shape.embedding, shape.vocabulary, bias=False)
        self.rope = rope_table(shape, 2 * shape.context)

    def layer(self, number):
        return Layer(self.shape)

    def other_keys(self):
        """Keys that no field of the shape holds."""
        return {}

    def after_step(self, real):
        """What training does after a step besides descending; `real` is true where a token is not padding."""

    def initialise(self, generator):
        """Normal with variance 1 / inputs (in a prototype the usual 0.02 formed no induction heads). Of a token's
        embedding one input is not zero, so its variance is 1; with 1/256 induction had not formed after 500 steps."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                std = 1.0 if name == "token_embd.weight" else parameter.shape[-1] ** -0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, ids, watch=None):
        """Logits [batch, position, vocabulary]; `watch`, a list, gets each layer's attention weights."""
        cos, sin = (table[: ids.shape[1]] for table in self.rope)
        x = self.token_embd(ids)
        if torch.is_autocast_enabled("cpu"):
            x = x.bfloat16()
        for layer in self.blk:
            x = layer(x, cos, sin, watch)
        return self.output(self.output_norm(x))
