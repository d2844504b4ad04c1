"""Values of recorded operations, as `quipu show` decodes them, in NumPy arrays.

**Axes.** ggml names the fastest dimension first, NumPy the last: an array has ggml's dimensions in reverse order.
`kq_soft_max-3` is `[key, query, head]` in ggml and `[head, query, key]` here. ggml always has four dimensions; those
at the slow end that are of length 1 are left out, but two are always kept, and three of ROPE and SOFT_MAX, which are by
head.

**Views** (VIEW, RESHAPE, PERMUTE, TRANSPOSE) have no values of their own; theirs are found in their source. SET_ROWS
gives the KV cache: all that passes so far have written to it. Elements that the trace does not hold are NaN.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from ._errors import NotInTrace, TraceError
from ._file import TraceFile
from ._numpy import np
from ._operations import VIEWS, Operation, checked_shape

# A NaN with a payload that no computation produces: what was not captured, through views and slices.
_MISSING = np.uint32(0x7FC0CAFE)

# Elements of an array that may be mostly empty: 1 GiB. What the file really holds is never too large.
_SPARSE_LIMIT = 1 << 28

# A view of a view of … : llama.cpp's graphs need four.
_DEEPEST_VIEW = 64

_TYPES = {"f32": "<f4", "f16": "<f2", "i32": "<i4"}


@dataclass
class _Memory:
    """Elements in memory and how a tensor lies in them. Strides and offset are in elements, `ne` in ggml's order."""

    flat: np.ndarray
    ne: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @staticmethod
    def contiguous(flat: np.ndarray, ne: tuple[int, ...]) -> _Memory:
        return _Memory(flat, ne, (1, ne[0], ne[0] * ne[1], ne[0] * ne[1] * ne[2]))

    def array(self) -> np.ndarray:
        """A copy, slowest dimension first."""
        view = np.lib.stride_tricks.as_strided(
            self.flat[self.offset :], self.ne[::-1], [4 * stride for stride in self.strides[::-1]], writeable=False
        )
        return np.array(view, order="C")

    def check(self, fault: TraceError) -> _Memory:
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.ne, self.strides))
        if self.offset < 0 or min(self.strides) < 0 or last >= self.flat.size:
            raise fault
        return self


