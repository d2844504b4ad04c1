"""The functions that `quipu sql` adds to SQL, for `Trace.sql`: f32, f16, row, dot."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from typing import Any


def register(connection: sqlite3.Connection) -> None:
    for function, arguments in ((f32, 2), (f16, 2), (row, 3), (dot, 2)):
        connection.create_function(function.__name__, arguments, function, deterministic=True)


def _element(blob: Any, i: Any, code: str) -> float | None:
    size = struct.calcsize(code)
    if not isinstance(blob, bytes) or not isinstance(i, int) or not 0 <= i < len(blob) // size:
        return None
    return float(struct.unpack_from(code, blob, size * i)[0])


def f32(blob: Any, i: Any) -> float | None:
    """Element i of a blob of F32; NULL outside."""
    return _element(blob, i, "<f")


def f16(blob: Any, i: Any) -> float | None:
    """Element i of a blob of F16; NULL outside."""
    return _element(blob, i, "<e")


def row(blob: Any, i: Any, n: Any) -> str | None:
    """Row i of a blob of F32 with n elements a row, as a JSON array; NULL outside."""
    if not isinstance(blob, bytes) or not isinstance(i, int) or not isinstance(n, int):
        return None
    if i < 0 or n <= 0 or (i + 1) * n > len(blob) // 4:
        return None
    values = struct.unpack_from(f"<{n}f", blob, 4 * i * n)
    return "[" + ",".join(_shortest(value) if math.isfinite(value) else "null" for value in values) + "]"


def _shortest(value: float) -> str:
    """The shortest number that is this F32, as the program writes it."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 9))
    return next((text for text in texts if struct.pack("<f", float(text)) == struct.pack("<f", value)), f"{value:.9g}")


def dot(a: Any, b: Any) -> float | None:
    """The sum of products, in double precision, of blobs of F32 or JSON arrays of one length."""
    left, right = _vector(a), _vector(b)
    if left is None or right is None:
        return None
    if len(left) != len(right):
        raise ValueError(f"dot(a, b): a has {len(left)} elements, b has {len(right)}")
    # In the program's order; sum() of newer Pythons compensates for rounding.
    total = 0.0
    for x, y in zip(left, right):
        total += x * y
    return total


def _vector(value: Any) -> list[float] | None:
    if isinstance(value, bytes):
        return list(struct.unpack_from(f"<{len(value) // 4}f", value))
    try:
        numbers = json.loads(value)
        return [float(number) for number in numbers]
    except (TypeError, ValueError):
        return None
