"""The operations of a run, and how they are named: `Qcur-3`, `Qcur-3#0`, `kq-*`."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Any

from ._errors import NotInTrace, TraceError
from ._file import TraceFile

# The schema version since which `op` says what each operation is in the network.
FIRST_WITH_ROLES = 7

#: Kinds that have no values of their own.
VIEWS = ("VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE")


@dataclass(frozen=True)
class Operation:
    """A row of `op` with its index in the run. `ne` has ggml's order."""

    id: int
    run: int
    step: int
    seq: int
    name: str
    kind: str
    type: str
    params: str
    layer: int | None
    role: str | None
    ne: tuple[int, int, int, int]

    @staticmethod
    def found(file: TraceFile, condition: str, *values: Any) -> list[Operation]:
        """The operations that fit a condition, in order.

        Raises:
            TraceError: if a row is none.
        """
        role = "op.role" if file.version >= FIRST_WITH_ROLES else "NULL"
        rows = file.rows(
            f"""SELECT op.id, pass.run_id, pass.step, op.seq, op.name, op.kind, op.type, op.params, op.layer, {role},
                op.ne0, op.ne1, op.ne2, op.ne3
            FROM op JOIN pass ON pass.id = op.pass_id WHERE {condition} ORDER BY op.seq""",
            values,
        )[1]
        return [Operation._of(row, file.path) for row in rows]

    @staticmethod
    def _of(row: tuple[Any, ...], path: str) -> Operation:
        op_id, run, step, seq, name, kind, element_type, params, layer, role, *ne = row
        if not all(isinstance(value, int) for value in row[:4]) or not all(isinstance(text, str) for text in row[4:8]):
            raise TraceError(f"{path}: operation {op_id!r} is damaged: {row!r}")
        shape = checked_shape(ne, name, path)
        return Operation(op_id, run, step, seq, name, kind, element_type, params, layer, role, shape)

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The axes of the operation's array: ggml's reversed, without those of length 1 at the slow end, but two at
        least; three of ROPE and SOFT_MAX, which are by head."""
        fewest = 3 if self.kind in ("ROPE", "SOFT_MAX") else 2
        shape: tuple[int, ...] = self.ne[::-1]
        while len(shape) > fewest and shape[0] == 1:
            shape = shape[1:]
        return shape


class Operations:
    """The operations of one run, by step.

    Args:
        file: the trace.
        run: the id of the run.
    """

    def __init__(self, file: TraceFile, run: int) -> None:
        self.file, self.run = file, run

    @property
    def capture(self) -> str:
        """What was kept of them: `none`, `stats`, `last` or `all`, and the patterns of `only`."""
        return str(self._rows("SELECT capture FROM run WHERE id = ?", self.run)[0][0])

    def check(self, step: int) -> None:
        """Raises TraceError if there is no such step."""
        steps = self._rows("SELECT count(*) FROM pass WHERE run_id = ?", self.run)[0][0]
        if not 0 <= step < steps:
            there = "none yet" if not steps else "step 0 only" if steps == 1 else f"steps 0 to {steps - 1}"
            raise TraceError(f"{self.file.path}: there is no step {step}; the run has {there}")

    def held(self) -> set[int]:
        """The ids of operations that have captured values of their own."""
        return {row[0] for row in self._rows("SELECT DISTINCT op_id FROM tensor")}

    def select(self, names: list[str] | tuple[str, ...], step: int = 0) -> dict[str, Operation]:
        """The operations that names and patterns fit, in order, by their addresses.

        A name without `*` and `?` is one operation, whether it has values of its own or not. A pattern fits those that
        have, not views.

        Raises:
            NotInTrace: if a name or pattern fits none.
        """
        operations = self.of(step)
        found: dict[str, Operation] = {}
        for name in names:
            if not set(name) & set("*?"):
                found[name] = self.at(name, step)
                continue
            fitting = self._fitting(name, operations)
            if not fitting:
                raise NotInTrace(self._why_none(name, operations))
            found.update(fitting)
        return found

    def _fitting(self, pattern: str, operations: list[Operation]) -> dict[str, Operation]:
        name, number = split(pattern)
        fits = matcher(name)
        held = self.held()
        return {
            address: op
            for op, (address, k) in zip(operations, addresses(operations))
            if op.id in held and op.kind not in VIEWS and fits(op.name) and number in (None, k)
        }

    def _why_none(self, pattern: str, operations: list[Operation]) -> str:
        fits = matcher(split(pattern)[0])
        matching = [op.name for op in operations if fits(op.name)]
        if not matching:
            return f"no operation is called {pattern!r}. `ops()` lists them."
        return (
            f"{pattern!r} fits {', '.join(matching[:3])}{', …' if len(matching) > 3 else ''}, of which the trace holds "
            f"no values of their own (capture={self.capture!r}). A view is found by its exact name."
        )

    def of(self, step: int, name: str | None = None) -> list[Operation]:
        """The operations of a pass in order, or those of one name."""
        self.check(step)
        condition = "pass.run_id = ? AND pass.step = ? AND (? IS NULL OR op.name = ?)"
        return Operation.found(self.file, condition, self.run, step, name, name)

    def at(self, address: str, step: int = 0) -> Operation:
        """The operation that an address names.

        Raises:
            NotInTrace: if there is none.
        """
        if "[" in address:
            raise NotInTrace(f"{address!r}: index the array, as in trace['Qcur-3'][4, 0]; its axes are ggml's reversed")
        name, number = split(address)
        found = self.of(step, name)
        if not found:
            raise NotInTrace(self._unknown(name, step))
        if number is not None and number >= len(found):
            there = "once, as #0" if len(found) == 1 else f"{len(found)} times, as #0 to #{len(found) - 1}"
            raise NotInTrace(f"{name!r} occurs {there}; there is no #{number}")
        return found[-1 if number is None else number]

    def _unknown(self, name: str, step: int) -> str:
        names = [op.name for op in self.of(step)]
        if not names:
            return (
                f"{self.file.path}: the run recorded no operations (capture={self.capture!r}). Trace again with more."
            )
        near = difflib.get_close_matches(name, dict.fromkeys(names), 3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        return f"there is no operation {name!r} in step {step}.{hint} `ops()` lists them."

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.file.rows(statement, values)[1]


def checked_shape(ne: Any, name: str, path: str) -> tuple[int, int, int, int]:
    """Four extents that a tensor can have.

    Raises:
        TraceError: if these are none.
    """
    if not all(isinstance(n, int) and 1 <= n <= 1 << 40 for n in ne) or math.prod(ne) > 1 << 40:
        raise TraceError(f"{path}: the shape of {name!r} is damaged: {', '.join(map(str, ne))}")
    return tuple(ne)


def matcher(pattern: str) -> Any:
    """Whether a whole name fits; `*` stands for anything, `?` for one character, all else for itself."""
    parts = [{"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern]
    return re.compile("".join(parts), re.DOTALL).fullmatch


def split(address: str) -> tuple[str, int | None]:
    """`Qcur-0#1` is the operation `Qcur-0`, number 1 of that name."""
    name, mark, number = address.rpartition("#")
    if not mark:
        return address, None
    if not number.isascii() or not number.isdigit():
        raise NotInTrace(f"{address!r} is no address: after # comes a number from 0")
    return name, int(number)


def addresses(operations: list[Operation]) -> list[tuple[str, int]]:
    """The shortest address of each operation, and which of its name it is."""
    counts: dict[str, int] = {}
    numbers = []
    for op in operations:
        numbers.append(counts.get(op.name, 0))
        counts[op.name] = numbers[-1] + 1
    return [(op.name if counts[op.name] == 1 else f"{op.name}#{k}", k) for op, k in zip(operations, numbers)]
