"""NumPy, or what to do without it: the program, tables and documents need none."""

from __future__ import annotations

from ._errors import Missing

try:
    import numpy as np
except ImportError as error:
    raise Missing("an array needs numpy, which is not installed: pip install numpy") from error

__all__ = ["np"]
