"""Executes the notebooks, one process each, and keeps what they printed in `.executed`, for test_notebooks.py to read.

    make notebooks                   # all of them
    notebooks/run.py 01 04           # some
"""

import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient

HERE = pathlib.Path(__file__).resolve().parent


def main(names):
    done = HERE / ".executed"
    done.mkdir(exist_ok=True)
    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        if names and not path.name.startswith(tuple(names)):
            continue
        notebook, start = nbformat.read(path, as_version=4), time.monotonic()
        (done / path.name).unlink(missing_ok=True)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(HERE)}}).execute()
        nbformat.write(notebook, done / path.name)
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


main(sys.argv[1:])
