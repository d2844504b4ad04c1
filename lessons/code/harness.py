"""Runs functions of one Python file on prepared cases, within limits; `quipu lesson check FILE.py` calls it.

    harness.py FOLDER FILE SECONDS MEGABYTES FUNCTION…

FOLDER holds cases.json and the arrays of the arguments, case-K.npz. Written there: result.json, and what function F
gave in case K, F-K.f64, as numbers of eight bytes. Exit status 3: NumPy is missing.
"""

import contextlib
import json
import os
import signal
import sys
import traceback


def limited(seconds, megabytes):
    """Limits for the file's code. A system that does not know one of them has the others."""
    signal.alarm(seconds + 2)
    try:
        import resource
    except ImportError:
        return
    sizes = {"RLIMIT_CPU": seconds, "RLIMIT_AS": megabytes << 20, "RLIMIT_FSIZE": 64 << 20, "RLIMIT_CORE": 0}
    for name, size in sizes.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (size, size))


def fault(error, path):
    """What an error says, and the last line of the file that it went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    says = error.msg if isinstance(error, SyntaxError) else str(error)
    # NumPy has a MemoryError of its own.
    kind = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    return {"kind": kind, "says": says[:300], "line": line}


def loaded(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    names = {"__name__": "quipu_lesson", "__file__": path}
    exec(compile(text, path, "exec"), names)
    return names


def arguments(folder, case, description, numpy):
    """Fresh for each call, so that a function may write into them."""
    with numpy.load(os.path.join(folder, f"case-{case}.npz")) as arrays:
        given = []
        for argument in description["arguments"]:
            if "value" in argument:
                given.append(argument["value"])
            else:
                given.append(arrays[argument["name"]].astype(argument["type"]))
        return given


def answer(value, numpy, target):
    """Writes what a function gave; what is no array of numbers is described only."""
    if value is None:
        return {"kind": "None"}
    try:
        array = numpy.asarray(value)
        numbers = array.astype(numpy.float64)
    except (TypeError, ValueError):
        return {"kind": type(value).__name__}
    numbers.tofile(target)
    return {"kind": array.dtype.name, "shape": list(array.shape)}


def called(function, folder, path, name, cases, numpy):
    found = []
    for case, description in enumerate(cases):
        try:
            value = function(*arguments(folder, case, description, numpy))
            found.append(answer(value, numpy, os.path.join(folder, f"{name}-{case}.f64")))
        except BaseException as error:
            found.append({"error": fault(error, path)})
    return found


def main():
    folder, path, seconds, megabytes, *names = sys.argv[1:]
    try:
        import numpy
    except ImportError:
        sys.exit(3)
    with open(os.path.join(folder, "cases.json"), encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    limited(int(seconds), int(megabytes))
    result = {"functions": {}}
    numpy.seterr(all="ignore")
    try:
        known = loaded(path)
    except BaseException as error:
        result["error"] = fault(error, path)
        known = {}
    result["defines"] = [n for n, value in known.items() if callable(value) and not n.startswith("__")][:20]
    if names == ["wrong_*"]:
        names = [name for name in known if name.startswith("wrong_")]
    result["says"] = {n: (known[n].__doc__ or "").strip() for n in names if n in known}
    for name in names:
        if callable(known.get(name)):
            result["functions"][name] = called(known[name], folder, path, name, cases, numpy)
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
