"""What the Markdown pages show to be typed, and what they show to come of it.

A page's commands are the lines of its ```sh blocks and its ```python blocks; a ```text block is what the block before
it prints, or parts of that. Lessons are not among the pages: `quipu lesson lint` runs theirs.
"""

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
# A line that starts so is meant to be typed.
TYPED = re.compile(r"(\$ )?(quipu|make|python3?|pip|swift|git|cd|alias|export|docker|scripts/\S+|models/\S+\.sh)\s")
COMMANDS, OUTPUT = ("sh", "python"), "text"


@dataclasses.dataclass
class Block:
    page: str
    line: int  # of its first line of code
    language: str
    text: str
    output: str | None = None  # what it prints, if that is shown


@dataclasses.dataclass
class Command:
    """A command of a shell, or a whole program in Python."""

    page: str
    line: int
    language: str
    text: str
    block: int  # which of the page's, from 0

    def __str__(self) -> str:
        first = self.text.split("\n")[0]
        return f"{self.page}:{self.line} {first[:60]}"


def pages() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(page for page in listed if page and not page.startswith("lessons/") and (ROOT / page).exists())


def blocks(page: str, text: str) -> tuple[list[Block], list[str]]:
    """The blocks of commands with their outputs, and what is wrong with the page's code."""
    found: list[Block] = []
    faults = []
    for token in MarkdownIt("commonmark").parse(text):
        if token.type not in ("fence", "code_block"):
            continue
        line, language = token.map[0] + 1, token.info.split(" ")[0]
        if language in COMMANDS:
            found.append(Block(page, line + 1, language, token.content))
        elif language == OUTPUT:
            if not found or found[-1].output is not None:
                faults.append(f"{page}:{line}: an output, and no command before it that it could be of")
            else:
                found[-1].output = token.content
        elif any(TYPED.match(row.strip()) for row in token.content.split("\n")):
            faults.append(f"{page}:{line}: commands outside of a ```sh block, so that nothing runs them")
    return found, faults


def commands(page: str, found: list[Block]) -> list[Command]:
    result = []
    for index, block in enumerate(found):
        if block.language == "python":
            result.append(Command(page, block.line, "python", block.text.rstrip(), index))
        else:
            result += [
                Command(page, block.line + offset, "sh", text, index) for offset, text in shell_commands(block.text)
            ]
    return result


def shell_commands(text: str) -> list[tuple[int, str]]:
    """Commands with the number of their first line; one may go over several, in quotes or after a backslash."""
    result: list[tuple[int, str]] = []
    lines: list[str] = []
    for number, line in enumerate(text.rstrip("\n").split("\n")):
        lines.append(line)
        try:
            words = shlex.split("\n".join(lines), comments=True)
        except ValueError:  # a quote is open
            continue
        if line.endswith("\\"):
            continue
        if words:  # else an empty line, or a comment
            result.append((number - len(lines) + 1, "\n".join(lines).strip()))
        lines = []
    if lines:
        raise ValueError(f"a command that never ends: {lines[0]}")
    return result


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


# Outputs

TIME = re.compile(r"\d[\d.,]*\s*(ns|µs|ms|s|min|GB/s|tokens/s)(?!\w)")


def shape(line: str) -> str:
    """A line as it is on every machine: times and rates are #, and columns may be wider."""
    return re.sub(r"\s+", " ", TIME.sub("#", line)).strip()


def missing(shown: str, printed: str) -> str | None:
    """The first passage of the shown output that was not printed, if any.

    A passage's lines follow each other; passages are in order, with anything between them, and are parted by empty
    lines or by one that is only `…`.
    """
    output = [shape(line) for line in printed.split("\n")]
    start = 0
    for passage in re.split(r"\n(?:\s*…?\s*\n)+", shown.strip("\n")):
        lines = [shape(line) for line in passage.split("\n")]
        starts = [i for i in range(start, len(output) - len(lines) + 1) if output[i : i + len(lines)] == lines]
        if not starts:
            return passage
        start = starts[0] + len(lines)
    return None


# Names in running text

def inline_commands(text: str) -> list[list[str]]:
    """`quipu …` and `make …` in running text and tables, as words."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    codes = [child.content for token in parsed for child in token.children or [] if child.type == "code_inline"]
    return [code.replace("\\|", "|").split() for code in codes if re.match(r"(quipu|make) [a-z]", code)]
