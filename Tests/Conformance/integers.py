"""Products of quantised weights with their integer parts exact.

Every block format is here the same thing: integer codes, and for each group of codes a scale and an offset, so that
`weight = scale * code + offset`. An activation row is quantised as ggml's x86 code does it, and then

    y = sum over groups of  scale * d * sum(code * q)  +  offset * s

where d is the activation block's scale and s its weighted sum. Formats whose codes point into grids or have steps of no
constant width stand here as what they decode to, by the package gguf, and the sum is the plain one of weight * d * q.
The sums of integers are exact and the rest is done in
double precision: a program whose codes or roundings differ in a single step is farther away than one whose float sums
run in another order. Layouts: ggml-common.h; activations: ggml-cpu/arch/x86/quants.c and ggml-quants.c
`quantize_row_q8_K_ref`.
"""

import gguf
import numpy as np

import ggml


def _half(bytes):
    return np.ascontiguousarray(bytes).view(np.float16).astype(np.float64)


def _nibbles(qs):
    """Low nibbles of all bytes, then high ones."""
    return np.concatenate([qs & 15, qs >> 4], -1)


def _fifth_bits(qh):
    """32 bits, least significant first, times 16."""
    return (np.unpackbits(qh, axis=-1, bitorder="little") << 4).astype(np.uint8)


def _simple(codes, scale, offset=None):
    """One group a block: codes [..., 32], scale and offset [..., 1]."""
    return codes[..., None, :], scale, np.zeros_like(scale) if offset is None else offset


def _q4_0(b):
    return _simple(_nibbles(b[..., 2:]).astype(np.int16) - 8, _half(b[..., :2]))


def _q4_1(b):
    return _simple(_nibbles(b[..., 4:]), _half(b[..., :2]), _half(b[..., 2:4]))


def _q5_0(b):
    codes = _nibbles(b[..., 6:]) | _fifth_bits(b[..., 2:6])
    return _simple(codes.astype(np.int16) - 16, _half(b[..., :2]))


def _q5_1(b):
    return _simple(_nibbles(b[..., 8:]) | _fifth_bits(b[..., 4:8]), _half(b[..., :2]), _half(b[..., 2:4]))


def _q8_0(b):
    return _simple(b[..., 2:].view(np.int8), _half(b[..., :2]))


def _two_bits(qs):
    """64 bytes as 256 codes: each half of 32 bytes holds 128 codes, 32 at bits 0-1, 32 at bits 2-3, ..."""
    halves = qs.reshape(*qs.shape[:-1], 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None]
    return (halves & 3).reshape(*qs.shape[:-1], 16, 16)


def _q2_k(b):
    scales, codes = b[..., :16], _two_bits(b[..., 16:80])
    return codes, _half(b[..., 80:82]) * (scales & 15), -_half(b[..., 82:84]) * (scales >> 4)


def _q3_k(b):
    mask, packed = b[..., :32], b[..., 96:108]
    high = mask[..., None, :] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    codes = _two_bits(b[..., 32:96]).astype(np.int16) - 4 * (1 - high.reshape(*b.shape[:-1], 16, 16).astype(np.int16))
    low = _nibbles(packed[..., :8])
    top = packed[..., None, 8:] >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    scales = (low | top.reshape(low.shape) << 4).astype(np.int16) - 32
    scale = _half(b[..., 108:110]) * scales
    return codes, scale, np.zeros_like(scale)


def _six_bit_pairs(s):
    """The eight 6-bit scales and eight 6-bit minima that Q4_K and Q5_K pack into twelve bytes."""
    scales = np.concatenate([s[..., :4] & 63, s[..., 8:] & 15 | s[..., :4] >> 6 << 4], -1)
    minima = np.concatenate([s[..., 4:8] & 63, s[..., 8:] >> 4 | s[..., 4:8] >> 6 << 4], -1)
    return scales, minima


def _nibble_groups(qs):
    """128 bytes as 8 groups of 32: low nibbles of 32 bytes, their high nibbles, the next 32 bytes."""
    return _nibbles(qs.reshape(*qs.shape[:-1], 4, 32)).reshape(*qs.shape[:-1], 8, 32)


def _q4_k(b):
    scales, minima = _six_bit_pairs(b[..., 4:16])
    return _nibble_groups(b[..., 16:]), _half(b[..., :2]) * scales, -_half(b[..., 2:4]) * minima


