"""A trace of a real run, its report, and the report in a headless Chromium; what tests of the page share.

`QUIPU` names the program (default: the release build), `CHROMIUM` the browser (default: the one on the PATH).
"""

import http.client
import json
import math
import os
import pathlib
import re
import shutil
import sqlite3
import struct
import subprocess
import urllib.parse

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
QUIPU = os.environ.get("QUIPU", str(ROOT / ".build/release/quipu"))
MODEL = ROOT / "models/micro-world-f16.gguf"
SMOLLM2 = ROOT / "downloads/SmolLM2-135M-Instruct.Q4_1.gguf"
# Machines that test much at once are slow.
expect.set_options(timeout=30_000)
PROMPT = "Mia has the red ball. Tom is at the lake. Who has the ball?"


def chromium():
    named = os.environ.get("CHROMIUM")
    names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
    found = named or next(filter(None, map(shutil.which, names)), None)
    assert found, "no Chromium on the PATH: scripts/setup.sh browser installs it"
    return found


def quipu(*arguments, check=True):
    result = subprocess.run([QUIPU, *map(str, arguments)], capture_output=True, text=True)
    assert not check or result.returncode == 0, result.stderr
    return result


class Made:
    """A trace and the report of it."""

    def __init__(self, folder, model, prompt, tokens, errors):
        self.model = pathlib.Path(model)
        self.trace = folder / f"{self.model.stem}.db"
        self.report = folder / f"{self.model.stem}.html"
        quipu("trace", model, "--prompt", prompt, "--generate", tokens, "--output", self.trace)
        if errors:
            quipu("quant", "errors", model, "--as", errors, "--output", self.trace)
        quipu("report", self.trace, "--output", self.report)
        self.db = sqlite3.connect(self.trace)

    def one(self, sql, *values):
        row = self.db.execute(sql, values).fetchone()
        assert row is not None, (sql, values)
        return row[0] if len(row) == 1 else row

    def floats(self, name, kind=None):
        """Shape and values of an operation of the first pass."""
        *shape, data = self.one(
            "SELECT ne0, ne1, ne2, data FROM op JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id "
            "WHERE step = 0 AND op.name = ? AND op.kind = coalesce(?, op.kind)", name, kind)
        return shape, struct.unpack(f"<{len(data) // 4}f", data)


def pytest_itemcollected(item):
    """Tests that share what takes seconds to make run in one process, which makes it once."""
    for name in {"real", "propagated", "compared"}.intersection(item.fixturenames):
        item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("report"), MODEL, PROMPT, 8, "Q4_0,Q8_0,Q4_K")


@pytest.fixture(scope="session")
def propagated(tmp_path_factory):
    """A report of a run whose errors against the model's own F16 weights are recorded."""
    folder = tmp_path_factory.mktemp("propagated")
    made = Made.__new__(Made)
    made.model, made.trace, made.report = folder / "q4_0.gguf", folder / "errors.db", folder / "errors.html"
    quipu("quantize", MODEL, made.model, "Q4_0")
    quipu("propagate", made.model, "--base", MODEL, "--prompt", PROMPT, "--output", made.trace)
    quipu("report", made.trace, "--output", made.report)
    made.db = sqlite3.connect(made.trace)
    return made


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    if not SMOLLM2.exists():
        assert os.environ.get("QUIPU_REQUIRE_SMOLLM2") != "1", f"{SMOLLM2} is missing; make model-smollm2 fetches it"
        pytest.skip(f"needs {SMOLLM2.name}; make model-smollm2 fetches it")
    return Made(tmp_path_factory.mktemp("real"), SMOLLM2, "The capital of France is", 27, None)


