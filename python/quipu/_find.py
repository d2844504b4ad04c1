"""Where the program is. Imports next to nothing, because the console script waits for it."""

from __future__ import annotations

import os

from ._errors import ProgramNotFound

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """The path of the quipu program: the first there is of these.

    1. `program`, and else the environment variable `QUIPU`: a path, or a name on the `PATH`;
    2. the program that came with this package;
    3. `quipu` on the `PATH`;
    4. in a checkout of Quipu, the one that `make build` made.

    Raises:
        ProgramNotFound: if there is none, or the one that was named cannot be run.
    """
    for named, by in ((program, "program"), (os.environ.get("QUIPU"), "the environment variable QUIPU")):
        if named:
            path = os.path.expanduser(os.fspath(named))
            found = path if os.sep in path else _on_path(path) or path
            if not _is_program(found):
                raise ProgramNotFound(f"{found}: {by} names it, and it is no program that can be run")
            return os.path.abspath(found)
    bundled = os.path.join(PACKAGE, "bin", "quipu")
    checkout = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), ".build", "release", "quipu")
    for candidate in (bundled, _on_path("quipu"), checkout):
        if candidate and _is_program(candidate):
            return candidate
    raise ProgramNotFound(
        f"there is no quipu program: not with the package ({bundled}), not on the PATH, not in a checkout "
        f"({checkout}). "
        "Install the wheel, or run `make build` in the checkout, or name the program in the environment variable QUIPU."
    )


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _on_path(name: str) -> str | None:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.abspath(os.path.join(folder or os.curdir, name))
        if _is_program(path) and not _is_console_script(path):
            return path
    return None


def _is_console_script(path: str) -> bool:
    """Whether it is the script that pip makes for this package: it would look for the program again, without end."""
    with open(path, "rb") as file:
        start = file.read(4096)
    return start.startswith(b"#!") and b"quipu.__main__" in start


def version() -> str:
    """The version of the installed package; in a checkout, that of the program.

    Raises:
        ProgramNotFound: if there is neither.
    """
    from importlib import metadata

    try:
        return metadata.version("quipu")
    except metadata.PackageNotFoundError:
        import subprocess

        return subprocess.run([find_program(), "--version"], check=True, capture_output=True, text=True).stdout.strip()
