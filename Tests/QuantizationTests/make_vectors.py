#!/usr/bin/env python3
"""Writes the golden vectors in Fixtures/ with real ggml, through ctypes.

    pip install libggml-python==0.20.2.post1 numpy
    python Tests/QuantizationTests/make_vectors.py

Every number comes from the libggml of that package, an x86-64 build with AVX2, FMA and F16C (the script refuses others,
since the order of sums depends on it):

  weights      from_float_ref of ggml_get_type_traits; ggml_quantize_chunk with a flat importance matrix where ggml
               demands one; from_float of ggml_get_type_traits_cpu for types that are only activations. The row
               `random bytes` is made here.
  decoded      to_float of ggml_get_type_traits (libggml-base)
  activations  from_float of ggml_get_type_traits_cpu (libggml-cpu), which is arch/x86/quants.c and not `_ref`
  dot          vec_dot of ggml_get_type_traits_cpu: the AVX2 kernel
  generic      ggml_vec_dot_*_generic of libggml-cpu: the portable C

Files, all little-endian:

  inputs.bin   u32 rows; per row: u32 name length, name, u32 count, count x f32
  TYPE.bin     u32 rows; per row: u32 name length, name, u32 count, u32 byte count of the weights, the weights,
               u64 FNV-1a of the decoded f32 bytes (0: ggml does not decode the type), f32 dot, f32 generic, f64 sum of
               the magnitudes of the terms (0: ggml does not multiply the type).
               The activations of row r are inputs row r; its weights are made of inputs row r, rotated by 96. Those of
               F32, F16 and BF16 are left out: they are the same as activations.
  TYPE.act     per input row: u64 FNV-1a of the encoded activations (F16, BF16), or the encoded activations themselves
"""
import ctypes as C
import importlib.util
import pathlib
import struct

import numpy as np

# name: id, elements and bytes of a block, activation type, offsets of F16 scales, bytes of the minimum (if any)
TYPES = {
    "F32": (0, 1, 4, "F32", (), None),
    "F16": (1, 1, 2, "F16", (), None),
    "BF16": (30, 1, 2, "BF16", (), None),
    "Q4_0": (2, 32, 18, "Q8_0", (0,), None),
    "Q4_1": (3, 32, 20, "Q8_1", (0, 2), (2, 4)),
    "Q5_0": (6, 32, 22, "Q8_0", (0,), None),
    "Q5_1": (7, 32, 24, "Q8_1", (0, 2), (2, 4)),
    "Q8_0": (8, 32, 34, "Q8_0", (0,), None),
    "Q8_1": (9, 32, 36, "Q8_1", (0, 2), None),
    "Q2_K": (10, 256, 84, "Q8_K", (80, 82), (82, 84)),
    "Q3_K": (11, 256, 110, "Q8_K", (108,), None),
    "Q4_K": (12, 256, 144, "Q8_K", (0, 2), (2, 4)),
    "Q5_K": (13, 256, 176, "Q8_K", (0, 2), (2, 4)),
    "Q6_K": (14, 256, 210, "Q8_K", (208,), None),
    "Q8_K": (15, 256, 292, "Q8_K", (), None),
}
PLAIN = ("F32", "F16", "BF16")
ACTIVATIONS = ["F16", "BF16", "Q8_0", "Q8_1", "Q8_K"]
HERE = pathlib.Path(__file__).parent / "Fixtures"


class Traits(C.Structure):
    _fields_ = [
        ("name", C.c_char_p), ("block", C.c_int64), ("interleave", C.c_int64), ("size", C.c_size_t),
        ("quantized", C.c_bool), ("to_float", C.c_void_p), ("from_float_ref", C.c_void_p)]


class CPUTraits(C.Structure):
    _fields_ = [
        ("from_float", C.c_void_p), ("vec_dot", C.c_void_p), ("vec_dot_type", C.c_int), ("nrows", C.c_int64)]


CONVERT = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p, C.c_int64)
DOT = C.CFUNCTYPE(
    None, C.c_int, C.c_void_p, C.c_size_t, C.c_void_p, C.c_size_t, C.c_void_p, C.c_size_t, C.c_int)


