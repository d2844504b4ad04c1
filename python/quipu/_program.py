"""Runs the program and reads the JSON document that it prints."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Union

from ._errors import ProgramError
from ._find import find_program

Argument = Union[str, int, float, "os.PathLike[str]"]
Progress = Union[None, bool, Callable[[str], object]]

log = logging.getLogger("quipu")

# These end with status 2 when they found a difference; their document says which.
_FINISHED = (0, 2)


class QuipuWarning(UserWarning):
    """The program did its work, and saw something odd in the input."""


def run_program(
    words: Iterable[str],
    positionals: Iterable[Any] = (),
    options: Mapping[str, Any] | None = None,
    *,
    repeatable: Iterable[str] = (),
    program: str | os.PathLike[str] | None = None,
    progress: Progress = None,
    input: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Runs a command with `--json` and returns its document.

    Args:
        words: the command, such as `["quant", "errors"]`.
        positionals: its arguments in order; None is left out.
        options: names as in Python (`top_k`, `as_`) and values. True is a flag; None and False leave the option out; a
            list is given once for each element if the option is repeatable, and else joined by commas.
        repeatable: the options, by their names in Python, that may be given several times.
        progress: False hides it, True shows it on `sys.stderr`, a function gets each line (empty: it is over); None
            shows it where someone is watching: on a terminal and in a notebook.
        input: the text for standard input. (default: none)

    Raises:
        ProgramError: with the program's message and exit status.
        ProgramNotFound: if there is no program.
    """
    found = find_program(program)
    command = [found, *words, "--json", *_option_words(options or {}, set(repeatable))]
    values = [_word(value) for value in positionals if value is not None]
    if values:
        command += ["--", *values]
    status, output, complaints = _execute(command, _reporter(progress), input, environment)
    message = _sift(complaints, failed=status not in _FINISHED)
    try:
        document = json.loads(output) if output.strip() else None
    except json.JSONDecodeError as error:
        if status in _FINISHED:
            raise ProgramError(f"it printed no JSON document: {error}", status, command) from error
        document = None
    # An error of its own is what the message says already.
    if status and isinstance(document, dict) and list(document) == ["error"]:
        document = None
    if status not in _FINISHED:
        if status < 0:
            message = f"{message}\nended by {signal.Signals(-status).name}".strip()
        raise ProgramError(message or f"it ended with status {status}", status, command, document)
    return document


def _option_words(options: Mapping[str, Any], repeatable: set[str]) -> list[str]:
    words = []
    for name, value in options.items():
        option = "--" + name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
        elif isinstance(value, (list, tuple, set, range)):
            parts = [_word(element) for element in value]
            words += [f"{option}={part}" for part in (parts if name in repeatable else [",".join(parts)])]
        else:
            # With =, a value may begin with a dash.
            words.append(f"{option}={_word(value)}")
    return words


def _word(value: Any) -> str:
    word = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if isinstance(word, bytes):
        word = os.fsdecode(word)
    return word


def _sift(complaints: str, failed: bool) -> str:
    """Notes go to the log, warnings become warnings; what is left says why the program failed."""
    rest = []
    for line in complaints.splitlines():
        if line.startswith("quipu: note: "):
            log.info("%s", line[len("quipu: note: ") :])
        elif ": warning: " in line and not failed:
            warnings.warn(line[len("quipu: ") :], QuipuWarning, stacklevel=4)
        else:
            rest.append(line[len("quipu: ") :] if line.startswith("quipu: ") else line)
    message = "\n".join(rest).strip()
    if message and not failed:
        log.info("%s", message)
    return message


def _reporter(progress: Progress) -> Callable[[str], object] | None:
    if callable(progress):
        return progress
    stream = sys.stderr
    if progress is None:
        progress = stream is not None and (stream.isatty() or type(stream).__module__.startswith("ipykernel"))
    if not progress:
        return None
    return lambda line: (stream.write("\r\x1b[K" + line), stream.flush())


def _execute(
    command: list[str],
    report: Callable[[str], object] | None,
    input: str | None,
    environment: Mapping[str, str] | None,
) -> tuple[int, str, str]:
    """Exit status, standard output, and what was complained of."""
    # The program shows progress on terminals only, so it gets one.
    reading, writing = _terminal() if report else os.pipe()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=writing,
            env={**os.environ, **environment} if environment else None,
        )
    except OSError as error:
        os.close(reading)
        raise ProgramError(f"{command[0]} cannot be run: {error.strerror}", 127, command) from error
    finally:
        os.close(writing)
    listener = _Listener(reading, report)
    listener.start()
    try:
        output, _ = process.communicate(None if input is None else input.encode())
    except BaseException:
        # A notebook interrupts Python only. The program stops between two operations, and its trace stays readable.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    finally:
        listener.join()
    if listener.failure:
        raise listener.failure
    return process.returncode, output.decode("utf-8", "replace"), listener.complaints


def _terminal() -> tuple[int, int]:
    import pty
    import tty

    reading, writing = pty.openpty()
    tty.setraw(writing)
    return reading, writing


class _Listener(threading.Thread):
    """Reads standard error to its end. What follows a mark and is replaced by the next one is progress; what ends with
    its line is a complaint."""

    _MARK = "\r\x1b[K"

    def __init__(self, descriptor: int, report: Callable[[str], object] | None) -> None:
        super().__init__(daemon=True)
        self.complaints = ""
        self.failure: BaseException | None = None
        self._descriptor, self._report, self._shown = descriptor, report, ""

    def run(self) -> None:
        pending = b""
        # The other end of a terminal that closes is an error on Linux, and an empty read elsewhere.
        with contextlib.suppress(OSError):
            while chunk := os.read(self._descriptor, 1 << 16):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._complain(line)
                *replaced, current = pending.decode("utf-8", "replace").split(self._MARK)
                if replaced:
                    self._say(current)
        os.close(self._descriptor)
        if self._MARK.encode() not in pending:
            self._complain(pending)
        self._say("")

    def _complain(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").split(self._MARK)[-1]
        if text.strip():
            self._say("")
            self.complaints += text + "\n"

    def _say(self, status: str) -> None:
        if not self._report or status == self._shown:
            return
        self._shown = status
        try:
            self._report(status)
        except BaseException as error:  # a fault of the caller's function, which must not stop the reading
            self.failure, self._report = error, None
