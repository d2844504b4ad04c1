"""The real program, and a trace of the embedded model that it wrote."""

import contextlib
import os
import pathlib
import shutil
import sqlite3

import pytest

import quipu

PROMPT = "Mia has the red ball. Tom is at the lake. Who has the ball?"
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/micro-world-f16.gguf"
MIXTURE = ROOT / "Tests/Fixtures/tiny-mixtral.gguf"
# The first line of a program that is to hear Ctrl-C: background jobs of a shell ignore it, and hand that on.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """The user's last trace and lessons are left alone, and no preferred model or program changes a test."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.pop("QUIPU_MODEL", None)


@pytest.fixture(scope="session")
def program(own_state):
    return quipu.find_program()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, program):
    """A trace with all values: the prompt and three more tokens."""
    path = tmp_path_factory.mktemp("recorded") / "trace.db"
    quipu.trace(MODEL, PROMPT, generate=4, output=path).close()
    return path


def wait_for_rows(process, path):
    """Until a run that is under way has committed a pass: a trace can be read while it is written."""
    steps = 0
    while steps < 2:
        assert process.poll() is None
        with contextlib.suppress(quipu.TraceError), quipu.open(path) as trace:
            steps = trace.steps


@pytest.fixture
def trace(recorded):
    with quipu.open(recorded) as opened:
        yield opened


@pytest.fixture
def changed(recorded, tmp_path):
    """A copy of the trace after statements that a stranger may have run on it."""

    def change(*statements, name="changed.db"):
        path = tmp_path / name
        shutil.copy(recorded, path)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            db.execute(statement)
        db.close()
        return path

    return change
