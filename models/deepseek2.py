"""The sibling's network: deepseek2's architecture, small, in PyTorch. What model.py has is used, not repeated.

Two things differ from a llama. Attention keeps one short vector a token, the *latent*, from which every head's key and
value can be unpacked, and one rotated key that all heads share. The feed-forward part is several small networks, the
*experts*; a router picks two of four for each token, and a fifth, shared, sees every token. The first layer has none.
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

import model


@dataclasses.dataclass(frozen=True)
class Shape:
    vocabulary: int = 1024
    embedding: int = 128
    layers: int = 4
    dense_layers: int = 1  # leading ones, without experts
    feed_forward: int = 256  # of a dense layer
    heads: int = 4
    key: int = 32  # channels of a head's query and key
    rotated: int = 16  # the last of them, which the position turns
    value: int = 32  # channels of a head's value
    query_rank: int = 64
    latent: int = 64
    experts: int = 4
    experts_used: int = 2
    expert_feed_forward: int = 96  # of a routed expert, and of the shared one
    context: int = 256
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def unrotated(self):
        return self.key - self.rotated

    @property
    def head_size(self):
        """What the rotary embedding is made for."""
        return self.rotated


class Stack(nn.Module):
    """Matrices side by side: [count, outputs, inputs]."""

    def __init__(self, count, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs))


class Router(nn.Module):
    """Which experts a token goes to, and with which weights."""

    SMALLEST = 6.103515625e-5  # F16's smallest normal number: what ggml divides by at the least

    def __init__(self, shape):
        super().__init__()
        self.used = shape.experts_used
        self.weight = nn.Parameter(torch.empty(shape.experts, shape.embedding))

    def forward(self, x, bias):
        """Weights [batch, position, expert], zero where not chosen. The bias takes part in the choice only."""
        with torch.autocast("cpu", enabled=False):
            scores = torch.sigmoid(F.linear(x.float(), self.weight))
        chosen = (scores + bias).topk(self.used, -1).indices
        weights = torch.zeros_like(scores).scatter(-1, chosen, scores.gather(-1, chosen))
        return weights / weights.sum(-1, keepdim=True).clamp(min=self.SMALLEST)


class SelectionBias(nn.Module):
    """Raised for experts with too few tokens and lowered for those with too many, outside of gradient descent: the
    load evens out without a term in the loss that would pull at the weights."""

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("bias", torch.zeros(shape.experts))

    @torch.no_grad()
    def balance(self, chosen, step):
        """`chosen` is true where an expert took a token, [token, expert]."""
        load = chosen.float().mean(0)
        self.bias += step * (load.mean() - load).sign()
        self.bias -= self.bias.mean()


class Layer(nn.Module):
    def __init__(self, shape, number):
        super().__init__()
        self.shape = shape
        n, heads = shape.embedding, shape.heads
        self.attn_norm = model.RMSNorm(shape)
        self.attn_q_a = nn.Linear(n, shape.query_rank, bias=False)
        self.attn_q_a_norm = model.RMSNorm(shape, shape.query_rank)
        self.attn_q_b = nn.Linear(shape.query_rank, heads * shape.key, bias=False)
        self.attn_kv_a_mqa = nn.Linear(n, shape.latent + shape.rotated, bias=False)
        self.attn_kv_a_norm = model.RMSNorm(shape, shape.latent)
        self.attn_k_b = Stack(heads, shape.latent, shape.unrotated)
        self.attn_v_b = Stack(heads, shape.value, shape.latent)
        self.attn_output = nn.Linear(heads * shape.value, n, bias=False)
        self.ffn_norm = model.RMSNorm(shape)
        self.routed = number >= shape.dense_layers
        if not self.routed:
            self._feed_forward("", shape.feed_forward)
            return
        wide = shape.expert_feed_forward
        self.ffn_gate_inp = Router(shape)
        self.exp_probs_b = SelectionBias(shape)
        self.ffn_gate_exps = Stack(shape.experts, wide, n)
        self.ffn_up_exps = Stack(shape.experts, wide, n)
        self.ffn_down_exps = Stack(shape.experts, n, wide)
        self._feed_forward("_shexp", wide)

    def _feed_forward(self, suffix, wide):
        n = self.shape.embedding
        setattr(self, "ffn_gate" + suffix, nn.Linear(n, wide, bias=False))
        setattr(self, "ffn_up" + suffix, nn.Linear(n, wide, bias=False))
        setattr(self, "ffn_down" + suffix, nn.Linear(wide, n, bias=False))

    def forward(self, x, cos, sin, watch=None):
        x = x + self._attention(self.attn_norm(x), cos, sin, watch)
        normed = self.ffn_norm(x)
        if not self.routed:
            return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed))
        shared = self.ffn_down_shexp(F.silu(self.ffn_gate_shexp(normed)) * self.ffn_up_shexp(normed))
        return x + shared + self._experts(normed)

    def _attention(self, normed, cos, sin, watch):
        """As a llama's, with keys and values of every head unpacked from the latent. A file's reader does not unpack:
        it multiplies the query by attn_k_b instead, which gives the same scores."""
        shape = self.shape
        q = self.attn_q_b(self.attn_q_a_norm(self.attn_q_a(normed)))
        q = q.unflatten(-1, (shape.heads, -1)).transpose(1, 2)
        q_plain, q_rotated = q.split([shape.unrotated, shape.rotated], -1)
        latent, k_rotated = self.attn_kv_a_mqa(normed).split([shape.latent, shape.rotated], -1)
        latent = self.attn_kv_a_norm(latent)
        k_plain, v = (F.linear(latent, unpack.flatten(0, 1)).unflatten(-1, (shape.heads, -1)).transpose(1, 2)
                      for unpack in (self.attn_k_b.weight.transpose(1, 2), self.attn_v_b.weight))
        k_rotated = model.rotate(k_rotated[:, None], cos, sin).expand(-1, shape.heads, -1, -1)
        weights = model.attention_weights(torch.cat((q_plain, model.rotate(q_rotated, cos, sin)), -1),
                                          torch.cat((k_plain, k_rotated), -1))
        if watch is not None:
            watch.append(weights)
        return self.attn_output((weights @ v).transpose(1, 2).flatten(-2))

    def _experts(self, normed):
        """All experts side by side as one wide network, those not chosen times zero: with four it is faster than
        gathering each one's tokens."""
        weights = self.ffn_gate_inp(normed, self.exp_probs_b.bias)
        self.routing = weights.detach()
        gate = F.linear(normed, self.ffn_gate_exps.weight.flatten(0, 1))
        up = F.linear(normed, self.ffn_up_exps.weight.flatten(0, 1))
        hidden = (F.silu(gate) * up).unflatten(-1, (self.shape.experts, -1)) * weights[..., None].to(gate.dtype)
        return F.linear(hidden.flatten(-2), self.ffn_down_exps.weight.transpose(0, 1).flatten(1))


