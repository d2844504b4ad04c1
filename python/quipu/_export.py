"""Values of a trace in files of arrays: .npz, .npy, .safetensors."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Union

from ._errors import NotInTrace, QuipuError, need
from ._numpy import np

if TYPE_CHECKING:
    from ._operations import Operation
    from ._trace import Trace

Steps = Union[None, int, Iterable[int]]


def save(trace: Trace, path: str, names: Iterable[str], step: Steps, overwrite: bool) -> list[str]:
    """See `Trace.save`."""
    kind = os.path.splitext(path)[1].lower()
    if kind not in _WRITERS:
        raise QuipuError(f"{path}: found the ending {kind!r}, expected {', '.join(_WRITERS)}")
    _check_free(path, overwrite)
    operations = _named(trace, tuple(names), step)
    if kind == ".npy" and len(operations) != 1:
        raise QuipuError(f"{path}: a .npy file holds one array, the names fit {len(operations)}. Write a .npz file.")
    # Beside it, because only there a rename is one step; what is cut off is nobody's result.
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "xb"):
            pass
        _WRITERS[kind](partial, _arrays(trace, operations))
        # Again: writing may have taken long enough for someone else to take the name.
        _check_free(path, overwrite)
        os.replace(partial, path)
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)
    return list(operations)


def _check_free(path: str, overwrite: bool) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder. Give the path of a file.")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"{path} exists already. Give another path, or overwrite=True to replace it.")


def _named(trace: Trace, names: tuple[str, ...], step: Steps) -> dict[str, Operation]:
    """The operations by what their arrays are called."""
    if isinstance(step, int):
        return {_safe(name): op for name, op in trace._operations.select(names, step).items()}
    found: dict[str, Operation] = {}
    reason: NotInTrace | None = None
    for number in range(trace.steps) if step is None else step:
        for name in names:
            try:
                fitting = trace._operations.select([name], number)
            except NotInTrace as error:
                # A pattern need not fit in each step.
                if not set(name) & set("*?"):
                    raise
                reason = error
                continue
            found.update({f"step{number}/{_safe(address)}": op for address, op in fitting.items()})
    if not found:
        raise reason or NotInTrace(f"{trace.path}: no steps were named")
    return found


def _safe(name: str) -> str:
    """Names become names of files inside the archive; one of a stranger's trace must not lead out of it."""
    if "/" in name or "\\" in name or not name.isprintable() or name.startswith("."):
        raise QuipuError(f"the operation {name!r} has a name that no file may have; name the others")
    return name


def _arrays(trace: Trace, operations: dict[str, Operation]) -> Iterator[tuple[str, np.ndarray]]:
    """One after the other, so that a large trace need not fit the memory."""
    for name, operation in operations.items():
        yield name, trace._values.of(operation)


def _write_npz(path: str, arrays: Iterator[tuple[str, np.ndarray]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays:
            with archive.open(name + ".npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _write_npy(path: str, arrays: Iterator[tuple[str, np.ndarray]]) -> None:
    for _, array in arrays:
        with open(path, "wb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)


def _write_safetensors(path: str, arrays: Iterator[tuple[str, np.ndarray]]) -> None:
    need("safetensors.numpy", "writing .safetensors files").save_file(dict(arrays), path)


_WRITERS = {".npz": _write_npz, ".npy": _write_npy, ".safetensors": _write_safetensors}
