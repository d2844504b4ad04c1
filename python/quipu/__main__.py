"""`python -m quipu …`, and the console script `quipu`: the program itself, in place of Python."""

from __future__ import annotations

import os
import sys

from ._errors import ProgramNotFound
from ._find import find_program


def main() -> None:
    """Becomes the program, with the same arguments, terminal and process id, so that signals and status are its own."""
    try:
        program = find_program()
        os.execv(program, [program, *sys.argv[1:]])
    except (ProgramNotFound, OSError) as error:
        print(f"quipu: {error}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