def load():
    folder = pathlib.Path(importlib.util.find_spec("libggml").origin).parent / "lib64"
    base, cpu = C.CDLL(str(folder / "libggml-base.so.0")), C.CDLL(str(folder / "libggml-cpu.so.0"))
    base.ggml_get_type_traits.restype = C.POINTER(Traits)
    base.ggml_quantize_chunk.restype = C.c_size_t
    cpu.ggml_get_type_traits_cpu.restype = C.POINTER(CPUTraits)
    cpu.ggml_cpu_init()
    features = {name: getattr(cpu, "ggml_cpu_has_" + name)() for name in ("avx2", "fma", "f16c", "avx512")}
    if features != {"avx2": 1, "fma": 1, "f16c": 1, "avx512": 0}:
        raise SystemExit(f"this libggml has {features}; the vectors are those of AVX2 with FMA and without AVX-512")
    return base, cpu


def pointer(array):
    return C.c_void_p(array.ctypes.data)


def inputs():
    """Float rows of every kind that formats treat differently, in whole super-blocks."""
    random = np.random.default_rng(20240607)

    def normal(blocks, scale=1.0):
        return random.normal(size=256 * blocks) * scale

    rows = {f"normal 1e{power}": normal(1, 10.0**power) for power in (-8, -5, -2, 0, 2, 4)}
    rows["zeros"] = np.zeros(256)
    rows["one outlier"] = normal(1)
    rows["one outlier"][100] = -1000
    rows["constant"] = np.full(256, 0.7)
    rows["constant blocks"] = np.repeat([1.0, -2.0, 0.0, 3.5, -0.25, 1e-3, -7.0, 0.5], 32)
    rows["subnormal"] = normal(1, 1e-40)
    rows["tiny"] = normal(1, 1e-37)
    rows["largest positive"] = np.abs(normal(1))
    rows["largest positive"][255] = 5.0
    rows["largest negative"] = -np.abs(normal(1))
    rows["largest negative"][0] = -5.0
    rows["both signs alike"] = np.where(np.arange(256) % 3 == 0, 1.0, -1.0)
    # With a largest value of 127 the scale is 1 and codes lie half-way.
    rows["ties"] = np.clip(np.round(normal(1) * 40) + 0.5, -126.5, 126.5)
    rows["ties"][::32] = 127
    rows["2 blocks"] = normal(2, 0.02)
    rows["3 blocks"] = normal(3, 3.0)
    rows["16 blocks"] = normal(16, 0.5) * np.repeat(np.exp(random.normal(size=128)), 32)
    rows["random bytes"] = normal(2)
    return {name: row.astype(np.float32) for name, row in rows.items()}


def random_bytes(type_name, count, to_float):
    """Blocks of any bytes whose scales are of a sensible size."""
    random = np.random.default_rng(TYPES[type_name][0])
    _, elements, size, _, scales, _ = TYPES[type_name]
    blocks = []
    while len(blocks) < count // elements:
        block = random.integers(0, 256, size, dtype=np.uint8)
        for offset in scales:
            block[offset : offset + 2] = np.frombuffer(np.float16(random.normal() * 0.01).tobytes(), np.uint8)
        if type_name == "Q8_K":
            block[:4] = np.frombuffer(np.float32(random.normal()).tobytes(), np.uint8)
        if np.isfinite(decode(to_float, block, elements)).all():
            blocks.append(block)
    return np.concatenate(blocks)


def decode(to_float, weights, count):
    values = np.zeros(count, np.float32)
    if to_float:
        CONVERT(to_float)(pointer(weights), pointer(values), count)
    return values


