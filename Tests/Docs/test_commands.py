"""Runs every command that the pages show, and holds what they show of its output.

    make docs-test

A page's commands run one after the other in a folder that looks like the repository, so that later ones find what
earlier ones wrote; `quipu` is the built program. What is not run is in commands.toml with its reason. Without SmolLM2,
commands that need it or what is made from it are skipped, which is a failure if QUIPU_REQUIRE_SMOLLM2 is set.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest
from pages import ROOT, Block, Command

PROGRAM = Path(os.environ.get("QUIPU", ROOT / ".build/release/quipu"))
LISTED = tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8"))
NOT_RUN, INSTEAD, STATUS = LISTED["not_run"], LISTED["instead"], LISTED["status"]
SECONDS = 180  # what a command may take
OUTPUTS = re.compile(r"(?:--output|-o|>)\s*(\S+)")

TEXTS = {page: (ROOT / page).read_text("utf-8") for page in pages.pages()}
BLOCKS = {page: pages.blocks(page, text) for page, text in TEXTS.items()}
COMMANDS = [command for page, (found, _) in BLOCKS.items() for command in pages.commands(page, found)]


class Workspace:
    """A folder in which a page's commands run: a view of the repository, into which they may write."""

    def __init__(self, folder: Path):
        self.folder = folder / "quipu"
        self.folder.mkdir()
        for entry in ROOT.iterdir():
            if entry.suffix != ".db" and entry.name not in (".git", ".build", "dist"):
                (self.folder / entry.name).symlink_to(entry)
        programs = self.folder / ".build/release"
        programs.mkdir(parents=True)
        wrapper = programs / "quipu"
        wrapper.write_text(f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n')
        wrapper.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        python = [str(ROOT / "python"), os.environ.get("PYTHONPATH", "")]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "QUIPU"))}
        self.environment |= {
            "HOME": str(home), "PATH": os.pathsep.join(path), "PYTHONPATH": os.pathsep.join(filter(None, python)),
            "ROOT": str(ROOT),
        }
        self.printed: dict[int, str] = {}  # by block
        self.lost: set[str] = set()  # files that commands which were not run would have written

    def run(self, command: Command) -> tuple[int, str]:
        text = INSTEAD.get(plain(command), command.text)
        program = [sys.executable, "-"] if command.language == "python" else ["bash", "-eo", "pipefail", "-c", text]
        done = subprocess.run(
            program, cwd=self.folder, env=self.environment, timeout=SECONDS, text=True, check=False,
            input=text if command.language == "python" else "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.printed[command.block] = self.printed.get(command.block, "") + done.stdout
        return done.returncode, done.stdout


def plain(command: Command) -> str:
    """Without comments and the spaces before them."""
    return command.text if command.language == "python" else re.sub(r"\s+#\s.*", "", command.text).strip()


@functools.cache
def has_smollm2() -> bool:
    return any((ROOT / "downloads").glob("SmolLM2*.gguf"))


@pytest.fixture(scope="session")
def workspaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Workspace]]:
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not there; `make build` makes it")
    made: dict[str, Workspace] = {}

    class Made(dict):
        def __missing__(self, page: str) -> Workspace:
            self[page] = Workspace(tmp_path_factory.mktemp("page"))
            return self[page]

    made = Made()
    yield made
    for workspace in made.values():
        shutil.rmtree(workspace.folder.parent, ignore_errors=True)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_command(command: Command, workspaces: dict[str, Workspace]) -> None:
    workspace = workspaces[command.page]
    if reason := NOT_RUN.get(plain(command)):
        workspace.lost |= set(OUTPUTS.findall(command.text))
        check_without_running(command)
        pytest.skip(f"listed: {reason}")
    needs = [name for name in workspace.lost if name in command.text]
    if not has_smollm2() and (needs or "SmolLM2" in command.text):
        workspace.lost |= set(OUTPUTS.findall(command.text))
        if os.environ.get("QUIPU_REQUIRE_SMOLLM2"):
            pytest.fail("SmolLM2 is required and is not in downloads/")
        pytest.skip("without SmolLM2")
    status, output = workspace.run(command)
    assert status == STATUS.get(plain(command), 0), f"{command.text}\nexit status {status}\n{output}"


