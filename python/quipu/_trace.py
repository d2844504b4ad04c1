"""A trace: one run of a model, as the program recorded it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Union

from ._errors import NotInTrace, TraceError
from ._file import TraceFile
from ._operations import Operations, matcher
from ._table import frame

if TYPE_CHECKING:
    import numpy as np

    from ._cache import ActivationCache
    from ._values import Values

#: `"Qcur-3"`, `"Qcur-3#0"`, or an address and a step: `("Qcur-3", 1)`.
Address = Union[str, tuple[str, int]]


class Trace:
    """One run of a trace file.

    `trace["kq_soft_max-3"]` is what the operation of this name gave, as a NumPy array of F32 with ggml's dimensions in
    reverse order: `[head, query, key]`. `trace["norm-3#0"]` is the first of several operations of one name in a pass,
    `trace["norm-3"]` the last. `trace["l_out-3", 1]` is that of step 1: step 0 is the prompt, each further one a
    token.

    Tables are pandas DataFrames if pandas is installed, else `quipu.Table`, a sequence of dictionaries. Their columns
    are those of docs/trace.md.

    Args:
        path: the file.
        run: the run, by its id. (default: the newest)

    Raises:
        TraceError: if the file is no readable trace, or has no such run.
    """

    def __init__(self, path: str | os.PathLike[str], run: int | None = None) -> None:
        self._file = TraceFile(path)
        ids = [row[0] for row in self._rows("SELECT id FROM run ORDER BY id")]
        if run is not None and run not in ids:
            self.close()
            there = ", ".join(map(str, ids)) or "none"
            raise TraceError(f"{self.path}: there is no run {run}; the runs of the trace: {there}")
        self._run = run if run is not None else ids[-1] if ids else None
        self._reader: Values | None = None
        #: The document that the program printed when it wrote the trace; None if the trace was opened.
        self.result: dict[str, Any] | None = None
        self._folder: Any = None

    # The file

    @property
    def path(self) -> str:
        """The file's path."""
        return self._file.path

    def __fspath__(self) -> str:
        """A trace stands for its file: `quipu.report(trace)`."""
        return os.path.abspath(self.path)

    def close(self) -> None:
        """Closes the file; one that was only for this object is removed."""
        self._file.close()
        if getattr(self, "_folder", None) is not None:
            self._folder.cleanup()

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._run is None:
            return f"<quipu.Trace {self.path!r}, no run>"
        return f"<quipu.Trace {self.path!r}, run {self._run}: {self.prompt!r}, {self.steps} steps>"

    # The run

    @property
    def run(self) -> int:
        """The id of the run.

        Raises:
            TraceError: if the file holds none, as one that `quipu quant errors` wrote.
        """
        if self._run is None:
            raise TraceError(f"{self.path}: the trace holds no run")
        return self._run

    def _of_run(self, column: str) -> Any:
        return self._rows(f"SELECT {column} FROM run WHERE id = ?", self.run)[0][0]

    @property
    def prompt(self) -> str:
        """The text that was continued."""
        return str(self._of_run("prompt"))

    @property
    def generated(self) -> str:
        """The pieces of the generated tokens, one after the other."""
        statement = "SELECT piece FROM token WHERE run_id = ? AND source = 'generated' ORDER BY position"
        return "".join(piece for (piece,) in self._rows(statement, self.run))

    @property
    def capture(self) -> str:
        """What was kept: `none`, `stats`, `last` or `all`, and the patterns of `only`."""
        return self._operations.capture

    @property
    def complete(self) -> bool:
        """False if the run was cut off, or is still being written."""
        return bool(self._of_run("complete"))

    @property
    def steps(self) -> int:
        """The number of passes: one for the prompt, and one for each generated token but the last."""
        return int(self._rows("SELECT count(*) FROM pass WHERE run_id = ?", self.run)[0][0])

    def first_position(self, step: int = 0) -> int:
        """The position of the first token that a pass evaluates: 0 for the prompt."""
        self._operations.check(step)
        rows = self._rows("SELECT first_position FROM pass WHERE run_id = ? AND step = ?", self.run, step)
        return int(rows[0][0])

    @property
    def model(self) -> dict[str, Any]:
        """The row of table `model`: path, architecture, n_layer, n_embd, n_head, n_head_kv, head_dim, …"""
        columns, rows = self._file.rows("SELECT * FROM model WHERE id = ?", [self._of_run("model_id")])
        if not rows:
            raise TraceError(f"{self.path}: the model of run {self.run} is missing")
        return dict(zip(columns, rows[0]))

    # Tables

    def sql(self, statement: str, *values: Any) -> Any:
        """The rows of a statement that only reads; `?` stands for the values, in order.

        `f32(blob, i)`, `f16(blob, i)`, `row(blob, i, n)` and `dot(a, b)` work as in `quipu sql`.
        """
        return frame(*self._file.rows(statement, values))

    @property
    def runs(self) -> Any:
        """All runs of the file: table `run`."""
        return self.sql("SELECT * FROM run ORDER BY id")

    @property
    def tokens(self) -> Any:
        """The tokens of the run by position, prompt and generated: table `token`."""
        return self.sql("SELECT * FROM token WHERE run_id = ? ORDER BY position", self.run)

    def ops(self, step: int = 0, *, layer: int | None = None, kind: str | None = None, name: str | None = None) -> Any:
        """The operations of a pass in order, with shape, time and statistics: view `op`.

        Args:
            layer: only those of this layer.
            kind: only those of this kind, such as `MUL_MAT`.
            name: only these names; `*` and `?` stand for anything.
        """
        self._operations.check(step)
        columns, rows = self._file.rows(
            """SELECT op.* FROM op JOIN pass ON pass.id = op.pass_id WHERE pass.run_id = ? AND pass.step = ?
            AND (? IS NULL OR op.layer = ?) AND (? IS NULL OR op.kind = upper(?)) ORDER BY op.seq""",
            [self.run, step, layer, layer, kind, kind],
        )
        if name is not None:
            fits, index = matcher(name), columns.index("name")
            rows = [row for row in rows if fits(row[index])]
        return frame(columns, rows)

    def layers(self, step: int = 0) -> Any:
        """A row for each layer: time (ns), bytes, rms in, in the middle and out: view `v_layer`."""
        self._operations.check(step)
        return self.sql("SELECT * FROM v_layer WHERE run_id = ? AND step = ? ORDER BY layer", self.run, step)

    def logits(self, step: int = 0, lens_layer: int | None = None) -> Any:
        """The most probable next tokens after a pass, the best first: table `logit`.

        All logits are `trace["result_output"]`, `[1, vocabulary]`.

        Args:
            lens_layer: what `quipu.lens(trace, record=True)` found after this layer. (default: the real output)
        """
        self._operations.check(step)
        return self.sql(
            """SELECT logit.* FROM logit JOIN pass ON pass.id = logit.pass_id
            WHERE pass.run_id = ? AND pass.step = ? AND lens_layer IS ? ORDER BY position, rank""",
            *(self.run, step, lens_layer),
        )

    def heads(self, step: int = 0) -> Any:
        """How each head looks from each position: entropy in bits, where it looks most: table `attention_head`."""
        self._operations.check(step)
        return self.sql(
            """SELECT a.* FROM attention_head AS a JOIN op ON op.id = a.op_id JOIN pass ON pass.id = op.pass_id
            WHERE pass.run_id = ? AND pass.step = ? ORDER BY a.layer, a.head, a.position""",
            *(self.run, step),
        )

    # Values

    def __getitem__(self, address: Address) -> np.ndarray:
        return self.values(address) if isinstance(address, str) else self.values(*address)

    def values(self, address: str, step: int = 0) -> np.ndarray:
        """What an operation gave, F32; NaN where the trace does not hold it.

        The axes are ggml's in reverse order, without those of length 1 at the slow end, but two at least (three of ROPE
        and SOFT_MAX). Weights are not in the trace, but in the model's file.

        Args:
            address: a name as `ops()` lists it, and `#k` for one of several of a name, from 0. (default: the last)

        Raises:
            NotInTrace: if there is no such operation, or its values were not captured.
            TraceError: if there is no such step, or the values are damaged.
        """
        return self._values.of(self._operations.at(address, step))

    def op(self, address: str, step: int = 0) -> dict[str, Any]:
        """The row of view `op` of one operation."""
        columns, rows = self._file.rows("SELECT * FROM op WHERE id = ?", [self._operations.at(address, step).id])
        return dict(zip(columns, rows[0]))

    def inputs(self, address: str, step: int = 0) -> Any:
        """What an operation reads, in order: view `op_input`."""
        return self.sql("SELECT * FROM op_input WHERE op_id = ? ORDER BY slot", self._operations.at(address, step).id)

    def attention(self, layer: int, head: int | None = None, step: int = 0) -> np.ndarray:
        """Where heads look: shares of attention that add up to 1 over the keys, F32.

        Returns:
            `[query, key]` of one head, `[head, query, key]` of all. Query i is at position `pass.first_position + i`.
        """
        model = self.model
        layer = self._index(layer, model["n_layer"], "layer")
        array = self.values(f"kq_soft_max-{layer}", step)
        return array if head is None else array[self._index(head, array.shape[0], "head")]

    def names(self, pattern: str = "*", step: int = 0) -> list[str]:
        """The addresses of the operations of a pass that have captured values of their own, in order.

        Args:
            pattern: `*` and `?` stand for anything, as in `kq_soft_max-*` or `norm-*#0`.
        """
        return list(self._operations.select([pattern], step))

    def __contains__(self, address: object) -> bool:
        try:
            self._operations.at(*((address,) if isinstance(address, str) else tuple(address)))  # type: ignore[arg-type]
        except (TraceError, TypeError):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def cache(self, step: int = 0) -> ActivationCache:
        """The values of a pass under TransformerLens's names, `[batch, …]`."""
        from ._cache import ActivationCache

        return ActivationCache(self, step)

    def save(
        self, path: str | os.PathLike[str], *names: str, step: int | range | None = 0, overwrite: bool = False
    ) -> list[str]:
        """Writes values to a file of arrays: `.npz`, `.npy` (one array) or `.safetensors` (if that is installed).

        The arrays have the axes of `trace[name]`. They are called by their addresses, with `step3/` before them if
        there are several steps.

        Args:
            names: addresses, or patterns with `*` and `?` for all that have values of their own. (default: all)
            step: one step, several, or None for all.
            overwrite: replace a file that is there.

        Returns:
            What the arrays are called.

        Raises:
            FileExistsError: if the file is there.
            NotInTrace: if a name fits nothing that was captured.
        """
        from ._export import save

        return save(self, os.fspath(path), names or ("*",), step, overwrite)

    # Pictures

    def plot_attention(self, layer: int, head: int | None = None, step: int = 0, ax: Any = None) -> Any:
        """Where heads look, with the tokens beside it: one head, or all heads of the layer. Needs matplotlib.

        Returns:
            The axes, or an array of them.
        """
        from ._plots import plot_attention

        return plot_attention(self, layer, head, step, ax)

    def plot_layers(self, column: str = "rms_out", step: int = 0, ax: Any = None) -> Any:
        """A bar a layer of a column of `layers()`. Needs matplotlib."""
        from ._plots import plot_layers

        return plot_layers(self, column, step, ax)

    # Inside

    def _index(self, index: int, count: int, what: str) -> int:
        if not -count <= index < count:
            raise NotInTrace(f"{self.path}: there is no {what} {index}; there are 0 to {count - 1}")
        return index % count

    @property
    def _operations(self) -> Operations:
        """The operations of the run, to be found by address or pattern."""
        return Operations(self._file, self.run)

    @property
    def _values(self) -> Values:
        if self._reader is None:
            from ._values import Values

            self._reader = Values(self._file)
        return self._reader

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._file.rows(statement, values)[1]


def open(path: str | os.PathLike[str], run: int | None = None) -> Trace:
    """Opens a trace that `quipu trace` wrote, to read it. The program is not needed.

    Nothing in the file is executed, and nothing in it is changed.

    Args:
        path: the file.
        run: the run, by its id. (default: the newest)

    Raises:
        TraceError: if it is no trace, is damaged, or is of a newer schema.
    """
    return Trace(path, run)
