"""Q4_0 and Q2_K in PyTorch: rounding as ggml stores it, for training through it and for writing the file.

Each format is three steps: `fit` chooses the scales of every block, `codes` rounds to them, `values` decodes. `pack`
lays scales and codes out as ggml's bytes, so that what training saw is what the file holds. Training passes gradients
straight through the rounding: forward sees values(codes(w)), backward goes as if it had seen w.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize


def half(x):
    """Rounded to F16, as scales are stored."""
    return x.half().float()


class Q4_0:
    """Blocks of 32: value = d (q - 8), q of 4 bits. `fit` and `codes` do what ggml's quantize_row_q4_0_ref does:
    d = largest / -8, where `largest` keeps its sign; codes are rounded with d before it is rounded to F16."""

    name = "Q4_0"

    @staticmethod
    def fit(weight):
        blocks = weight.unflatten(-1, (-1, 32))
        largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
        return (largest / -8,)

    @staticmethod
    def codes(weight, scales):
        (d,) = scales
        inverse = torch.where(d == 0, 0.0, 1 / d)
        return (weight.unflatten(-1, (-1, 32)) * inverse + 8.5).trunc().clamp(0, 15)

    @staticmethod
    def values(codes, scales):
        return (half(scales[0]) * (codes - 8)).flatten(-2)

    @staticmethod
    def pack(codes, scales):
        """18 bytes a block: d, then 16 bytes with codes 0…15 in the low halves and 16…31 in the high ones."""
        d = scales[0].half().numpy().view(np.uint8)
        q = codes.to(torch.uint8).numpy()
        return np.concatenate([d, q[..., :16] | q[..., 16:] << 4], -1).reshape(q.shape[0], -1)


class Q2_K:
    """Super-blocks of 256 in 16 blocks of 16: value = d s q - dmin m; q of 2 bits, s and m of 4. The search for s and m
    is like ggml's make_qkx2_quants, but unweighted and with fewer candidates (so the bytes differ from ggml's encoder,
    not the format): the codes that a width gives are fitted by least squares."""

    name = "Q2_K"
    WIDTHS = (2.5, 2.75, 3.0, 3.25)

    @classmethod
    def fit(cls, weight):
        blocks = weight.unflatten(-1, (-1, 16, 16))
        low, high = blocks.amin(-1, keepdim=True).clamp(max=0), blocks.amax(-1, keepdim=True)
        best = (torch.full_like(low, torch.inf), torch.zeros_like(low), torch.zeros_like(low))
        for width in cls.WIDTHS:
            codes = ((blocks - low) * (width / (high - low).clamp(min=1e-20))).round().clamp(0, 3)
            scale, least = cls._least_squares(blocks, codes)
            error = (blocks - scale * codes - least).square().sum(-1, keepdim=True)
            better = error < best[0]
            best = tuple(torch.where(better, new, old) for new, old in zip((error, scale, least), best, strict=True))
        _, scale, least = best
        d = half(scale.amax(-2, keepdim=True) / 15)
        dmin = half((-least).amax(-2, keepdim=True) / 15)
        s = torch.where(d > 0, scale / d.clamp(min=1e-20), 0.0).round().clamp(0, 15)
        m = torch.where(dmin > 0, -least / dmin.clamp(min=1e-20), 0.0).round().clamp(0, 15)
        return d, dmin, s, m

    @staticmethod
    def _least_squares(x, q):
        """The scale and (not positive) minimum for which scale q + minimum is nearest to x."""
        n, sum_q, sum_qq = q.shape[-1], q.sum(-1, keepdim=True), q.square().sum(-1, keepdim=True)
        sum_x, sum_xq = x.sum(-1, keepdim=True), (x * q).sum(-1, keepdim=True)
        determinant = n * sum_qq - sum_q.square()
        safe = determinant.clamp(min=1e-20)
        scale = torch.where(determinant > 0, (n * sum_xq - sum_x * sum_q) / safe, 0.0)
        least = torch.where(determinant > 0, (sum_qq * sum_x - sum_q * sum_xq) / safe, 0.0)
        positive = least > 0
        scale = torch.where(positive, sum_xq / sum_qq.clamp(min=1e-20), scale).clamp(min=0)
        return scale, torch.where(positive, 0.0, least)

    @staticmethod
    def codes(weight, scales):
        d, dmin, s, m = scales
        step = d * s
        codes = (weight.unflatten(-1, (-1, 16, 16)) + dmin * m) / step.clamp(min=1e-20)
        return torch.where(step > 0, codes.round().clamp(0, 3), 0.0)

    @staticmethod
    def values(codes, scales):
        d, dmin, s, m = scales
        return (d * s * codes - dmin * m).flatten(-3)

    @staticmethod
    def pack(codes, scales):
        """84 bytes a super-block: 16 of s and m, 64 of codes (four codes that lie 32 apart share a byte), d, dmin."""
        d, dmin, s, m = scales
        rows, supers = codes.shape[:2]
        small = (s.to(torch.uint8) | m.to(torch.uint8) << 4).numpy().reshape(rows, supers, 16)
        q = codes.to(torch.uint8).numpy().reshape(rows, supers, 2, 4, 32)
        q = q[..., 0, :] | q[..., 1, :] << 2 | q[..., 2, :] << 4 | q[..., 3, :] << 6
        halves = [part.half().numpy().reshape(rows, supers, 1).view(np.uint8) for part in (d, dmin)]
        return np.concatenate([small, q.reshape(rows, supers, 64), *halves], -1).reshape(rows, -1)


FORMATS = {"Q4_0": Q4_0, "Q2_K": Q2_K}


class FakeQuant(nn.Module):
    """A weight as the format would hold it, with the gradient passed straight through. While training, block scales are
    chosen anew every `every` calls only; codes always."""

    def __init__(self, format, every=1):
        super().__init__()
        self.format, self.every = format, every
        self.calls, self.scales = 0, None

    def forward(self, weight):
        with torch.no_grad():
            if self.scales is None or not self.training or self.calls % self.every == 0:
                self.scales = self.format.fit(weight)
            self.calls += self.training
            rounded = self.format.values(self.format.codes(weight, self.scales), self.scales)
        return weight + (rounded - weight).detach()


def install(network, format, every=1):
    """Every matrix of the network, embeddings and output included, goes through the format from now on."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            parametrize.register_parametrization(module, "weight", FakeQuant(format, every))


def remove(network):
    """The unrounded weights are the parameters again."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def encoder(format):
    """Turns an array of weights into the format's bytes."""
    def encode(weight):
        weight = torch.from_numpy(weight)
        scales = format.fit(weight)
        return format.pack(format.codes(weight, scales), scales)
    return encode
