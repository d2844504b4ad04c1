"""The real ggml through ctypes: type table, quantisation, and the building and running of small graphs.

The library is the one of the PyPI package `libggml-python` (plain CPU backend built for AVX2, so it quantises
activations as x86 does). Only what the suite uses is declared. `Graph` is a scratch context: put arrays in, apply
operations, compute, and read the result back; every value is in ggml's order, ne0 fastest.
"""

import ctypes as C
import os

import gguf
import numpy as np

F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1 = 0, 1, 2, 3, 6, 7, 8, 9
Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, I32, I64, BF16 = 10, 11, 12, 13, 14, 15, 26, 27, 30
IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S, IQ4_XS, IQ1_M = 16, 17, 18, 19, 20, 21, 22, 23, 29
TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, Q2_0 = 34, 35, 39, 40, 41, 42

# id -> (name, elements per block, bytes per block); ggml.c `type_traits`
TYPES = {
    F32: ("F32", 1, 4), F16: ("F16", 1, 2), BF16: ("BF16", 1, 2), I32: ("I32", 1, 4), I64: ("I64", 1, 8),
    Q4_0: ("Q4_0", 32, 18), Q4_1: ("Q4_1", 32, 20), Q5_0: ("Q5_0", 32, 22), Q5_1: ("Q5_1", 32, 24),
    Q8_0: ("Q8_0", 32, 34), Q8_1: ("Q8_1", 32, 36), Q2_K: ("Q2_K", 256, 84), Q3_K: ("Q3_K", 256, 110),
    Q4_K: ("Q4_K", 256, 144), Q5_K: ("Q5_K", 256, 176), Q6_K: ("Q6_K", 256, 210), Q8_K: ("Q8_K", 256, 292),
    IQ2_XXS: ("IQ2_XXS", 256, 66), IQ2_XS: ("IQ2_XS", 256, 74), IQ3_XXS: ("IQ3_XXS", 256, 98),
    IQ1_S: ("IQ1_S", 256, 50), IQ4_NL: ("IQ4_NL", 32, 18), IQ3_S: ("IQ3_S", 256, 110), IQ2_S: ("IQ2_S", 256, 82),
    IQ4_XS: ("IQ4_XS", 256, 136), IQ1_M: ("IQ1_M", 256, 56), TQ1_0: ("TQ1_0", 256, 54), TQ2_0: ("TQ2_0", 256, 66),
    MXFP4: ("MXFP4", 32, 17), NVFP4: ("NVFP4", 64, 36), Q1_0: ("Q1_0", 128, 18), Q2_0: ("Q2_0", 64, 18),
}
# What ggml encodes only with importances.
_NEED_IMPORTANCE = (IQ2_XXS, IQ2_XS, IQ1_S)
IDS = {name: id for id, (name, _, _) in TYPES.items()}
# The package gguf 0.19.0 does not name it yet.
if Q2_0 not in gguf.GGMLQuantizationType._value2member_map_:
    _member = int.__new__(gguf.GGMLQuantizationType, Q2_0)
    _member._name_, _member._value_ = "Q2_0", Q2_0
    gguf.GGMLQuantizationType._value2member_map_[Q2_0] = _member
    gguf.GGML_QUANT_SIZES[_member] = TYPES[Q2_0][1:]
NUMPY = {F32: np.float32, F16: np.float16, I32: np.int32, I64: np.int64}


class Tensor(C.Structure):
    """`struct ggml_tensor` of ggml.h; the same in ggml 0.20 and 0.25."""

    _fields_ = [
        ("type", C.c_int32), ("buffer", C.c_void_p), ("ne", C.c_int64 * 4), ("nb", C.c_size_t * 4),
        ("op", C.c_int32), ("op_params", C.c_int32 * 16), ("flags", C.c_int32), ("src", C.c_void_p * 10),
        ("view_src", C.c_void_p), ("view_offs", C.c_size_t), ("data", C.c_void_p), ("name", C.c_char * 64),
        ("extra", C.c_void_p), ("padding", C.c_char * 8),
    ]


def array_of(tensor):
    """The tensor's values as a numpy array of shape ne reversed, honouring strides; `None` if it has no plain data."""
    if tensor.type not in NUMPY or not tensor.data:
        return None
    ne, nb, dtype = list(tensor.ne), list(tensor.nb), np.dtype(NUMPY[tensor.type])
    span = sum((n - 1) * s for n, s in zip(ne, nb, strict=True)) + dtype.itemsize
    memory = (C.c_char * span).from_address(tensor.data)
    return np.ndarray(ne[::-1], dtype, memory, strides=nb[::-1]).copy()


class _InitParams(C.Structure):
    _fields_ = [("mem_size", C.c_size_t), ("mem_buffer", C.c_void_p), ("no_alloc", C.c_bool)]


