#!/usr/bin/env python3
"""Writes the golden vectors that need current ggml, through ctypes.

    pip install llama-cpp-python==0.3.36 numpy
    python Tests/QuantizationTests/make_encodings.py

Every number comes from the libggml of that package (a build for this processor; its libggml-base is baseline x86-64):

  TYPE.bin        for the types that `make_vectors.py`'s older ggml lacks or encodes otherwise, in its layout. `dot` is
                  that of the kernel, `generic` of ggml_vec_dot_*_generic.
  importance.bin  4096 x f32: an importance matrix row, a fifth of it zeros; rows use its beginning
  encodings.bin   u32 types; per type: u32 name length, name; per row of inputs.bin: u64 FNV-1a of what
                  ggml_quantize_chunk makes of it without and with importance (0: ggml refuses)
  references.bin  per row of inputs.bin: u64 FNV-1a of what quantize_row_iq4_nl_ref makes of it, codes of blocks of
                  zeros set to those of zero
"""
import ctypes as C
import pathlib
import struct
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Conformance"))
import make_vectors

from format_conformance import CONVERT, TYPES, Ggml, lower, pointer, terms

NEW = {  # offsets of F16 scales
    "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": (), "NVFP4": (), "Q1_0": (0,), "Q2_0": (0,), "TQ1_0": (52,),
    "TQ2_0": (64,),
    "IQ2_XXS": (0,), "IQ2_XS": (0,), "IQ2_S": (0,), "IQ3_XXS": (0,), "IQ3_S": (0,), "IQ1_S": (0,), "IQ1_M": (),
}
HERE = make_vectors.HERE


def random_bytes(ggml, name, count):
    random = np.random.default_rng(TYPES[name][0])
    _, elements, size = TYPES[name][:3]
    blocks = []
    while len(blocks) < count // elements:
        block = random.integers(0, 256, size, dtype=np.uint8)
        for offset in NEW[name]:
            block[offset : offset + 2] = np.frombuffer(np.float16(random.normal() * 0.01).tobytes(), np.uint8)
        if name == "MXFP4":
            block[0] = random.integers(115, 130)
        values = ggml.decode(name, block[None], elements)
        if np.isfinite(values).all() and np.abs(values).max() < 1e4:
            blocks.append(block)
    return np.concatenate(blocks)


def generic_dot(ggml, name, weights, values):
    function = getattr(ggml.cpu, f"ggml_vec_dot_{lower(name)}_{lower(TYPES[name][3])}_generic", None)
    if function is None:
        # Where there is no kernel, the portable code goes by the kernel's name.
        return float(ggml.dots(name, weights[None], values)[0])
    number, elements, size = TYPES[TYPES[name][3]][:3]
    activations = np.zeros(len(values) // elements * size, np.uint8)
    CONVERT(ggml.cpu.ggml_get_type_traits_cpu(number).contents.from_float)(
        pointer(values), pointer(activations), len(values))
    result = C.c_float()
    function(
        C.c_int(len(values)), C.byref(result), C.c_size_t(0), pointer(weights), C.c_size_t(0), pointer(activations),
        C.c_size_t(0), C.c_int(1))
    return result.value


def vectors(ggml, name, rows):
    data = struct.pack("<I", len(rows))
    for row, values in rows.items():
        count = len(values)
        if row == "random bytes":
            weights = random_bytes(ggml, name, count)
        else:
            ones = np.ones(count, np.float32) if TYPES[name][4] else None
            weights = ggml.encode(name, np.roll(values, -96)[None], ones)[0]
        decoded = ggml.decode(name, weights[None], count)
        dot = float(ggml.dots(name, weights[None], values)[0])
        generic = generic_dot(ggml, name, weights, values)
        size = float(terms(ggml, name, weights[None], values)[0])
        assert dot == generic or abs(dot - generic) <= 1e-6 * size, (name, row, dot, generic, size)
        encoded = row.encode()
        data += struct.pack("<I", len(encoded)) + encoded + struct.pack("<2I", count, len(weights)) + weights.tobytes()
        data += struct.pack("<Qffd", make_vectors.fnv1a(decoded.tobytes()), dot, generic, size)
    (HERE / f"{name}.bin").write_bytes(data)


def main():
    ggml = Ggml()
    rows = make_vectors.inputs()
    for name in NEW:
        vectors(ggml, name, rows)
    random = np.random.default_rng(7)
    importance = random.gamma(0.5, size=4096).astype(np.float32)
    importance[random.random(4096) < 0.2] = 0
    (HERE / "importance.bin").write_bytes(importance.tobytes())
    data = struct.pack("<I", len(TYPES))
    for name, (*_, demands) in TYPES.items():
        data += struct.pack("<I", len(name)) + name.encode()
        for values in rows.values():
            for weights in (None, importance[: len(values)].copy()):
                refuses = (demands and weights is None) or (weights is not None and name in ("Q8_1", "Q8_K"))
                encoded = b"" if refuses else ggml.encode(name, values[None], weights).tobytes()
                data += struct.pack("<Q", make_vectors.fnv1a(encoded) if encoded else 0)
    (HERE / "encodings.bin").write_bytes(data)
    references = [ggml.encode_iq4_nl_reference(values[None]) for values in rows.values()]
    (HERE / "references.bin").write_bytes(
        b"".join(struct.pack("<Q", make_vectors.fnv1a(encoded.tobytes())) for encoded in references))
    total = sum(path.stat().st_size for path in HERE.iterdir())
    print(f"{len(list(HERE.iterdir()))} files, {total} bytes")


if __name__ == "__main__":
    main()
