"""Many prompts, on this machine or on the workers of a Dask cluster."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, NamedTuple, Union

from ._commands import run, table
from ._errors import ProgramError, QuipuError, need
from ._program import run_program
from ._trace import Trace

Prompt = Union[str, Mapping[str, Any]]
Path = Union[str, "os.PathLike[str]"]
# Input and usage that are refused are refused again.
_REFUSED = (1, 64)


class _Batch(NamedTuple):
    """Some of the prompts, and the file that they are to end in."""

    target: str
    first: int
    lines: str
    model: str | None
    options: dict[str, Any]
    program: str | None

    @property
    def description(self) -> pathlib.Path:
        """The document that the program printed."""
        return pathlib.Path(self.target).with_suffix(".json")


def map(
    prompts: Iterable[Prompt],
    model: Path | None = None,
    *,
    output: Path | None = None,
    force: bool = False,
    cluster: Any = None,
    batch: int = 16,
    workers: int = 1,
    retries: int = 3,
    folder: Path | None = None,
    program: Path | None = None,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> Trace:
    """Runs many prompts, each a run of one trace, in the order in which they are given.

    They are cut into batches; each is what `quipu trace --prompts` makes of it, in a file of its own, and all are
    merged. A batch whose program or worker dies is tried again. What was finished stays in `folder` until all is: the
    same call goes on with it.

    Args:
        prompts: texts, or mappings with the keys of a line of `--prompts`: `prompt`, `ids` or `chat` with `system`;
            `group`, `metric`.
        model: a .gguf file, on every worker under this path. (default: what `QUIPU_MODEL` names, or the embedded one)
        output: the trace to write. (default: a temporary file, removed when the trace is closed or Python ends)
        force: whether a file of that name is replaced.
        cluster: a Dask client, cluster, or address of a scheduler. (default: this machine)
        batch: prompts of a batch; a worker loads the model once for each.
        workers: batches at a time on this machine; of a cluster, its workers count.
        retries: how often a batch is tried again.
        folder: for the batches' files; all workers must see it. (default: OUTPUT.parts, or a temporary one)
        program: the quipu program. (default: see `find_program`)
        progress: is called with the batches done and those of all.
        options: those of `quipu trace`, such as `generate=3`, `capture="stats"`, `metric="' Mary' - ' John'"`.

    Returns:
        The `Trace`, at its first run; `trace.runs` lists all, and `quipu.open(output, run=7)` reads another. Its
        `result` has `runs`, a document for each prompt.

    Raises:
        ProgramError: if a prompt cannot be run, or a batch died more than `retries` times.
        QuipuError: if `output` is there already, or there are no prompts.
        Missing: if `cluster` is an address and Dask is not installed.
    """
    lines = [_line(prompt) for prompt in prompts]
    if not lines:
        raise QuipuError("there are no prompts to run")
    if batch < 1 or workers < 1 or retries < 0:
        raise QuipuError("batch and workers take 1 or more, retries 0 or more")
    for option in ("prompts", "prompt", "from_", "estimate", "append"):
        if option in options:
            raise QuipuError(f"{option} is no option of map, which runs all prompts that it is given")
    if output is not None and os.path.exists(output) and not force:
        raise QuipuError(f"{os.fspath(output)}: it exists already; force=True replaces it")

    own = tempfile.TemporaryDirectory(prefix="quipu-") if output is None else None
    path = os.fspath(output) if output is not None else os.path.join(own.name, "trace.db")  # type: ignore[union-attr]
    parts = pathlib.Path(folder if folder is not None else f"{path}.parts").resolve()
    try:
        parts.mkdir(parents=True, exist_ok=True)
        work = [
            _batch(lines[first : first + batch], first, parts, model, options, program)
            for first in range(0, len(lines), batch)
        ]
        report = progress or (lambda done, total: None)
        if cluster is None:
            _here(work, workers, retries, report)
        else:
            _there(work, cluster, retries, report)
        recorded = Trace(_merge(work, pathlib.Path(path), program), run=1)
        recorded.result = {"trace": path, "runs": _runs(work)}
        recorded._folder = own
    except BaseException:
        if own:
            own.cleanup()
        raise
    for one in work:
        # With what attempts that died have left.
        for file in parts.glob(f"{pathlib.Path(one.target).stem}*"):
            file.unlink(missing_ok=True)
    shutil.rmtree(parts / "state", ignore_errors=True)
    if folder is None:
        shutil.rmtree(parts, ignore_errors=True)
    return recorded


def _line(prompt: Prompt) -> str:
    return json.dumps(prompt if isinstance(prompt, str) else dict(prompt))


def _batch(
    lines: list[str],
    first: int,
    parts: pathlib.Path,
    model: Path | None,
    options: dict[str, Any],
    program: Path | None,
) -> _Batch:
    text = "".join(line + "\n" for line in lines)
    named = None if model is None else os.path.abspath(os.fspath(model))
    # Named by all that it is made of, so that what is there of another call is not taken for it.
    made_of: list[Any] = [first, text, named, {key: str(options[key]) for key in sorted(options)}]
    if named is not None and os.path.exists(named):
        status = os.stat(named)
        made_of += [status.st_size, status.st_mtime_ns]
    name = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    target = str(parts / f"{name}.db")
    return _Batch(target, first, text, named, options, None if program is None else os.fspath(program))


def _run(batch: _Batch) -> None:
    """Runs a batch, unless that was done before; its file gets its name when it is complete.

    What an attempt that died leaves has a name of its own, and is nobody's result.
    """
    if os.path.exists(batch.target):
        return
    attempt = f"{batch.target[: -len('.db')]}-{uuid.uuid4().hex[:8]}.partial"
    repeatable = [option["name"] for option in table()["trace"]["options"] if option["repeatable"]]
    try:
        document = run_program(
            ["trace"],
            [batch.model],
            {**batch.options, "prompts": "-", "output": attempt},
            repeatable=repeatable,
            program=batch.program,
            progress=False,
            input=batch.lines,
            # The program remembers the last trace written; this is not to be that.
            environment={"XDG_STATE_HOME": os.path.join(os.path.dirname(attempt), "state")},
        )
    except ProgramError as error:
        raise ProgramError(_named(error.message, batch), error.status, error.command, error.document) from None
    described = pathlib.Path(attempt + ".json")
    described.write_text(json.dumps(document), "utf-8")
    described.replace(batch.description)
    os.replace(attempt, batch.target)


def _named(message: str, batch: _Batch) -> str:
    """A line of a batch as the prompt that the caller knows it by."""
    return re.sub(
        r"standard input: line (\d+):", lambda found: f"prompts[{batch.first + int(found[1]) - 1}]:", message, count=1
    )


def _here(work: list[_Batch], workers: int, retries: int, report: Callable[[int, int], object]) -> None:
    def attempt(one: _Batch, left: int = retries) -> None:
        try:
            _run(one)
        except ProgramError as error:
            if error.status in _REFUSED or left == 0:
                raise
            attempt(one, left - 1)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(attempt, one) for one in work]
        try:
            for done, future in enumerate(futures, 1):
                future.result()
                report(done, len(work))
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _there(work: list[_Batch], cluster: Any, retries: int, report: Callable[[int, int], object]) -> None:
    """On a cluster's workers: what is refused comes back as an error at once, what dies is tried again."""
    is_client = hasattr(cluster, "submit") and hasattr(cluster, "gather")
    client = cluster if is_client else need("distributed", "a Dask cluster").Client(cluster)
    try:
        futures = [client.submit(_outcome, one, retries=retries, pure=False) for one in work]
        try:
            for done, future in enumerate(futures, 1):
                refusal = future.result()
                if refusal:
                    raise ProgramError(*refusal)
                report(done, len(work))
        except BaseException:
            client.cancel(futures)
            raise
    finally:
        if not is_client:
            client.close()


def _outcome(batch: _Batch) -> tuple[str, int, list[str]] | None:
    try:
        _run(batch)
    except ProgramError as error:
        if error.status in _REFUSED:
            return error.message, error.status, error.command
        # An exception that a scheduler can hand on, whatever its arguments.
        raise RuntimeError(f"{error.message} (status {error.status})") from None
    return None


def _merge(work: list[_Batch], path: pathlib.Path, program: Path | None) -> pathlib.Path:
    """All batches in one file, which gets its name when it is complete."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.merged")
    try:
        run("merge", partial, *(batch.target for batch in work), program=program, progress=False)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _runs(work: list[_Batch]) -> list[dict[str, Any]]:
    """What was said of each run, with its number among all."""
    found = [one for batch in work for one in json.loads(batch.description.read_text("utf-8"))["runs"]]
    return [{**one, "line": number, "run": number} for number, one in enumerate(found, 1)]