class Values:
    """Reads values out of a trace, and believes nothing that it says about their size."""

    def __init__(self, file: TraceFile) -> None:
        self.file = file

    def of(self, operation: Operation) -> np.ndarray:
        """The values of an operation, F32.

        Raises:
            NotInTrace: if none of them was captured.
            TraceError: if what the trace says of them cannot be.
        """
        memory = self._memory(operation, 0)
        array = None if memory is None else memory.array()
        if array is None or (array.view(np.uint32) == _MISSING).all():
            raise self._not_captured(operation)
        return array.reshape(operation.array_shape)

    def input(self, operation: Operation, slot: int = 0) -> Operation | None:
        """The operation that another one reads; None if it reads a weight or an input of the run there."""
        rows = self._rows("SELECT source_op_id FROM op_input WHERE op_id = ? AND slot = ?", operation.id, slot)
        return self._operation(rows[0][0]) if rows and rows[0][0] is not None else None

    # Decoding

    def _memory(self, operation: Operation, depth: int) -> _Memory | None:
        if depth > _DEEPEST_VIEW:
            raise self._damaged(operation.name, "it is a view of a view without end")
        if operation.kind in VIEWS:
            source = self._source(operation, depth)
            return None if source is None else self._view(operation, source)
        chunks = self._rows(f"SELECT {_CHUNK} FROM tensor WHERE op_id = ? ORDER BY chunk", operation.id)
        # Into a cache; in F32 it writes into a copy, which has values of its own.
        if operation.kind == "SET_ROWS" and (operation.type == "F16" or not chunks):
            return self._cache(self._leaf(operation, 2), operation.ne, operation)
        return self._assembled(chunks, operation.ne, operation.name) if chunks else None

    def _source(self, operation: Operation, depth: int) -> _Memory | None:
        """What a view is a view of."""
        source_id, leaf, *ne = self._input(operation.id, 0, operation.name)
        if source_id is None:
            return self._cache(leaf, checked_shape(ne, operation.name, self.file.path), operation)
        source = self._operation(source_id)
        pass_of = (operation.run, operation.step)
        if source is None or (source.run, source.step) != pass_of or source.seq >= operation.seq:
            raise self._damaged(operation.name, "its source is not an earlier operation of its pass")
        return self._memory(source, depth + 1)

    def _leaf(self, operation: Operation, slot: int) -> str:
        """The cache that an input is, or is another shape of: `cache_v_l0 (reshaped)` is `cache_v_l0`."""
        source_id, name, *_ = self._input(operation.id, slot, operation.name)
        for _ in range(_DEEPEST_VIEW):
            if source_id is None:
                return str(name)
            source_id, name, *_ = self._input(source_id, 0, operation.name)
        raise self._damaged(operation.name, "it is a view of a view without end")

    def _input(self, op_id: int, slot: int, name: str) -> tuple[Any, ...]:
        statement = "SELECT source_op_id, name, ne0, ne1, ne2, ne3 FROM op_input WHERE op_id = ? AND slot = ?"
        rows = self._rows(statement, op_id, slot)
        if not rows:
            raise self._damaged(name, f"its input {slot} is missing")
        return rows[0]

    def _cache(self, leaf: str, ne: tuple[int, ...], operation: Operation) -> _Memory | None:
        """A cache as an operation sees it: everything that was written to it in this run so far."""
        chunks = self._rows(
            f"""SELECT {_CHUNK} FROM tensor JOIN op ON op.id = tensor.op_id JOIN pass ON pass.id = op.pass_id
            WHERE op.name IN (? || ' (view)', ? || ' (reshaped) (view)') AND op.kind = 'SET_ROWS' AND pass.run_id = ?
                AND (pass.step < ? OR (pass.step = ? AND op.seq <= ?)) ORDER BY pass.step, tensor.chunk""",
            *(leaf, leaf, operation.run, operation.step, operation.step, operation.seq),
        )
        return self._assembled(chunks, ne, leaf) if chunks else None

    def _assembled(self, chunks: list[tuple[Any, ...]], ne: tuple[int, ...], name: str) -> _Memory:
        """F32 values where the chunks say, missing elsewhere. All is checked before anything is allocated."""
        count = math.prod(ne)
        for chunk in chunks:
            self._check(chunk, count, name)
        held = sum(chunk[3] for chunk in chunks)
        if count > max(held, _SPARSE_LIMIT):
            raise self._damaged(name, f"a tensor of {count} elements of which {held} were captured")
        flat = np.full(count, _MISSING, np.uint32).view(np.float32)
        for op_id, number, first, n, length, stride, dtype, size in chunks:
            blobs = self._rows("SELECT data FROM tensor WHERE op_id = ? AND chunk = ?", op_id, number)
            if len(blobs) != 1 or len(blobs[0][0]) != size:
                raise self._damaged(name, f"{len(blobs)} blobs of one number")
            values = np.frombuffer(blobs[0][0], _TYPES[dtype]).astype(np.float32)
            if length is None:
                flat[first : first + n] = values
            else:
                element = np.arange(n)
                flat[first + element // length * stride + element % length] = values
        return _Memory.contiguous(flat, ne)

    def _check(self, chunk: tuple[Any, ...], count: int, name: str) -> None:
        _, _, first, n, length, stride, dtype, size = chunk
        runs = (n, 0) if length is None else (length, stride)
        numbers = (first, n, size, *runs)
        if dtype in _TYPES and all(isinstance(number, int) and number >= 0 for number in numbers) and n and runs[0]:
            last = first + (n - 1) // runs[0] * runs[1] + (n - 1) % runs[0]
            if size == n * np.dtype(_TYPES[dtype]).itemsize and last < count:
                return
        raise self._damaged(name, f"a blob of {size} bytes for {n} elements that are to lie within {count}")

    def _view(self, operation: Operation, source: _Memory) -> _Memory:
        """Applies a recorded view."""
        fault = self._damaged(operation.name, "the view does not fit its source")
        ne = operation.ne
        if operation.kind == "RESHAPE":
            if math.prod(ne) != math.prod(source.ne):
                raise fault
            return _Memory.contiguous(source.array().reshape(-1), ne)
        try:
            params = json.loads(operation.params)
            if operation.kind in ("PERMUTE", "TRANSPOSE"):
                axes = [1, 0, 2, 3] if operation.kind == "TRANSPOSE" else [int(axis) for axis in params["axes"]]
                if sorted(axes) != [0, 1, 2, 3] or any(ne[axis] != source.ne[i] for i, axis in enumerate(axes)):
                    raise fault
                strides = tuple(source.strides[axes.index(dimension)] for dimension in range(4))
                return _Memory(source.flat, ne, strides, source.offset).check(fault)
            # Byte distances, in the type that the tensor has in the engine.
            size = 2 if operation.type in ("F16", "BF16") else 4
            nb1, nb2, nb3, offset = (int(params[key]) for key in ("nb1", "nb2", "nb3", "offset"))
        except (ValueError, KeyError, TypeError) as error:
            raise fault from error
        if any(distance % size for distance in (nb1, nb2, nb3, offset)):
            raise fault
        steps = (1, nb1 // size, nb2 // size, nb3 // size)
        return _Memory(source.flat, ne, steps, source.offset + offset // size).check(fault)

    # Asking

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.file.rows(statement, values)[1]

    def _operation(self, op_id: Any) -> Operation | None:
        found = Operation.found(self.file, "op.id = ?", op_id)
        return found[0] if found else None

    def _not_captured(self, operation: Operation) -> NotInTrace:
        ((capture,),) = self._rows("SELECT capture FROM run WHERE id = ?", operation.run)
        if capture == "all":
            return NotInTrace(
                f"{operation.name!r} has no values at step {operation.step}: it is the cache before anything was "
                "written to it. A later step has some."
            )
        return NotInTrace(
            f"the values of {operation.name!r} were not captured (capture={capture!r}). Trace again with "
            "capture='all', or with an only=[…] that names it."
        )

    def _damaged(self, name: str, what: str) -> TraceError:
        return TraceError(f"{self.file.path}: the values of {name!r} are damaged: {what}. Trace again.")


_CHUNK = (
    "tensor.op_id, tensor.chunk, tensor.first_element, tensor.n_elements, tensor.run_length, tensor.run_stride, "
    "tensor.dtype, length(CASE typeof(tensor.data) WHEN 'blob' THEN tensor.data END)"
)