_P, _I, _L, _F, _Z = C.c_void_p, C.c_int, C.c_int64, C.c_float, C.c_size_t
_BASE = {  # name: (result, arguments)
    "ggml_version": (C.c_char_p, []),
    "ggml_init": (_P, [_InitParams]),
    "ggml_free": (None, [_P]),
    "ggml_new_tensor": (_P, [_P, _I, _I, C.POINTER(_L)]),
    "ggml_new_graph": (_P, [_P]),
    "ggml_build_forward_expand": (None, [_P, _P]),
    "ggml_quantize_chunk": (_Z, [_I, _P, _P, _L, _L, _L, _P]),
    "ggml_mul_mat": (_P, [_P, _P, _P]),
    "ggml_mul": (_P, [_P, _P, _P]),
    "ggml_add": (_P, [_P, _P, _P]),
    "ggml_rms_norm": (_P, [_P, _P, _F]),
    "ggml_scale": (_P, [_P, _P, _F]),
    "ggml_rope_ext": (_P, [_P] * 4 + [_I] * 3 + [_F] * 6),
    "ggml_soft_max_ext": (_P, [_P, _P, _P, _F, _F]),
    "ggml_swiglu_split": (_P, [_P, _P, _P]),
    "ggml_get_rows": (_P, [_P, _P, _P]),
    "ggml_set_rows": (_P, [_P, _P, _P, _P]),
    "ggml_view_4d": (_P, [_P, _P, _L, _L, _L, _L, _Z, _Z, _Z, _Z]),
    "ggml_reshape_4d": (_P, [_P, _P, _L, _L, _L, _L]),
    "ggml_permute": (_P, [_P, _P, _I, _I, _I, _I]),
    "ggml_cont_4d": (_P, [_P, _P, _L, _L, _L, _L]),
}


def _declare(library, table):
    for name, (result, arguments) in table.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


def _load():
    import libggml

    folder = os.path.join(os.path.dirname(libggml.__file__), "lib64")
    base = C.CDLL(os.path.join(folder, "libggml-base.so"))
    cpu = C.CDLL(os.path.join(folder, "libggml-cpu.so"))
    _declare(base, _BASE)
    _declare(cpu, {"ggml_cpu_init": (None, []), "ggml_graph_compute_with_ctx": (_I, [_P, _P, _I])})
    cpu.ggml_cpu_init()
    return base, cpu


base, cpu = _load()
VERSION = "ggml " + base.ggml_version().decode()
THREADS = 2


def row_bytes(type, n):
    _, block, size = TYPES[type]
    assert n % block == 0, f"a row of {n} does not divide into blocks of {TYPES[type][0]} ({block})"
    return n // block * size


def quantize(type, values, importance=None):
    """Rows of float32, shape [rows, n], as uint8 [rows, bytes] in format `type`, by `ggml_quantize_chunk`.

    `importance` has a number for each of the n columns; where it is needed and not given, all matter the same.
    """
    values = np.ascontiguousarray(values, np.float32)
    if type == F32:
        return values.view(np.uint8)
    rows, n = values.shape
    out = np.zeros((rows, row_bytes(type, n)), np.uint8)
    if importance is None and type in _NEED_IMPORTANCE:
        importance = np.ones(n)
    if importance is not None:
        importance = np.ascontiguousarray(importance, np.float32)
    pointer = None if importance is None else importance.ctypes.data
    base.ggml_quantize_chunk(type, values.ctypes.data, out.ctypes.data, 0, rows, n, pointer)
    return out


class Graph:
    """One scratch context of ggml.

    with Graph(megabytes) as g:
        y = g.compute(g.apply("ggml_add", g.put(a), g.put(b)))
    """

    def __init__(self, n_bytes):
        self._size = int(n_bytes) + (4 << 20)

    def __enter__(self):
        self._context = base.ggml_init(_InitParams(self._size, None, False))
        return self

    def __exit__(self, *_):
        base.ggml_free(self._context)

    def put(self, values):
        """A tensor holding a numpy array of up to four dimensions."""
        type = next(id for id, dtype in NUMPY.items() if np.dtype(dtype) == values.dtype)
        return self.put_bytes(type, values.shape[::-1], np.ascontiguousarray(values))

    def put_bytes(self, type, ne, data):
        """A tensor of any type from its bytes, shape in ggml's order."""
        tensor = base.ggml_new_tensor(self._context, type, len(ne), (_L * len(ne))(*ne))
        assert tensor, "ggml's scratch memory is too small"
        C.memmove(Tensor.from_address(tensor).data, data.ctypes.data, data.nbytes)
        return tensor

    def apply(self, name, *arguments):
        return getattr(base, name)(self._context, *arguments)

    def compute(self, result):
        graph = base.ggml_new_graph(self._context)
        base.ggml_build_forward_expand(graph, result)
        status = cpu.ggml_graph_compute_with_ctx(self._context, graph, THREADS)
        assert status == 0, f"ggml_graph_compute_with_ctx returned {status}"
        return array_of(Tensor.from_address(result))