def _q5_k(b):
    scales, minima = _six_bit_pairs(b[..., 4:16])
    high = b[..., None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    return _nibble_groups(b[..., 48:]) | high << 4, _half(b[..., :2]) * scales, -_half(b[..., 2:4]) * minima


def _q6_k(b):
    low = _nibbles(b[..., :128].reshape(*b.shape[:-1], 2, 64))
    high = b[..., 128:192].reshape(*b.shape[:-1], 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    codes = (low | high.reshape(low.shape) << 4).reshape(*b.shape[:-1], 16, 16).astype(np.int16) - 32
    scale = _half(b[..., 208:210]) * b[..., 192:208].view(np.int8)
    return codes, scale, np.zeros_like(scale)


def _groups_of_32(codes, d):
    """Blocks of several 32, each with one scale."""
    codes = codes.reshape(*codes.shape[:-1], -1, 32)
    scale = np.repeat(d, codes.shape[-2], -1)
    return codes, scale, np.zeros_like(scale)


def _q1_0(b):
    signs = np.unpackbits(b[..., 2:], axis=-1, bitorder="little").astype(np.int16)
    return _groups_of_32(2 * signs - 1, _half(b[..., :2]))


def _q2_0(b):
    codes = b[..., 2:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3
    return _groups_of_32(codes.reshape(*b.shape[:-1], 64).astype(np.int16) - 1, _half(b[..., :2]))


def _decoded(type, size):
    """Weights themselves for codes, in groups as long as an activation block."""
    def weights(b):
        values = gguf.quants.dequantize(b.reshape(-1, b.shape[-1]), gguf.GGMLQuantizationType(type)).astype(np.float64)
        codes = values.reshape(*b.shape[:-1], -1, size)
        return codes, np.ones(codes.shape[:-1]), np.zeros(codes.shape[:-1])

    return weights


def _round(x):
    """x86 `roundps` to nearest, ties to even, in float32."""
    return np.rint(x.astype(np.float32))


def _activation_32(x):
    """Rows as Q8_0 / Q8_1 blocks: codes, scale before and after rounding to half."""
    x = x.reshape(*x.shape[:-1], -1, 32)
    largest = np.abs(x).max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        inverse = np.where(largest != 0, np.float32(127) / largest, np.float32(0))
    d = largest / np.float32(127)
    return _round(x * inverse), d


def _as_q8_0(x):
    q, d = _activation_32(x)
    d = d.astype(np.float16).astype(np.float64)
    return q, d, d * q.sum(-1, keepdims=True, dtype=np.float64)


def _as_q8_1(x):
    q, d = _activation_32(x)
    s = (d * q.sum(-1, keepdims=True)).astype(np.float16)
    return q, d.astype(np.float16).astype(np.float64), s.astype(np.float64)


def _as_q8_k(x):
    x = x.reshape(*x.shape[:-1], -1, 256)
    largest = np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)  # with its sign; the first of equals
    with np.errstate(divide="ignore"):
        inverse = np.where(largest != 0, np.float32(-127) / largest, np.float32(0))
        d = np.where(largest != 0, np.float32(1) / inverse, np.float32(0))
    return np.minimum(_round(x * inverse), 127), d.astype(np.float64), None


_DECODED_SMALL = (ggml.IQ4_NL, ggml.MXFP4, ggml.NVFP4)
_DECODED_LARGE = (
    ggml.IQ1_S, ggml.IQ1_M, ggml.IQ2_XXS, ggml.IQ2_XS, ggml.IQ2_S, ggml.IQ3_XXS, ggml.IQ3_S, ggml.IQ4_XS, ggml.TQ1_0,
    ggml.TQ2_0)
# type -> (weights as codes, scale, offset; activations as codes, scale, weighted sum)
FORMATS = {
    ggml.Q4_0: (_q4_0, _as_q8_0), ggml.Q4_1: (_q4_1, _as_q8_1), ggml.Q5_0: (_q5_0, _as_q8_0),
    ggml.Q5_1: (_q5_1, _as_q8_1), ggml.Q8_0: (_q8_0, _as_q8_0), ggml.Q2_K: (_q2_k, _as_q8_k),
    ggml.Q3_K: (_q3_k, _as_q8_k), ggml.Q4_K: (_q4_k, _as_q8_k), ggml.Q5_K: (_q5_k, _as_q8_k),
    ggml.Q6_K: (_q6_k, _as_q8_k), ggml.Q1_0: (_q1_0, _as_q8_0), ggml.Q2_0: (_q2_0, _as_q8_0),
    **{type: (_decoded(type, 32), _as_q8_0) for type in _DECODED_SMALL},
    **{type: (_decoded(type, 256), _as_q8_k) for type in _DECODED_LARGE},
}


def exactness(type):
    """What of the product of a format is exact here, in words."""
    return "decoded weights in double" if type in _DECODED_SMALL + _DECODED_LARGE else "exact integers"


def decode(type, data):
    """Rows of bytes as rows of numbers."""
    codes, scale, offset = _weights(type, data)
    return (codes * scale[..., None] + offset[..., None]).reshape(len(data), -1)


def _weights(type, data):
    block_bytes = ggml.TYPES[type][2]
    return FORMATS[type][0](data.reshape(len(data), -1, block_bytes))


def multiply(type, data, x):
    """Weights as rows of bytes [rows, bytes], activations [tokens, n]; result [tokens, rows] in double precision.

    Returns the result and, of the same shape, the sum of squares of the terms that make it: what float rounding is
    relative to. Where large terms cancel, that is much more than the square of the result.
    """
    codes, scale, offset = _weights(type, data)
    rows, groups, size = len(data), scale.shape[1] * scale.shape[2], codes.shape[-1]
    q, d, s = FORMATS[type][1](np.ascontiguousarray(x, np.float32))
    q = q.reshape(len(x), groups, size)
    d = np.repeat(d.reshape(len(x), -1), groups // d.reshape(len(x), -1).shape[1], -1)
    s = d * q.sum(-1, dtype=np.float64) if s is None else s.reshape(len(x), groups)
    # Integers below 2**24 are exact in float32, so this product is the integer product; of decoded weights in double.
    exact = np.float64 if codes.dtype == np.float64 else np.float32
    sums = np.matmul(codes.reshape(rows, groups, size).transpose(1, 0, 2).astype(exact), q.transpose(1, 2, 0))
    products = sums * (scale.reshape(rows, groups).T[:, :, None] * d.T[:, None, :])
    offsets = offset.reshape(rows, groups)
    power = (products**2).sum(0).T + s**2 @ (offsets**2).T
    return products.sum(0).T + s @ offsets.T, power