class Opened:
    """A running `quipu open`."""

    def __init__(self, state, file=None):
        self.state = state
        self.process = subprocess.Popen(
            [QUIPU, "open", *([] if file is None else [str(file)]), "--no-browser", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_STATE_HOME": str(state)},
        )
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("}"):
                break
        assert lines, self.process.stderr.read()
        self.said = json.loads("".join(lines))
        self.address, self.model = self.said["address"], self.said["model"]
        parts = urllib.parse.urlsplit(self.address)
        self.port, self.base = parts.port, parts.path

    def ask(self, path, method="GET", body=None, **headers):
        """Status and text of an answer, asked past any browser."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=names)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def get(self, path, **query):
        status, text = self.ask(f"{self.base}{path}?{urllib.parse.urlencode(query)}")
        assert status == 200, text
        return json.loads(text)

    def run(self, **request):
        status, text = self.ask(self.base + "run", "POST", json.dumps(request), Content_Type="application/json")
        assert status == 200, text
        return [json.loads(line) for line in text.splitlines()]

    def path(self, trace):
        return next(t["path"] for t in self.get("traces") if t["id"] == trace)

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The embedded model, of which a first prompt has been run."""
    opened = Opened(tmp_path_factory.mktemp("state"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


SCREENS = [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light"), (390, 844, "dark")]


def screen_name(screen):
    return "{}x{}-{}".format(*screen)


# For what size and theme together may break: how a view looks.
on_every_screen = pytest.mark.parametrize("screen", SCREENS, indirect=True, ids=screen_name)


@pytest.fixture(params=[SCREENS[0], SCREENS[3]], ids=screen_name)
def screen(request):
    """Each size and each theme once; what a number is depends on neither."""
    return request.param


@pytest.fixture
def show(browser, screen):
    """Opens a report at a screen's size and theme; at the end of the test no error may have come up."""
    width, height, theme = screen
    complaints, contexts = [], []

    def show(report, address=""):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, has_touch=width < 500, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if "file:" not in request.url else None)
        page.goto(report.as_uri() + address)
        return page

    yield show
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def visit(browser):
    """Opens a page of `quipu open`; at the end no error may have come up, and nothing may have been asked of others."""
    complaints, contexts = [], []

    def visit(opened, address="#live", width=1280, height=900, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        # A trace's first page is computed; machines that test much at once are slow.
        context.set_default_navigation_timeout(120_000)
        page = context.new_page()
        # Refused questions are what some tests ask for; the browser logs them.
        page.on("console", lambda message: complaints.append(message.text)
                if message.type != "log" and "status of 422" not in message.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url)
                if not request.url.startswith(opened.address) else None)
        page.goto(opened.address + address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(visit, opened):
    return visit(opened)


# What a person does and reads

def address(page):
    """Where the page says that it is. `page.url` is what the browser has told by now, which may be a step behind."""
    return page.evaluate("location.href")


def tip(page):
    """What the tooltip says."""
    element = page.locator("#tip")
    element.wait_for(state="visible", timeout=3000)
    return element.inner_text()


def point(page, canvas, row, column):
    """Moves the mouse onto a cell of a heat map; returns where that is."""
    canvas.scroll_into_view_if_needed()
    cells = json.loads(canvas.get_attribute("data-cells"))
    assert row < cells["rows"] and column < cells["columns"]
    box, width = canvas.bounding_box(), canvas.evaluate("c => parseFloat(c.style.width)")
    scale = box["width"] / width
    x = box["x"] + scale * (cells["left"] + (column + 0.5) * cells["width"])
    y = box["y"] + scale * (cells["top"] + (row + 0.5) * cells["height"])
    page.mouse.move(x, y)
    return x, y


UNITS = {"n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
BYTES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def shows(text, value, digits=4):
    """Whether a text is the number to the digits shown: no farther than half a unit of the last, and one in the sixth
    digit, to which the page's data is rounded. Understands `1,234`, `12.3 %`, `4.5 ms`, `38 KiB`, `1.2 Mflop`."""
    if value is None:
        return text == "–"
    match = re.match(r"^(-?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*(\S*)", text)
    assert match, text
    number, unit = float(match[1].replace(",", "")), match[2]
    scale = 1
    if unit == "%":
        scale = 1e-2
    elif unit in BYTES:
        scale = BYTES[unit]
    elif unit.endswith("flop") or (len(unit) <= 2 and unit.endswith("s")):
        scale = UNITS[unit.removesuffix("flop").removesuffix("s")]
    value /= scale
    if value == 0 or number == 0:
        return value == number
    unit_of_last = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return abs(number - value) <= 0.5 * unit_of_last + 1e-6 * abs(value)