class DeepSeek2(model.Llama):
    """Parameter names are those of the GGUF, as in the llama."""

    architecture = "deepseek2"
    shape_type = Shape
    keys = model.KEYS | {
        "rope.dimension_count": "rotated", "leading_dense_block_count": "dense_layers",
        "attention.key_length_mla": "key", "attention.value_length_mla": "value", "attention.q_lora_rank": "query_rank",
        "attention.kv_lora_rank": "latent", "expert_count": "experts", "expert_used_count": "experts_used",
        "expert_feed_forward_length": "expert_feed_forward"}
    BALANCE = 0.003  # step of the selection bias

    def layer(self, number):
        return Layer(self.shape, number)

    def other_keys(self):
        """What is kept of a token is one key for all heads, the latent and the rotated channels, and the value is the
        latent. Gating 2 is the sigmoid."""
        return {"attention.head_count_kv": 1, "attention.key_length": self.shape.latent + self.shape.rotated,
                "attention.value_length": self.shape.latent, "expert_shared_count": 1, "expert_gating_func": 2,
                "expert_weights_norm": True, "expert_weights_scale": 1.0}

    @torch.no_grad()
    def initialise(self, generator):
        super().initialise(generator)
        for layer in self.blk:  # stored so that a query is multiplied by it; what it unpacks is the latent
            layer.attn_k_b.weight *= (self.shape.unrotated / self.shape.latent) ** 0.5

    def after_step(self, real):
        """Evens out the load; `real` is true where a token is not padding, [batch, position]."""
        for layer in self.blk:
            if layer.routed:
                layer.exp_probs_b.balance(layer.routing[real] > 0, self.BALANCE)
