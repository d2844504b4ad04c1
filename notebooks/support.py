"""What only the notebooks need: a model, a folder for their files, and claims that a test reads."""

import json
import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = pathlib.Path(os.environ.get("QUIPU_MODEL") or ROOT / "models/micro-world-f16.gguf")


def workspace(name):
    """An empty folder for a notebook's files."""
    folder = ROOT / "notebooks" / ".work" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def claim(name, value):
    """Prints what a notebook found, so that a test can read it."""
    print(f"claim {name} = {json.dumps(value, default=float, ensure_ascii=False)}")


def label(axes, names, x, y):
    """Names beside points of a falling curve; neighbours in turn above and below, so that they stay readable."""
    for number, (at, height, name) in enumerate(sorted(zip(x, y, names, strict=True))):
        side, across, up = (-1, "right", "top") if number % 2 else (1, "left", "bottom")
        axes.annotate(name, (at, height), xytext=(4 * side, 9 * side), textcoords="offset points", fontsize=8,
                      rotation=50, ha=across, va=up)
    axes.margins(0.1, 0.25)


def pieces(tokens):
    """Tokens as labels."""
    return [f"{position} {piece!r}" for position, piece in zip(tokens.position, tokens.piece, strict=True)]
