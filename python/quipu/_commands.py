"""A function for each command of the program, made from one table.

`commands.json` is the program's own list of its commands and options; `make python-commands` writes it again.
"""

from __future__ import annotations

import functools
import inspect
import json
import keyword
import os
import subprocess
from typing import Any, Callable

from ._errors import QuipuError
from ._find import PACKAGE, find_program
from ._program import run_program

TABLE = os.path.join(PACKAGE, "commands.json")

# `trace` has a function of its own, because a trace is an object here; `open` opens one, and serves no page.
_ELSEWHERE = ("trace", "open")

# What every function takes beside the command's options.
_RUNNING = ("program", "progress", "input")

# What makes something else of the result than a document.
_PRINTING = ("json", "color", "csv", "help", "version")


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """The commands by what their functions are called: `quant_errors`."""
    with open(TABLE, encoding="utf-8") as file:
        commands = json.load(file)
    named = {_function_name(command["words"]): command for command in commands}
    # `quipu gqa` is `quipu gqa map`, `quipu experts` `quipu experts map`.
    return {**named, **{command["short"]: command for command in commands if "short" in command}}


def any_command(*arguments: Any, **options: Any) -> Any:
    """What type checkers take each command's function for."""
    raise NotImplementedError


def run(command: str, *arguments: Any, **options: Any) -> Any:
    """Runs any command of the program and returns the JSON document that it prints.

    `quipu.run("quant errors", model, as_=["Q4_0", "Q4_K"])` is `quipu quant errors MODEL --as Q4_0,Q4_K --json`, and
    the same as `quipu.quant_errors(model, as_=…)`. Commands that compare (`diff`, `verify`, `compare`, `explain
    element`) end with status 2 if they found a difference; their document says it, and nothing is raised.

    Args:
        command: its words.
        arguments: its arguments; None is left out.
        options: its options, with `_` for `-`, and after what is a word of Python (`as_`, `from_`). True sets a flag, a
            list gives several values. And: `program`, `progress`, `input`, as `quipu.find_program` and docs/python.md
            describe them.

    Raises:
        ProgramError: with the program's message and exit status.
        ProgramNotFound: if there is no program.
    """
    words = command.split()
    known = table().get(_function_name(words))
    repeatable = [option["name"] for option in known["options"] if option["repeatable"]] if known else []
    running = {name: options.pop(name) for name in _RUNNING if name in options}
    return run_program(words, arguments, options, repeatable=repeatable, **running)


def function(name: str) -> Callable[..., Any]:
    """The function of a command.

    Raises:
        KeyError: if there is none of this name.
    """
    command = table()[name]
    signature = _signature(command)

    def call(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        given: dict[str, Any] = dict(bound.arguments)
        values: list[Any] = []
        for parameter in command["arguments"]:
            value = given.pop(parameter["name"], None)
            values += value if parameter["repeatable"] and value is not None else [value]
        return run(" ".join(command["words"]), *values, **given)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "quipu"
    call.__doc__ = _description(command)
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def names() -> list[str]:
    """What the functions of commands are called."""
    return [name for name in table() if name not in _ELSEWHERE]


def _signature(command: dict[str, Any]) -> inspect.Signature:
    kinds = inspect.Parameter
    parameters = [
        kinds(one["name"], kinds.VAR_POSITIONAL)
        if one["repeatable"]
        else kinds(one["name"], kinds.POSITIONAL_OR_KEYWORD, default=None)
        for one in command["arguments"]
    ]
    parameters += [kinds(one["name"], kinds.KEYWORD_ONLY, default=None) for one in command["options"]]
    parameters += [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in _RUNNING]
    return inspect.Signature(parameters, return_annotation=dict)


def _description(command: dict[str, Any]) -> str:
    lines = [command["abstract"], "", f"`quipu {' '.join(command['words'])} --json`, and its document.", "", "Args:"]
    for one in command["arguments"] + command["options"]:
        default = f" (default: {one['default']})" if one.get("default") else ""
        lines.append(f"    {one['name']}: {one['help']}{default}")
    lines += ["    program, progress, input: see quipu.run.", "", "Raises:"]
    lines += ["    ProgramError: with the program's message and exit status."]
    return "\n".join(lines)


# The table, from the program


def read_from_program(program: str | None = None) -> list[dict[str, Any]]:
    """The table as the program gives it."""
    dump = subprocess.run(
        [find_program(program), "--experimental-dump-help"], check=True, capture_output=True, text=True
    ).stdout
    commands: list[dict[str, Any]] = []
    _collect(json.loads(dump)["command"], [], commands)
    return commands


def _collect(command: dict[str, Any], words: list[str], commands: list[dict[str, Any]], short: str = "") -> None:
    subcommands = [one for one in command.get("subcommands", []) if one["commandName"] != "help"]
    for one in subcommands:
        is_usual = one["commandName"] == command.get("defaultSubcommand")
        _collect(one, [*words, one["commandName"]], commands, _function_name(words) if is_usual else "")
    if subcommands or not words:
        return
    shown = [one for one in command.get("arguments", []) if one["shouldDisplay"]]
    positionals = [one for one in shown if one["kind"] == "positional"]
    options = [one for one in shown if one["kind"] != "positional" and one["preferredName"]["name"] not in _PRINTING]
    commands.append(
        {
            "words": words,
            **({"short": short} if short else {}),
            "abstract": command["abstract"],
            "arguments": [entry for one in positionals for entry in _positional_entries(one)],
            "options": [_entry(one["preferredName"]["name"], one) for one in options],
        }
    )


def _positional_entries(one: dict[str, Any]) -> list[dict[str, Any]]:
    # `trace> <tensor` are two, of which the first may be left out; `trace> <name...` one and several.
    parts = one["valueName"].split("> <")
    repeating = one["isRepeating"] and (len(parts) == 1 or parts[-1].endswith("..."))
    return [_entry(part, {**one, "isRepeating": repeating and part == parts[-1]}) for part in parts]


def _entry(name: str, one: dict[str, Any]) -> dict[str, Any]:
    entry = {"name": _python_name(name), "help": one.get("abstract", ""), "repeatable": one["isRepeating"]}
    return {**entry, "default": one["defaultValue"]} if "defaultValue" in one else entry


def _python_name(name: str) -> str:
    name = name.rstrip(".").replace("-", "_").replace(".", "_")
    return name + "_" if keyword.iskeyword(name) else name


def _function_name(words: list[str]) -> str:
    return "_".join(words).replace("-", "_")


def write_table(program: str | None = None) -> None:
    """Writes `commands.json` again, as the program has it now."""
    with open(TABLE, "w", encoding="utf-8") as file:
        json.dump(read_from_program(program), file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    try:
        write_table()
    except (QuipuError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"quipu: {error}") from error
