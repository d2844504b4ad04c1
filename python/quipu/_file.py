"""A trace file, opened to be read and for nothing else. It may come from a stranger."""

from __future__ import annotations

import os
import pathlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from . import _functions
from ._errors import TraceError

#: The newest schema that this package knows (`PRAGMA user_version`; docs/trace.md describes it).
SCHEMA_VERSION = 12

# What every trace has had since the first version, apart from `op`, which is a table or a view.
_TABLES = ("model", "run", "token", "pass", "tensor", "logit", "attention_head", "gqa_map", "kv_cache", "weight")


class TraceFile:
    """The database of a trace: read-only, without foreign code, and interruptible.

    Raises:
        TraceError: if the file is not there, is no trace, is damaged, or is of a newer schema.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        _check_header(self.path)
        if sqlite3.sqlite_version_info < (3, 37):
            raise TraceError(f"SQLite {sqlite3.sqlite_version} of this Python is too old for traces; they need 3.37")
        uri = pathlib.Path(self.path).absolute().as_uri() + "?mode=ro"
        try:
            self.connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise TraceError(f"{self.path}: {error}") from error
        try:
            self._secure()
            self.version = self._check_schema()
        except BaseException:
            self.connection.close()
            raise

    def _secure(self) -> None:
        db = self.connection
        db.text_factory = lambda text: text.decode("utf-8", "replace")
        # Views of the file may call no function that has an effect; and no statement opens another file.
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
            db.execute(f"PRAGMA {pragma}")
        db.set_authorizer(_permit)
        # A statement that does not end can be interrupted, because Python looks for Ctrl-C here.
        db.set_progress_handler(lambda: 0, 1_000_000)
        _functions.register(db)

    def _check_schema(self) -> int:
        (version,) = self.rows("PRAGMA user_version")[1][0]
        schema = self.rows("SELECT name, type, sql FROM sqlite_schema")[1]
        kinds = {name: (kind, sql or "") for name, kind, sql in schema}
        lacking = [name for name in (*_TABLES, "op") if name not in kinds]
        if lacking:
            raise TraceError(
                f"{self.path}: found a database without the tables of a trace ({', '.join(lacking)}), "
                "expected a file written by `quipu trace`"
            )
        odd = [name for name in _TABLES if kinds[name][0] != "table"]
        odd += [name for name, (_, sql) in kinds.items() if sql.upper().startswith("CREATE VIRTUAL")]
        if odd:
            raise TraceError(f"{self.path}: {odd[0]} is no plain table as quipu writes it; this file is not opened")
        if version > SCHEMA_VERSION:
            raise TraceError(
                f"{self.path}: schema version {version}, this package reads up to {SCHEMA_VERSION}. Use a newer quipu."
            )
        return int(version)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns and rows of one statement that only reads.

        Raises:
            TraceError: if SQLite refuses it, or it gives no rows by its nature.
            KeyboardInterrupt: if it was interrupted.
        """
        try:
            cursor = self.connection.execute(statement, values)
            rows = cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            raise self._worded(error) from error
        if cursor.description is None:
            raise TraceError(f"{self.path}: the statement asks for no rows; a trace is only read (SELECT, WITH)")
        return [column[0] for column in cursor.description], rows

    def _worded(self, error: Exception) -> BaseException:
        text = str(error)
        if text == "interrupted":
            return KeyboardInterrupt()
        if text.startswith(("attempt to write a readonly", "cannot modify")):
            return TraceError(f"{self.path}: the statement would change the trace; a trace is only read")
        if text.startswith(("file is not a database", "database disk image")):
            return TraceError(
                f"{self.path}: the file was cut off or damaged after it was written; SQLite cannot read it as a "
                "database. Copy it again, or trace again."
            )
        if text.startswith("unable to open database file") and os.path.exists(self.path + "-wal"):
            return TraceError(
                f"{self.path}: the run was cut off, and its last writes are in {self.path}-wal, which SQLite can only "
                "read where it may write. Copy both files to a folder that you can write to."
            )
        return TraceError(f"{self.path}: {text}")

    def close(self) -> None:
        self.connection.close()


def _permit(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _check_header(path: str) -> None:
    """Looks at the first bytes before SQLite sees the file, for a clearer message."""
    expected = "expected an SQLite file written by `quipu trace`"
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise TraceError(f"{path}: there is no such trace") from None
    except IsADirectoryError:
        raise TraceError(f"{path}: found a directory, {expected}") from None
    except (OSError, ValueError) as error:
        raise TraceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if start != b"SQLite format 3\0":
        found = "an empty file" if not start else "a GGUF model" if start[:4] == b"GGUF" else "a file of another kind"
        raise TraceError(f"{path}: found {found}, {expected}")
