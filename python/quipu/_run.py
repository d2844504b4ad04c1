"""Running a model, and opening what was recorded."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

from ._commands import table
from ._errors import QuipuError
from ._program import Progress, run_program
from ._trace import Trace

if TYPE_CHECKING:
    import numpy as np

    from ._cache import ActivationCache


def trace(
    model: str | os.PathLike[str] | None = None,
    prompt: str | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    program: str | os.PathLike[str] | None = None,
    progress: Progress = None,
    **options: Any,
) -> Trace:
    """Runs a prompt, records every operation, and opens what was recorded.

    Args:
        model: a .gguf file. (default: what `QUIPU_MODEL` names, or the embedded model)
        prompt: the text to continue. Without one, `from_` names the trace to repeat.
        output: the trace to write. (default: a temporary file, removed when the trace is closed or Python ends)
        program: the quipu program. (default: see `find_program`)
        progress: see `run`.
        options: those of `quipu trace`, such as `generate=8`, `capture="last"`, `only=["kq_soft_max-*"]`,
            `set=["kqv_out-2=0"]`, `from_=other`, `threads=2`, `force=True`.

    Returns:
        The run as a `Trace`. Its `result` is the document that the program printed.

    Raises:
        ProgramError: if the program ends with an error; with its message.
        ProgramNotFound: if there is no program.
    """
    if options.get("estimate"):
        raise QuipuError('an estimate writes no trace; ask quipu.run("trace", model, prompt=…, estimate=True)')
    folder = tempfile.TemporaryDirectory(prefix="quipu-") if output is None else None
    path = os.fspath(output) if output is not None else os.path.join(folder.name, "trace.db")  # type: ignore[union-attr]
    repeatable = [option["name"] for option in table()["trace"]["options"] if option["repeatable"]]
    # The program remembers the last trace written; a temporary one is not to be that.
    environment = {"XDG_STATE_HOME": folder.name} if folder else None
    try:
        result = run_program(
            ["trace"],
            [model],
            {"prompt": prompt, "output": path, **options},
            repeatable=repeatable,
            program=program,
            progress=progress,
            environment=environment,
        )
        recorded = Trace(path)
    except BaseException:
        if folder:
            folder.cleanup()
        raise
    recorded.result, recorded._folder = result, folder
    return recorded


def run_with_cache(
    model: str | os.PathLike[str] | None = None, prompt: str | None = None, **options: Any
) -> tuple[np.ndarray, ActivationCache]:
    """The logits after a prompt and all activations, under TransformerLens's names.

    Args:
        model: a .gguf file. (default: what `QUIPU_MODEL` names, or the embedded model)
        prompt: the text.
        options: those of `quipu.trace`; `generate` is 0 if not given.

    Returns:
        Logits, F32, `[batch, pos, d_vocab]`, where batch and pos are 1: llama.cpp computes those of the last token
        only. And the cache; `cache.trace` is the trace, `cache.trace.cache(1)` the cache of the next step.

    Raises:
        ProgramError, ProgramNotFound: as `quipu.trace`.
    """
    cache = trace(model, prompt, **{"generate": 0, **options}).cache()
    return cache.logits, cache
