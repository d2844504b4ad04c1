"""Runs functions of one Python file on prepared cases, within limits; `quipu lesson check FILE.py` calls it.

    harness.py FOLDER FILE SECONDS MEGABYTES FUNCTION…

FOLDER holds cases.json and the arrays of the arguments, case-K.npz. Written there: begun, before the file's code runs;
result.json; and what function F gave in case K, F-K.f64, as numbers of eight bytes. Exit status 3 without begun: no
NumPy.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
import types

# More numbers than any answer has: what is larger is described only. CodeRun.swift has the same number.
LONGEST = 1 << 22


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


def plain(text):
    """Text that JSON can hold."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""


def fault(error, path):
    """What an error says, and the last line of the file that it went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    try:
        says = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        says = ""
    # NumPy has a MemoryError of its own.
    kind = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    return {"kind": plain(kind), "says": plain(says)[:300], "line": line if isinstance(line, int) else None}


def loaded(path):
    """The names of a file, run as a module: dataclasses, for one, look for theirs."""
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    module = types.ModuleType("quipu_lesson")
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(compile(text, path, "exec"), module.__dict__)
    return module.__dict__


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
    kind = {"kind": plain(type(value).__name__)}
    try:
        array = numpy.asarray(value)
    except (TypeError, ValueError):
        return kind
    if array.dtype.kind not in "biuf":
        return {"kind": f"array of {array.dtype.name}"} if isinstance(value, numpy.ndarray) else kind
    shape = list(array.shape)
    if array.size <= LONGEST:
        array.astype(numpy.float64).tofile(target)
    return {"kind": array.dtype.name, "shape": shape}


def called(function, folder, path, name, cases, numpy):
    """What a function gave in each case. One that has used up its memory is not called again: that may take long."""
    found = []
    for case, description in enumerate(cases):
        try:
            value = function(*arguments(folder, case, description, numpy))
            found.append(answer(value, numpy, os.path.join(folder, f"{name}-{case}.f64")))
        except BaseException as error:
            found.append({"error": fault(error, path)})
            if isinstance(error, MemoryError):
                return found + found[-1:] * (len(cases) - case - 1)
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
    with open(os.path.join(folder, "begun"), "w", encoding="utf-8"):
        pass
    try:
        known = loaded(path)
    except BaseException as error:
        result["error"] = fault(error, path)
        known = {}
    defined = [n for n, value in known.items() if callable(value) and not n.startswith("__")]
    result["defines"] = [plain(n) for n in defined][:20]
    if names == ["wrong_*"]:
        names = [name for name in known if name.startswith("wrong_")]
    result["says"] = {n: plain(known[n].__doc__).strip() for n in names if n in known}
    for name in names:
        if callable(known.get(name)):
            result["functions"][name] = called(known[name], folder, path, name, cases, numpy)
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
