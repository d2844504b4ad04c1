"""Every Markdown page of the repository as a reader sees it, by CommonMark and GitHub's tables.

A page's source can look right and be shown wrong: a blank line ends a table, a bar too many drops a cell without a
word, a renamed heading leaves links that go nowhere. Pages are parsed, and what came out is compared with what was
meant.
"""

import re
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    capture_output=True, text=True, check=True,
).stdout.split("\0")[:-1]
PAGES = sorted(name for name in TRACKED if name.endswith(".md") and (ROOT / name).exists())
FILES = {name for name in TRACKED if (ROOT / name).exists()}
# Folders of tracked files, and the root.
FOLDERS = {str(parent) for name in FILES for parent in Path(name).parents}

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"]).use(front_matter_plugin)
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:")
BAR = re.compile(r"(?<!\\)\|")
# What is left of a link, emphasis or code that did not close.
REMAINS = re.compile(r"\]\(|\]\[|\*\*|`|<!--|!\[")


def faults(name: str, text: str) -> list[str]:
    """What a reader would stumble over on a page, each with the line it is near."""
    tokens = MARKDOWN.parse(text)
    lines = text.split("\n")
    found = broken_tables(tokens, lines) + broken_fences(tokens, lines) + broken_inlines(tokens)
    return found + broken_headings(tokens) + broken_links(name, tokens)


def line(token: Token) -> str:
    return f"line {token.map[0] + 1}: " if token.map else ""


def broken_tables(tokens: list[Token], lines: list[str]) -> list[str]:
    found = []
    for token in tokens:
        if token.type == "table_open":
            first, end = token.map
            # Delimiters of cells: also a bar in code, which Markdown does not exempt.
            counts = [len(BAR.findall(row)) for row in lines[first:end]]
            found += [
                f"line {first + i + 1}: a row of {count - 1} cells in a table of {counts[0] - 1}"
                for i, count in enumerate(counts) if count != counts[0]
            ]
        if token.type == "inline" and any(row.lstrip().startswith("|") for row in token.content.split("\n")):
            found.append(line(token) + "rows that belong to no table")
    return found


def broken_fences(tokens: list[Token], lines: list[str]) -> list[str]:
    return [
        line(token) + "code that never ends"
        for token in tokens if token.type == "fence" and not lines[token.map[1] - 1].strip().startswith(token.markup)
    ]


def broken_inlines(tokens: list[Token]) -> list[str]:
    return [
        line(token) + f"shown as it is typed: {child.content!r}"
        for token in tokens for child in token.children or [] if child.type == "text" and REMAINS.search(child.content)
    ]


def broken_headings(tokens: list[Token]) -> list[str]:
    """One title, and no level left out. A page with a head above its text has its title there."""
    levels = [(int(token.tag[1]), token) for token in tokens if token.type == "heading_open"]
    before = 1 if tokens and tokens[0].type == "front_matter" else 0
    found = []
    for level, token in levels:
        if level > before + 1:
            found.append(line(token) + f"a heading of level {level} below one of level {before}")
        if level == 1 and before:
            found.append(line(token) + "a second title")
        before = level
    return found


def broken_links(name: str, tokens: list[Token]) -> list[str]:
    found = []
    for token in tokens:
        for child in token.children or []:
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if target is not None and (problem := link_problem(name, unquote(target))):
                found.append(line(token) + problem)
            if child.type == "image" and not child.content:
                found.append(line(token) + f"a picture without a description: {target}")
    return found


def link_problem(name: str, target: str) -> str | None:
    if OUTSIDE.match(target):
        return None
    path, _, anchor = target.partition("#")
    linked = Path(name).parent / path if path else Path(name)
    parts: list[str] = []
    for part in linked.parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return f"a link out of the repository: {target}"
    file = "/".join(parts) or "."
    if file not in FILES and file not in FOLDERS:
        return f"a link to nothing: {target}"
    if anchor and file.endswith(".md") and anchor not in anchors((ROOT / file).read_text("utf-8")):
        return f"no such heading: {target}"
    return None


@cache
def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    tokens = MARKDOWN.parse(text)
    names: set[str] = set()
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        words = "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = next(n for n in range(len(names) + 1) if (f"{slug}-{n}" if n else slug) not in names)
        names.add(f"{slug}-{number}" if number else slug)
    return names


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str) -> None:
    assert faults(name, (ROOT / name).read_text("utf-8")) == []


def test_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "docs/trace.md", "lessons/01-gguf.md"} <= set(PAGES)


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    links = {child.attrGet("href") for token in MARKDOWN.parse(index) for child in token.children or []}
    pages = {name.removeprefix("docs/") for name in PAGES if re.fullmatch(r"docs/[^/]+\.md", name)} - {"README.md"}
    assert pages - links == set()


TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"


@pytest.mark.parametrize(("text", "fault"), [
    (TABLE + "\n| 3 | 4 |\n", "line 5: rows that belong to no table"),
    (TABLE + "| x|y | 4 |\n", "line 4: a row of 3 cells in a table of 2"),
    ("a\n\n```sh\nls\n", "line 3: code that never ends"),
    ("see [this] (README.md) and **that", "line 1: shown as it is typed: 'see [this] (README.md) and **that'"),
    ("# A\n\n### B\n", "line 3: a heading of level 3 below one of level 1"),
    ("# A\n\n# B\n", "line 3: a second title"),
    ("[a](docs/nothing.md)", "line 1: a link to nothing: docs/nothing.md"),
    ("[a](../elsewhere)", "line 1: a link out of the repository: ../elsewhere"),
    ("[a](docs/trace.md#no-such)", "line 1: no such heading: docs/trace.md#no-such"),
    ("![a](nothing.png)", "line 1: a link to nothing: nothing.png"),
    ("![](docs/pictures/report.png)", "line 1: a picture without a description: docs/pictures/report.png"),
])
def test_faults_are_found(text: str, fault: str) -> None:
    assert faults("page.md", text) == [fault]


def test_what_is_right_is_left_alone() -> None:
    text = "# A `b`\n\n" + TABLE + "| `x\\|y` | 2 |\n\n## C, d!\n\n[a](#a-b) [c](#c-d) [l](LICENSE) [e](https://x.org/#y)\n"
    assert faults("page.md", text.replace("(#a-b)", "(docs/trace.md#what-is-captured)").replace("[c](#c-d)", "")) == []
    assert anchors(text) == {"a-b", "c-d"}
    assert anchors("# A\n\n## A\n") == {"a", "a-1"}
