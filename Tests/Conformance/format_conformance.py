#!/usr/bin/env python3
"""Compares every quantisation format with real ggml, row by row, byte by byte.

    pip install -r requirements.txt -r requirements-whole-pass.txt
    swift build -c release --product FormatDriver
    python Tests/Conformance/format_conformance.py [--rows 10000] [--types Q4_K,Q6_K] [--speed]

The authority is the libggml-base of llama-cpp-python: `ggml_quantize_chunk` with and without an importance matrix,
`quantize_row_*_ref` and `to_float` of `ggml_get_type_traits`; it is compiled for baseline x86-64, so nothing is fused.

Products are compared with three others, all of the same rounded activations:

- kernel: `vec_dot` of its libggml-cpu, which llama.cpp runs on this machine;
- generic: the portable `ggml_vec_dot_*_generic` of libggml-python, compiled for AVX2;
- exact: the sum in double precision of what weights and activations stand for.

Of llama-cpp-python, which pip compiles for this machine, the generic functions are not used: GCC 12.2 with -O3 and VNNI
(-mavx512vnni or -mavxvnni) miscompiles the integer sum of Q5_0's, and results are off by more than all terms together;
the same source is right without VNNI, without -ftree-vectorize, with Clang, and in libggml-python. On x86 Q2_0 has no
kernel but the portable function, which goes by the kernel's name.

A comparison is exact for bytes and decoded values. Products may differ by 1e-6 of the sum of their terms' magnitudes,
sum |w * a|, and not of the result, which may be as close to zero as it likes: there ggml's own kernels differ from the
exact sum by 1e-4 and more of the result, and by 4e-8 of the terms in ordinary rows. Counted as terms is what a kernel
adds up: where it multiplies unsigned codes and subtracts an offset times the sum of the activations, that product, too.
In Q6_K the two meet in different lanes of a register and are rounded apart; in rows with an outlier, whose other
weights are nearly zero, the offset is fifty times as large as the terms, and ggml's x86 kernel is up to 6e-6 of these
off. The portable function, which subtracts first, is right there to 2e-7. Quipu does what the kernel does, to the bit.
The last line says how many formats agree; the exit status is 1 if one does not.
"""
import argparse
import ctypes as C
import importlib.util
import pathlib
import struct
import subprocess
import sys
import time

import numpy as np

from generic_products import GenericProducts

ROOT = pathlib.Path(__file__).resolve().parents[2]
# name: id, elements and bytes of a block, activation type, needs an importance matrix
TYPES = {
    "F16": (1, 1, 2, "F16", False), "BF16": (30, 1, 2, "BF16", False),
    "Q4_0": (2, 32, 18, "Q8_0", False), "Q4_1": (3, 32, 20, "Q8_1", False), "Q5_0": (6, 32, 22, "Q8_0", False),
    "Q5_1": (7, 32, 24, "Q8_1", False), "Q8_0": (8, 32, 34, "Q8_0", False), "Q8_1": (9, 32, 36, None, False),
    "Q2_K": (10, 256, 84, "Q8_K", False), "Q3_K": (11, 256, 110, "Q8_K", False), "Q4_K": (12, 256, 144, "Q8_K", False),
    "Q5_K": (13, 256, 176, "Q8_K", False), "Q6_K": (14, 256, 210, "Q8_K", False), "Q8_K": (15, 256, 292, None, False),
    "IQ2_XXS": (16, 256, 66, "Q8_K", True), "IQ2_XS": (17, 256, 74, "Q8_K", True),
    "IQ3_XXS": (18, 256, 98, "Q8_K", False),
    "IQ1_S": (19, 256, 50, "Q8_K", True), "IQ4_NL": (20, 32, 18, "Q8_0", False), "IQ3_S": (21, 256, 110, "Q8_K", False),
    "IQ2_S": (22, 256, 82, "Q8_K", False), "IQ4_XS": (23, 256, 136, "Q8_K", False),
    "IQ1_M": (29, 256, 56, "Q8_K", False),
    "TQ1_0": (34, 256, 54, "Q8_K", False), "TQ2_0": (35, 256, 66, "Q8_K", False), "MXFP4": (39, 32, 17, "Q8_0", False),
    "NVFP4": (40, 64, 36, "Q8_0", False), "Q1_0": (41, 128, 18, "Q8_0", False), "Q2_0": (42, 64, 18, "Q8_0", False),
}


class Traits(C.Structure):
    _fields_ = [
        ("name", C.c_char_p), ("block", C.c_int64), ("interleave", C.c_int64), ("size", C.c_size_t),
        ("quantized", C.c_bool), ("to_float", C.c_void_p), ("from_float_ref", C.c_void_p)]


