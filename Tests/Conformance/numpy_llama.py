"""A llama's forward pass in numpy, from the architecture and the GGUF alone, to answer lessons with.

Weights are taken as they decode. `roundings` rounds the activations of products as ggml does for the type of the
weights; the KV cache is F16, as everywhere.
"""

import gguf
import numpy as np

# What activations become in a product with weights of a type; ggml's `vec_dot_type`.
_BLOCKS_OF_256 = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


def q8_0(x):
    """Rounded to Q8_0 and back: blocks of 32, scale absmax/127 as F16."""
    blocks = x.reshape(-1, 32)
    d = (np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)).astype(np.float32)
    codes = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    return (codes * d.astype(np.float16).astype(np.float32)).reshape(x.shape)


def q8_k(x):
    """Rounded to Q8_K and back: blocks of 256, the largest in size becomes -127, the scale is F32."""
    blocks = x.reshape(-1, 256)
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    d = peak / np.float32(-127)
    codes = np.minimum(np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d != 0)), 127)
    return (codes * d).reshape(x.shape)


def rounding(type_name):
    if type_name in ("F32", "F16", "BF16"):
        return {"F32": lambda x: x, "F16": half, "BF16": lambda x: x}[type_name]
    return q8_k if type_name in _BLOCKS_OF_256 else q8_0


def half(x):
    return x.astype(np.float16).astype(np.float32)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(logits):
    x = logits.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


class Llama:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.weights, self.types = {}, {}
        for t in reader.tensors:
            self.weights[t.name] = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
            self.types[t.name] = t.tensor_type.name
        self.elements = {t.name: int(t.n_elements) for t in reader.tensors}
        if "output.weight" not in self.weights:
            self.weights["output.weight"] = self.weights["token_embd.weight"]
            self.types["output.weight"] = self.types["token_embd.weight"]

        def key(name, otherwise=None):
            field = reader.fields.get("llama." + name)
            return otherwise if field is None else field.contents()

        self.layers, self.heads = int(key("block_count")), int(key("attention.head_count"))
        self.kv_heads = int(key("attention.head_count_kv", self.heads))
        self.epsilon = np.float32(key("attention.layer_norm_rms_epsilon"))
        self.base = float(key("rope.freq_base", 10000.0))

    def forward(self, ids, weights=None, roundings=None):
        """Every named output by name, of all positions; `result_output` holds the logits.

        `weights` replaces the model's own; `roundings` names the type of the weights for which activations are rounded.
        An output of an operation that reads weights also comes under its name with `<`: its input.
        """
        w, found = weights or self.weights, {}

        def product(name, tensor, x):
            found[name + "<"] = x
            found[name] = self.product(tensor, x, w, roundings)
            return found[name]

        x = found["embd"] = w["token_embd.weight"][ids]
        for i in range(self.layers):
            block = f"blk.{i}."
            n = self.norm(x) * w[block + "attn_norm.weight"]
            q, k, v = (product(f"{c.upper()}cur-{i}", f"{block}attn_{c}.weight", n) for c in "qkv")
            x = found[f"ffn_inp-{i}"] = x + product(f"attn_out-{i}", block + "attn_output.weight", self.attend(q, k, v))
            n = self.norm(x) * w[block + "ffn_norm.weight"]
            gate, up = (product(f"ffn_{c}-{i}", f"{block}ffn_{c}.weight", n) for c in ("gate", "up"))
            y = (gate / (1 + np.exp(-gate)) * up).astype(np.float32)
            x = found[f"l_out-{i}"] = x + product(f"ffn_out-{i}", block + "ffn_down.weight", y)
        product("result_output", "output.weight", self.norm(x) * w["output_norm.weight"])
        return found

    def product(self, tensor, x, weights=None, roundings=None):
        x = rounding(roundings[tensor])(x.astype(np.float32)) if roundings else x
        return x @ (weights or self.weights)[tensor].T

    def norm(self, x):
        return x / np.sqrt((x.astype(np.float64) ** 2).mean(axis=-1, keepdims=True).astype(np.float32) + self.epsilon)

    def rotated(self, x):
        """Pairs of neighbours turned by position times base^(-2i/d)."""
        tokens, _, size = x.shape
        angle = np.arange(tokens)[:, None] * self.base ** (-np.arange(0, size, 2) / size)
        cos, sin = (f(angle).astype(np.float32)[:, None, :] for f in (np.cos, np.sin))
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def attend(self, q, k, v):
        tokens, size = len(q), q.shape[1] // self.heads
        q = half(self.rotated(q.reshape(tokens, self.heads, size)))
        k = half(self.rotated(k.reshape(tokens, self.kv_heads, size)))
        v = half(v.reshape(tokens, self.kv_heads, size))
        ahead = np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1)
        out = []
        for h in range(self.heads):
            g = h // (self.heads // self.kv_heads)
            shares = softmax(q[:, h] @ k[:, g].T / np.sqrt(np.float32(size)) + ahead)
            out.append(half(shares) @ v[:, g])
        return np.concatenate(out, axis=1)


def divergence(reference, other):
    """Mean KL divergence of two tables of logits, in nats."""
    p, q = log_softmax(reference), log_softmax(other)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())
