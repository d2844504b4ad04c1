"""What can go wrong, in one family: `except quipu.QuipuError` catches all of it."""

from __future__ import annotations

# Not from typing: the console script reads this file and waits for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class QuipuError(Exception):
    """Any failure of this package."""


class ProgramNotFound(QuipuError):
    """There is no quipu program to run."""


class ProgramError(QuipuError):
    """The program ended with an error.

    Attributes:
        message: what it said on standard error, without notes.
        status: its exit status: 1 for input that it cannot use, 64 for wrong usage, negative for a signal.
        command: the command line, as a list.
        document: the JSON document that it printed all the same, or None.
    """

    def __init__(self, message: str, status: int, command: list[str], document: Any = None) -> None:
        super().__init__(message)
        self.message, self.status, self.command, self.document = message, status, command, document


class TraceError(QuipuError):
    """A file that is no readable trace, or a question that the trace has no answer to."""


class NotInTrace(TraceError, KeyError):
    """The trace has no such operation, or not its values."""

    def __str__(self) -> str:
        # A KeyError would quote the sentence.
        return str(self.args[0])


class Missing(QuipuError, ImportError):
    """An optional package is needed and not installed."""


def need(package: str, purpose: str) -> Any:
    """The module of an optional package.

    Raises:
        Missing: if it is not installed, with what to install.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise Missing(f"{purpose} needs {name}, which is not installed: pip install {name}") from error
