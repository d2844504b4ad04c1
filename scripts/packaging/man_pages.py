#!/usr/bin/env python3
"""Manual pages in mdoc(7), one a command, from what the program says of itself.

    man_pages.py PROGRAM FOLDER DATE        # DATE as in 2026-01-31
"""

import datetime
import json
import pathlib
import re
import subprocess
import sys


def escaped(text):
    """Text that roff prints as it is: also at the start of a line, and with the minus that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def sentences(text):
    """Running text with a line for each sentence, as roff wants it."""
    return "\n".join(escaped(line) for line in re.split(r"(?<=[A-Za-z0-9)`][.?!]) (?=[A-Z])", text))


def words(text):
    """Text as an argument of a macro: one word for mdoc, whatever is in it."""
    return '"\\&' + escaped(text).replace('"', "\\(dq") + '"'


def paragraphs(text):
    """Running text; lines that are indented stand as they are."""
    lines, literal = [], False
    for line in text.splitlines():
        if line.startswith("  ") != literal:
            literal = not literal
            lines.append(".Bd -literal -offset indent" if literal else ".Ed")
        if literal:
            lines.append(escaped(line[2:]))
        elif line.strip():
            lines.append(sentences(line.strip()))
        elif lines and lines[-1] not in (".Pp", ".Ed"):
            lines.append(".Pp")
    if literal:
        lines.append(".Ed")
    # mandoc: a paragraph break before or after a display, or at an end, is one too many.
    text = "\n".join(lines)
    text = re.sub(r"(\.Pp\n)+(?=\.Bd)", "", text)
    return re.sub(r"(^(\.Pp\n)+|(\n\.Pp)+$)", "", text)


def section(title, body):
    return [f".Sh {title.upper()}", body] if body else []


def name_of(option):
    return ("--" if option["kind"] == "long" else "-") + option["name"]


def entry(argument):
    """One argument or option with what it does."""
    value = argument.get("valueName", "")
    names = sorted(argument.get("names", []), key=lambda name: name["kind"] == "long")
    if not names:
        head = f".It Ar {words(value)}"
    else:
        tail = f" Ar {words(value)}" if argument["kind"] == "option" else ""
        head = ".It " + " , ".join(f"Fl {words(name_of(name)[1:])}" for name in names) + tail
    notes = []
    if argument.get("allValues"):
        notes.append("values: " + ", ".join(argument["allValues"]))
    if "defaultValue" in argument:
        notes.append("default: " + argument["defaultValue"])
    text = " ".join([argument.get("abstract", "")] + ([f"({'; '.join(notes)})"] if notes else []))
    return [head, sentences(text.strip())]


def options(command):
    """Arguments, then options under their titles, as the help has them."""
    groups = {}
    for argument in command.get("arguments", []):
        if argument["shouldDisplay"]:
            title = "Arguments" if argument["kind"] == "positional" else argument.get("sectionTitle", "Options")
            groups.setdefault(title, []).append(argument)
    lines = []
    for title in sorted(groups, key=lambda title: (title != "Arguments", title == "Options")):
        lines += [f".Sh {title.upper()}", ".Bl -tag -width Ds"]
        for argument in groups[title]:
            lines += entry(argument)
        lines.append(".El")
    return lines


def page(command, path, usage, date):
    """The page of the command that is reached by the names in `path`."""
    name = "-".join(path)
    day = datetime.date.fromisoformat(date)
    discussion, _, examples = command.get("discussion", "").partition("Example:")
    abstract = command.get("abstract", "").rstrip(".")
    lines = [
        f".Dd {day:%B} {day.day}, {day.year}", f".Dt {name.upper()} 1", ".Os", ".Sh NAME", f".Nm {name}",
        f".Nd {escaped(abstract[:1].lower() + abstract[1:])}", ".Sh SYNOPSIS",
        ".Bd -literal", *[escaped(line) for line in usage], ".Ed",
    ]
    lines += section("description", paragraphs(discussion.strip()) or sentences(command.get("abstract", "")))
    lines += options(command)
    children = [child for child in command.get("subcommands", []) if child["commandName"] != "help"]
    if children:
        lines += [".Sh COMMANDS", ".Bl -tag -width Ds"]
        for child in children:
            lines += [f".It Xr {'-'.join([*path, child['commandName']])} 1", sentences(child.get("abstract", ""))]
        lines.append(".El")
    if len(path) == 1:
        lines += ENVIRONMENT
    lines += STATUS
    if examples:
        lines += section("examples", paragraphs("\n".join(
            line for line in examples.splitlines() if line.strip() != "Example:")))
    if len(path) > 1:
        lines += [".Sh SEE ALSO", f".Xr {'-'.join(path[:-1])} 1"]
    return "\n".join(line for line in lines if line) + "\n"


ENVIRONMENT = """.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev QUIPU_MODEL
The model that commands take when none is named.
.It Ev XDG_STATE_HOME , Ev XDG_CACHE_HOME
Where
.Nm
keeps the last trace and progress in lessons, and digests of models
.Pq default: Pa ~/.local/state , Pa ~/.cache .
.It Ev TMPDIR
Where commands make files that they remove again
.Pq default: Pa /tmp .
.It Ev NO_COLOR
No colours, unless
.Fl \\-color
says otherwise.
.El""".splitlines()

STATUS = [
    ".Sh EXIT STATUS",
    "0 after success, 1 if the input cannot be used or a check fails, 2 if what is compared differs,",
    "64 for wrong usage, 130 after Ctrl\\-C.",
]


def usage(program, path):
    """The command lines, as the help has them."""
    done = subprocess.run(
        [program, *path[1:], "--help"], capture_output=True, text=True, check=True,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin"})
    lines = done.stdout.split("USAGE: ", 1)[1].split("\n\n", 1)[0].splitlines()
    return [line.strip() if number == 0 else line[7:] for number, line in enumerate(lines)]


def write(program, folder, date):
    """Writes all pages; returns their names."""
    said = subprocess.run([program, "--experimental-dump-help"], capture_output=True, text=True, check=True).stdout
    folder.mkdir(parents=True, exist_ok=True)
    names = []

    def walk(command, above):
        path = [*above, command["commandName"]]
        if not command["shouldDisplay"] or path[-1] == "help":
            return
        names.append("-".join(path) + ".1")
        (folder / names[-1]).write_text(page(command, path, usage(program, path), date))
        for child in command.get("subcommands", []):
            walk(child, path)

    walk(json.loads(said)["command"], [])
    return names


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(len(write(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])), "pages")
