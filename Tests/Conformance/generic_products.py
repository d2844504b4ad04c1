"""ggml's portable products, `ggml_vec_dot_*_generic`, of the package libggml-python.

In a process of its own, because format_conformance.py has another package's libggml in its process and two of them must
not meet in one. This module is both sides: `GenericProducts` asks, the module run as a program answers.
"""

import ctypes as C
import os
import struct
import subprocess
import sys

import numpy as np

# bytes of the symbol's name, elements of a row, rows, bytes of a row and of the activations
HEADER = struct.Struct("<5I")


class GenericProducts:
    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, symbol, count, encoded, activations):
        """Products of encoded rows with an encoded row of activations; `None` if the library has no such function."""
        header = HEADER.pack(len(symbol), count, len(encoded), encoded.shape[1], len(activations))
        self._process.stdin.write(header + symbol.encode() + encoded.tobytes() + activations.tobytes())
        self._process.stdin.flush()
        size = struct.unpack("<I", self._read(4))[0]
        return np.frombuffer(self._read(size), np.float32) if size else None

    def _read(self, size):
        answer = self._process.stdout.read(size)
        if len(answer) < size:
            raise SystemExit("generic_products.py stopped")
        return answer


def _serve(cpu, requests, answers):
    while header := requests.read(HEADER.size):
        name_size, count, rows, row_size, activations_size = HEADER.unpack(header)
        function = getattr(cpu, requests.read(name_size).decode(), None)
        encoded, activations = requests.read(rows * row_size), requests.read(activations_size)
        result = C.c_float()
        products = np.zeros(rows if function else 0, np.float32)
        for row in range(len(products)):
            bytes_ = encoded[row * row_size:(row + 1) * row_size]
            none = C.c_size_t(0)
            function(C.c_int(count), C.byref(result), none, bytes_, none, activations, none, C.c_int(1))
            products[row] = result.value
        answers.write(struct.pack("<I", products.nbytes) + products.tobytes())
        answers.flush()


if __name__ == "__main__":
    import ggml

    _serve(ggml.cpu, sys.stdin.buffer, sys.stdout.buffer)