def check_without_running(command: Command) -> None:
    """What can be said of it all the same: its target, or its file, exists."""
    words = pages.words(command.text)
    if words[0] == "make":
        done = subprocess.run(
            ["make", "-n", "-C", ROOT, *words[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for word in words:
        if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|sh)", word):
            assert (ROOT / word).exists(), f"no such file: {word}"


SHOWN = [block for found, _ in BLOCKS.values() for block in found if block.output is not None]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: f"{block.page}:{block.line}")
def test_output(block: Block, workspaces: dict[str, Workspace]) -> None:
    """After its commands: pytest keeps the order of this file."""
    index = BLOCKS[block.page][0].index(block)
    if index not in workspaces[block.page].printed:
        pytest.skip("none of its commands was run")
    printed = workspaces[block.page].printed[index]
    passage = pages.missing(block.output, printed)
    assert passage is None, f"shown, and not printed:\n{passage}\n\nprinted:\n{printed}"


def test_code_of_pages_is_marked() -> None:
    assert [fault for _, faults in BLOCKS.values() for fault in faults] == []


def test_the_list_is_of_commands_that_pages_show() -> None:
    shown = {plain(command) for command in COMMANDS}
    assert [listed for listed in [*NOT_RUN, *INSTEAD, *STATUS] if listed not in shown] == []


def test_pages_are_found() -> None:
    assert {"README.md", "docs/trace.md", "docs/what-if.md", "notebooks/README.md"} <= set(TEXTS)
    assert len(COMMANDS) > 40 and len(SHOWN) >= 3


@functools.cache
def help_of(*command: str) -> str:
    """The help of the longest prefix of words that is a command."""
    for end in range(len(command), 0, -1):
        done = subprocess.run([PROGRAM, *command[:end], "--help"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and " ".join(command[:end]) in done.stdout:
            return done.stdout
    return ""


@pytest.mark.parametrize("page", TEXTS)
def test_commands_in_running_text_exist(page: str) -> None:
    faults = []
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in pages.inline_commands(TEXTS[page]):
        if words[0] == "make":
            named = [word for word in words[1:] if re.fullmatch(r"[a-z][\w-]*", word)]
            faults += [f"make has no target {name}" for name in named if name not in targets]
            continue
        names = []
        for word in words[1:]:
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            names.append(word)
        text = help_of(*names)
        if not text:
            faults.append(f"no such command: {' '.join(words)}")
        options = [re.split("[=|]", word)[0] for word in words if re.match(r"--[a-z]", word)]
        faults += [f"{' '.join(words)}: no option {option}" for option in options if option not in text]
    assert faults == []


# The checks themselves

def test_commands_are_split() -> None:
    text = "quipu a 'x\ny' # c\n\n# only a comment\nmake b \\\n    c\n"
    assert pages.shell_commands(text) == [(0, "quipu a 'x\ny' # c"), (4, "make b \\\n    c")]


def test_unmarked_commands_are_found() -> None:
    for text in ("    quipu inspect\n", "```\nquipu inspect\n```\n", "```bash\nmake test\n```\n"):
        assert len(pages.blocks("page.md", text)[1]) == 1
    assert len(pages.blocks("page.md", "```text\nout\n```\n")[1]) == 1
    assert pages.blocks("page.md", "```sh\nls\n```\nand\n```text\nout\n```\n")[0][0].output == "out\n"


def test_outputs_are_held() -> None:
    printed = "a  1.5 ms\nb 2\nc 3\n"
    assert pages.missing("a 900 µs\nb   2\n", printed) is None
    assert pages.missing("a 1 ms\n…\nc 3\n", printed) is None
    assert pages.missing("a 1 ms\n\nc 3\n", printed) is None
    assert pages.missing("a 1 ms\nc 3\n", printed) == "a 1 ms\nc 3"
    assert pages.missing("b 3\n", printed) == "b 3"
    assert pages.missing("c 3\n…\nb 2\n", printed) == "b 2"