class CPUTraits(C.Structure):
    _fields_ = [
        ("from_float", C.c_void_p), ("vec_dot", C.c_void_p), ("vec_dot_type", C.c_int), ("nrows", C.c_int64)]


# bytes of the scale and of the minimum of a block
MINIMA = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q4_K": (0, 2), "Q5_K": (0, 2)}
CONVERT = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p, C.c_int64)
DOT = C.CFUNCTYPE(
    None, C.c_int, C.c_void_p, C.c_size_t, C.c_void_p, C.c_size_t, C.c_void_p, C.c_size_t, C.c_int)


def lower(name):
    return name.lower()[:-1] + "K" if name.endswith("_K") else name.lower()


def pointer(array):
    return C.c_void_p(array.ctypes.data) if array is not None else None


class Ggml:
    def __init__(self):
        folder = pathlib.Path(importlib.util.find_spec("llama_cpp").origin).parent / "lib"
        self.base = C.CDLL(str(folder / "libggml-base.so"))
        self.cpu = C.CDLL(str(folder / "libggml-cpu.so"))
        self.base.ggml_get_type_traits.restype = C.POINTER(Traits)
        self.base.ggml_quantize_chunk.restype = C.c_size_t
        self.cpu.ggml_get_type_traits_cpu.restype = C.POINTER(CPUTraits)
        self.cpu.ggml_cpu_init()
        for number, *_ in TYPES.values():
            self.base.ggml_quantize_init(C.c_int(number))

    def encode(self, name, values, importance):
        number, elements, size = TYPES[name][:3]
        rows, count = values.shape
        output = np.zeros((rows, count // elements * size), np.uint8)
        if name in ("Q8_1", "Q8_K"):
            getattr(self.base, f"quantize_row_{lower(name)}_ref")(
                pointer(values), pointer(output), C.c_int64(values.size))
            return output
        self.base.ggml_quantize_chunk(
            C.c_int(number), pointer(values), pointer(output), C.c_int64(0), C.c_int64(rows), C.c_int64(count),
            pointer(importance))
        return output

    def encode_iq4_nl_reference(self, values):
        """`quantize_row_iq4_nl_ref`; codes of blocks without a scale are what memory held, here those of zero."""
        output = np.zeros((len(values), values.shape[1] // 32 * 18), np.uint8)
        self.base.quantize_row_iq4_nl_ref(pointer(values), pointer(output), C.c_int64(values.size))
        blocks = output.reshape(-1, 18)
        empty = np.abs(values).reshape(-1, 32).max(axis=1) < 1e-15
        assert (blocks[empty, :2] == 0).all()
        blocks[empty, 2:] = 0x88
        return output

    def decode(self, name, encoded, count):
        number = TYPES[name][0]
        values = np.zeros((len(encoded), count), np.float32)
        to_float = self.base.ggml_get_type_traits(number).contents.to_float
        if not to_float:
            return None
        CONVERT(to_float)(pointer(encoded), pointer(values), values.size)
        return values

    def activations(self, name, values):
        """A row of activations, rounded as the kernel of a format takes them; `None` if it takes floats."""
        activation = TYPES[name][3]
        if activation not in ("Q8_0", "Q8_1", "Q8_K"):
            return None
        number, elements, size = TYPES[activation][:3]
        activations = np.zeros(len(values) // elements * size, np.uint8)
        from_float = self.cpu.ggml_get_type_traits_cpu(number).contents.from_float
        CONVERT(from_float)(pointer(values), pointer(activations), len(values))
        return activations

    def dots(self, name, count, encoded, activations):
        """The products of rows with a row of rounded activations, by the kernel that llama.cpp runs on this machine."""
        function = DOT(self.cpu.ggml_get_type_traits_cpu(TYPES[name][0]).contents.vec_dot)
        result, products = C.c_float(), []
        for row in encoded:
            function(count, C.byref(result), 0, pointer(row), 0, pointer(activations), 0, 1)
            products.append(result.value)
        return np.array(products, np.float32)


class Quipu:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds = 0.0

    def ask(self, operation, name, rows, count, payload, size):
        self.process.stdin.write(struct.pack("<4I", operation, TYPES[name][0], rows, count) + payload)
        self.process.stdin.flush()
        answer = self.process.stdout.read(8 + size)
        if len(answer) < 8 + size:
            raise SystemExit(f"{name}: the driver stopped")
        self.seconds = struct.unpack("<d", answer[:8])[0]
        return answer[8:]

    def encode(self, name, values, importance):
        rows, count = values.shape
        size = count // TYPES[name][1] * TYPES[name][2]
        payload = (importance.tobytes() if importance is not None else b"") + values.tobytes()
        answer = self.ask(0 if importance is None else 1, name, rows, count, payload, rows * size)
        return np.frombuffer(answer, np.uint8).reshape(rows, size)

    def encode_iq4_nl_reference(self, values):
        rows, count = values.shape
        answer = self.ask(4, "IQ4_NL", rows, count, values.tobytes(), rows * count // 32 * 18)
        return np.frombuffer(answer, np.uint8).reshape(rows, -1)

    def decode(self, name, encoded, count):
        answer = self.ask(2, name, len(encoded), count, encoded.tobytes(), 4 * len(encoded) * count)
        return np.frombuffer(answer, np.float32).reshape(len(encoded), count)

    def dots(self, name, encoded, values):
        payload = encoded.tobytes() + values.tobytes()
        return np.frombuffer(self.ask(3, name, len(encoded), len(values), payload, 4 * len(encoded)), np.float32)


def batches(total, random):
    """Rows of 1 to 16 super-blocks of every kind, in matrices of about 100 rows."""
    scales = 10.0 ** np.arange(-8, 5)
    done = 0
    while done < total:
        blocks = int(random.integers(1, 17)) if done % 500 == 0 else int(random.integers(1, 4))
        rows = min(100, total - done)
        values = random.normal(size=(rows, 256 * blocks)) * random.choice(scales, size=(rows, 1))
        for row in values:
            kind = random.integers(0, 12)
            if kind == 0:
                start = 32 * int(random.integers(0, len(row) // 32))
                row[start : start + int(random.choice([32, 128, 256]))] = 0
            elif kind == 1:
                row[random.integers(0, len(row))] *= 1000
            elif kind == 2:
                row[:] = np.repeat(row[::32], 32)
            elif kind == 3:
                row[:] = row * 1e-38 / np.abs(row).max() * random.choice([1, 0.01, 100])
            elif kind == 4:
                row[:] = np.abs(row) * random.choice([-1, 1])
            elif kind == 5:
                row[:] = np.round(row / np.abs(row).max() * 20) * 0.25
            elif kind == 6:
                row[:] = random.standard_t(2, size=len(row)) * 0.02
            elif kind == 7:
                row[:] = row[0] + row * 1e-6
        yield values.astype(np.float32)
        done += rows


def importance_of(count, random):
    importance = random.gamma(0.5, size=count).astype(np.float32)
    if random.random() < 0.2:
        importance[random.random(count) < 0.3] = 0
    return importance


def compare(ggml, quipu, generic, name, total):
    random = np.random.default_rng(TYPES[name][0])
    needs = TYPES[name][4]
    counts = {"rows": 0, "plain": 0, "weighted": 0, "decoded": 0, "dots": 0}
    for values in batches(total, random):
        rows, count = values.shape
        counts["rows"] += rows
        importance = importance_of(count, random)
        encoded = None
        for key, weights in (("plain", None), ("weighted", importance)):
            if (weights is None and needs) or (weights is not None and name in ("Q8_1", "Q8_K")):
                continue
            theirs = ggml.encode(name, values, weights)
            ours = quipu.encode(name, values, weights)
            if name == "Q8_K":
                blank = theirs.reshape(-1, 292)[:, :4].view(np.float32)[:, 0] == 0
                theirs.reshape(-1, 292)[blank, 260:] = 0
            counts[key] += int((theirs != ours).any(axis=1).sum())
            encoded = theirs
        if name == "IQ4_NL":
            theirs, ours = ggml.encode_iq4_nl_reference(values), quipu.encode_iq4_nl_reference(values)
            counts["reference"] = counts.get("reference", 0) + int((theirs != ours).any(axis=1).sum())
        # Random bytes too: not every code is one that an encoder would choose.
        for bytes_ in (encoded, random.integers(0, 256, encoded.shape, dtype=np.uint8)):
            theirs = ggml.decode(name, bytes_, count)
            if theirs is None:
                continue
            ours = quipu.decode(name, bytes_, count)
            same = (theirs.view(np.uint32) == ours.view(np.uint32)) | (np.isnan(theirs) & np.isnan(ours))
            counts["decoded"] += int((~same).any(axis=1).sum())
        activations = random.normal(size=count).astype(np.float32)
        rounded = ggml.activations(name, activations) if TYPES[name][3] else None
        if rounded is not None:
            ours = quipu.dots(name, encoded, activations)
            theirs = ggml.dots(name, count, encoded, rounded)
            counts["dots"] += int(((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))).sum())
            symbol = f"ggml_vec_dot_{lower(name)}_{lower(TYPES[name][3])}" + ("" if name == "Q2_0" else "_generic")
            others = {"kernel": theirs, "generic": generic(symbol, count, encoded, rounded)}
            others["exact"], magnitudes = exact(ggml, name, encoded, rounded, count)
            for other, products in others.items():
                if products is not None:
                    counts[other] = max(counts.get(other, 0.0), distance(ours, products, magnitudes))
    return counts


def distance(ours, theirs, magnitudes):
    """The largest difference of two products, as a share of the sum of their terms' magnitudes."""
    finite = np.isfinite(theirs)
    if (np.isfinite(ours) != finite).any():
        return float("inf")
    error = np.abs(ours[finite].astype(np.float64) - theirs[finite])
    return float((error / np.maximum(magnitudes[finite], 1e-30)).max(initial=0))


def exact(ggml, name, encoded, activations, count):
    """Of each row the product in double precision, and the sum of |w * a|, a minimum or an offset counted apart.

    Q8_1 stores the sum of a block's activations beside them, rounded to half; a minimum meets that sum.
    """
    blocks = activations.reshape(-1, TYPES[TYPES[name][3]][2])
    if TYPES[name][3] == "Q8_K":
        scales, codes = blocks[:, :4].copy().view(np.float32), blocks[:, 4:260]
    else:
        scales, codes = blocks[:, :2].copy().view(np.float16), blocks[:, -32:]
    values = (scales.astype(np.float64) * codes.view(np.int8)).reshape(-1)
    weights = [encoded]
    if name in MINIMA:
        weights = [encoded.copy(), encoded.copy()]
        for part, offset in zip(weights, MINIMA[name], strict=True):
            part.reshape(-1, TYPES[name][2])[:, offset : offset + 2] = 0
    weights = [ggml.decode(name, part, count).astype(np.float64) for part in weights]
    products = sum(part @ values for part in weights)
    if TYPES[name][3] == "Q8_1":
        sums = blocks[:, 2:4].copy().view(np.float16).astype(np.float64)[:, 0]
        minima, plain = weights[0].reshape(len(encoded), -1, 32)[:, :, 0], weights[1]
        products = plain @ values + minima @ sums
    if name.startswith("TQ"):
        # ggml's kernels multiply 0, 1, 2 and subtract the sum of the activations.
        weights = [np.repeat(np.abs(part.reshape(len(part), -1, 256)).max(axis=2), 256, axis=1) for part in weights]
    magnitudes = sum(np.abs(part) @ np.abs(values) for part in weights)
    if name == "Q6_K":
        # ggml's kernels multiply 0 to 63 and subtract 32 times the sum of the sixteen activations of a scale.
        offsets = encoded.copy()
        offsets.reshape(-1, 210)[:, :192] = 0
        offsets = ggml.decode(name, offsets, count).astype(np.float64)[:, ::16]
        magnitudes += np.abs(offsets) @ np.abs(values.reshape(-1, 16).sum(axis=1))
    return products, magnitudes


def speed(ggml, quipu, name):
    random = np.random.default_rng(1)
    values = (random.normal(size=(256, 4096)) * 0.02).astype(np.float32)
    importance = importance_of(4096, random)
    line = f"{name:8}"
    for weights in (None, importance):
        if weights is None and TYPES[name][4]:
            line += " " * 36
            continue
        start = time.perf_counter()
        ggml.encode(name, values, weights)
        theirs = time.perf_counter() - start
        quipu.encode(name, values, weights)
        ours = quipu.seconds
        line += f"  ggml {values.size / theirs / 1e6:7.1f}  Quipu {values.size / ours / 1e6:7.1f} M/s"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--driver", default=str(ROOT / ".build/release/FormatDriver"))
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    np.seterr(invalid="ignore")  # scales that overflow are infinite; what is not finite is compared apart
    ggml, quipu, generic = Ggml(), Quipu(arguments.driver), GenericProducts()
    if arguments.speed:
        for name in arguments.types.split(","):
            speed(ggml, quipu, name)
        return
    print("format     rows   bytes differ   weighted differ   decoded differ   kernel's product differs   at most: "
          "from kernel    generic      exact")
    good, names = 0, arguments.types.split(",")
    for name in names:
        c = compare(ggml, quipu, generic, name, arguments.rows)
        far = [c.get(other) for other in ("kernel", "generic", "exact")]
        print(f"{name:8} {c['rows']:6} {c['plain']:14} {c['weighted']:17} {c['decoded']:16} {c['dots']:26}            "
              + " ".join(f"{'-' if x is None else f'{x:.1e}':>10}" for x in far), flush=True)
        if "reference" in c:
            print(f"         quantize_row_{lower(name)}_ref: {c['reference']} rows differ", flush=True)
        differing = c["plain"] + c["weighted"] + c["decoded"] + c.get("reference", 0)
        good += differing == 0 and all(x is None or x <= 1e-6 for x in far)
    print(f"{good} of {len(names)} formats agree with ggml")
    sys.exit(good < len(names))


if __name__ == "__main__":
    main()
