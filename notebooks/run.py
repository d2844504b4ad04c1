"""Executes the notebooks side by side, and keeps what they printed in `.executed`, for test_notebooks.py to read.

    make notebooks                   # all of them
    notebooks/run.py 01 04           # some
"""

import concurrent.futures
import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient

HERE = pathlib.Path(__file__).resolve().parent
DONE = HERE / ".executed"


def execute(path):
    notebook, start = nbformat.read(path, as_version=4), time.monotonic()
    (DONE / path.name).unlink(missing_ok=True)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(HERE)}}).execute()
    nbformat.write(notebook, DONE / path.name)
    return time.monotonic() - start


def main(names):
    DONE.mkdir(exist_ok=True)
    paths = [path for path in sorted(HERE.glob("[0-9]*.ipynb")) if not names or path.name.startswith(tuple(names))]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for path, seconds in zip(paths, pool.map(execute, paths), strict=True):
            print(f"{path.name}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
