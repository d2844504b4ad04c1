"""How operations are named: `Qcur-3`, `Qcur-3#0`, `kq-*`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._errors import NotInTrace

if TYPE_CHECKING:
    from ._values import Operation


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


def index(index: int, count: int, what: str, path: str) -> int:
    if not -count <= index < count:
        raise NotInTrace(f"{path}: there is no {what} {index}; there are 0 to {count - 1}")
    return index % count