def encode_weights(base, cpu, type_name, values):
    number, elements, size = TYPES[type_name][:3]
    traits = base.ggml_get_type_traits(number).contents
    output = np.zeros(len(values) // elements * size, np.uint8)
    if type_name == "F32":
        return values.view(np.uint8).copy()
    if type_name in ("Q8_1", "Q8_K"):
        return encode_activations(cpu, type_name, values)
    if traits.from_float_ref:
        CONVERT(traits.from_float_ref)(pointer(values), pointer(output), len(values))
    else:
        flat = np.ones(len(values), np.float32)
        base.ggml_quantize_chunk(
            C.c_int(number), pointer(values), pointer(output), C.c_int64(0), C.c_int64(1), C.c_int64(len(values)),
            pointer(flat))
    return output


def encode_activations(cpu, type_name, values):
    number, elements, size = TYPES[type_name][:3]
    if type_name == "F32":
        return values.view(np.uint8).copy()
    # Q8_K leaves the sums of a zero block as they were: zeros here.
    output = np.zeros(len(values) // elements * size, np.uint8)
    CONVERT(cpu.ggml_get_type_traits_cpu(number).contents.from_float)(pointer(values), pointer(output), len(values))
    return output


def generic_dot(cpu, type_name, activation):
    if type_name in PLAIN:
        return None

    def spelled(name):
        return name.lower()[:-1] + "K" if name.endswith("_K") else name.lower()

    return DOT((f"ggml_vec_dot_{spelled(type_name)}_{spelled(activation)}_generic", cpu))


def dot(function, weights, activations, count):
    result = C.c_float()
    function(count, C.byref(result), 0, pointer(weights), 0, pointer(activations), 0, 1)
    return result.value


def magnitude(type_name, to_float, weights, activations):
    """The sum of |w * a|, with a minimum counted apart: the scale that rounding errors are measured against."""
    count = len(activations)
    _, _, size, _, scales, minimum = TYPES[type_name]
    total = 0.0
    parts = [weights]
    if minimum:
        without, only = weights.reshape(-1, size).copy(), weights.reshape(-1, size).copy()
        without[:, minimum[0] : minimum[1]] = 0
        scale = next(offset for offset in scales if offset != minimum[0])
        only[:, scale : scale + 2] = 0
        parts = [without.reshape(-1), only.reshape(-1)]
    for part in parts:
        total += float(np.sum(np.abs(decode(to_float, part, count).astype(np.float64) * activations)))
    return total


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def write_type(base, cpu, type_name, rows):
    number, _, _, activation, _, _ = TYPES[type_name]
    to_float = base.ggml_get_type_traits(number).contents.to_float
    vec_dot = cpu.ggml_get_type_traits_cpu(number).contents.vec_dot
    activation_to_float = base.ggml_get_type_traits(TYPES[activation][0]).contents.to_float
    data = struct.pack("<I", len(rows))
    for name, values in rows.items():
        rotated = np.roll(values, -96)
        if name == "random bytes" and type_name not in PLAIN + ("Q8_1",):
            weights = random_bytes(type_name, len(values), to_float)
        else:
            weights = encode_weights(base, cpu, type_name, rotated)
        decoded = rotated if type_name == "F32" else decode(to_float, weights, len(values))
        activations = encode_activations(cpu, activation, values)
        seen = values
        if activation_to_float and activation != "F32":
            seen = decode(activation_to_float, activations, len(values))
        result = generic = terms = 0.0
        if vec_dot:
            result = generic = dot(DOT(vec_dot), weights, activations, len(values))
            if function := generic_dot(cpu, type_name, activation):
                generic = dot(function, weights, activations, len(values))
            if type_name == "F32":
                terms = float(np.sum(np.abs(decoded.astype(np.float64) * values)))
            else:
                terms = magnitude(type_name, to_float, weights, seen)
        encoded = name.encode()
        data += struct.pack("<I", len(encoded)) + encoded + struct.pack("<I", len(values))
        stored = b"" if type_name in PLAIN else weights.tobytes()
        data += struct.pack("<I", len(stored)) + stored
        hashed = fnv1a(decoded.tobytes()) if to_float or type_name == "F32" else 0
        data += struct.pack("<Qffd", hashed, result, generic, terms)
    (HERE / f"{type_name}.bin").write_bytes(data)


def main():
    base, cpu = load()
    HERE.mkdir(exist_ok=True)
    rows = inputs()
    data = struct.pack("<I", len(rows))
    for name, values in rows.items():
        encoded = name.encode()
        data += struct.pack("<I", len(encoded)) + encoded + struct.pack("<I", len(values)) + values.tobytes()
    (HERE / "inputs.bin").write_bytes(data)
    for type_name in TYPES:
        write_type(base, cpu, type_name, rows)
    for type_name in ACTIVATIONS:
        encoded = [encode_activations(cpu, type_name, values).tobytes() for values in rows.values()]
        if type_name in PLAIN:
            encoded = [struct.pack("<Q", fnv1a(row)) for row in encoded]
        (HERE / f"{type_name}.act").write_bytes(b"".join(encoded))
    total = sum(path.stat().st_size for path in HERE.iterdir())
    print(f"{len(list(HERE.iterdir()))} files, {total} bytes")


if __name__ == "__main__":
    main()
