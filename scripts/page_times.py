#!/usr/bin/env python3
"""How long the live page of `quipu open` takes for what people do in it, in a headless Chromium.

    Tests/Browser/.venv/bin/python scripts/page_times.py MODEL…
    Tests/Browser/.venv/bin/python scripts/page_times.py MODEL --tokens 2000 --capture stats

A trace of a prompt of random tokens (or of `--prompt`) is made and opened. Times are milliseconds from the click or key
to what it brings on the page, medians of `--rounds`, as a table of Markdown. `make report-test` makes the environment.
"""

import argparse
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/Browser"))

from conftest import Opened, chromium, quipu  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

# Ids that every vocabulary of a real model has.
IDS = range(300, 500)


def took(page, action: str, ready: str) -> float:
    """Milliseconds from an action until a condition holds, both JavaScript, as the page's own clock has it."""
    return page.evaluate(
        f"""async () => {{
            const next = () => new Promise(done => requestAnimationFrame(done));
            const began = performance.now();
            {action};
            while (!({ready})) await next();
            return performance.now() - began;
        }}"""
    )


def typed(page) -> float:
    type_word = (
        "document.querySelector('#typed').replaceChildren(); const box = document.querySelector('#prompt');"
        " box.value += ' and'; box.dispatchEvent(new Event('input'))"
    )
    return took(page, type_word, "document.querySelector('#typed .token')")


def asked(page, query: str) -> float:
    ask = (
        f"document.querySelector('#rows').replaceChildren(); document.querySelector('#query').value = {query!r};"
        " document.querySelector('#ask').click()"
    )
    return took(page, ask, "document.querySelector('#rows table')")


def looked(page, address: str) -> float:
    look = (
        f"document.querySelector('#values').replaceChildren(); document.querySelector('#address').value = {address!r};"
        " document.querySelector('#look').click()"
    )
    # A trace that kept statistics alone has no values to show, and says so.
    return took(page, look, "document.querySelector('#values dl, #values .warning')")


def changed(page) -> tuple[float, float]:
    """A head silenced: until the changed prediction, and until lens and differences are there too."""
    click = "document.querySelector(\"[aria-label='layer 2, head 0']\").click()"
    prediction = took(page, click, "document.querySelector('#changed:not(.old) table')")
    rest = took(page, "", "document.querySelector('#changed:not(.old) table.lens')")
    took(page, "document.querySelector('#undoall').click()", "!document.querySelector('#changed table')")
    return prediction, prediction + rest


def viewed(page) -> float:
    """Milliseconds of the view that takes longest to be drawn."""
    names = page.evaluate("VIEWS.map(view => view.id)")
    drawn = "await next(); await next()"
    slowest = max(took(page, f"go({{view: {name!r}}}); {drawn}", "true") for name in names)
    page.evaluate("go({view: 'live'})")
    return slowest


def ran(page) -> tuple[float, float]:
    """A short prompt: until its first generated token, and until the page of its trace."""
    page.fill("#prompt", "The capital of France is")
    page.fill("#generate", "8")
    before, began = page.evaluate("location.href"), time.monotonic()
    first = took(
        page, "document.querySelector('#run').click()", "document.querySelector('#said .token:not(.prompt)')"
    )
    page.wait_for_url(lambda address: address != before)
    page.wait_for_selector("#typed .token")
    return first, 1000 * (time.monotonic() - began)


def measured(page, opened, options) -> dict[str, float]:
    """The median of each thing, in the order of the table."""
    rounds = [measured_once(page, opened, options) for _ in range(options.rounds)]
    return {name: statistics.median(result[name] for result in rounds) for name in rounds[0]}


def measured_once(page, opened, options) -> dict[str, float]:
    began = time.monotonic()
    page.goto(f"{opened.address}?trace=0#live")
    page.wait_for_selector("#changes", state="attached")
    result = {"the page of a trace, from its address": 1000 * (time.monotonic() - began)}
    result["the slowest view, drawn"] = viewed(page)
    result["SQL: 20 rows of `op`"] = asked(page, "SELECT name, kind, ne0, ne1 FROM op LIMIT 20")
    result["SQL: attention by layer"] = asked(
        page, "SELECT layer, avg(top_weight) AS top FROM attention_head GROUP BY layer"
    )
    result["values of an operation"] = looked(page, options.address)
    result["a word typed, until its tokens"] = typed(page)
    if options.no_changes:
        return result
    result["a head silenced: the new prediction"], result["… lens and differences too"] = changed(page)
    result["a prompt run: its first token"], result["… eight tokens, and the page of the trace"] = ran(page)
    return result


def columns(options) -> dict[str, dict[str, float]]:
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for model in options.models:
            with tempfile.TemporaryDirectory() as folder:
                trace = pathlib.Path(folder) / "long.db"
                generator = random.Random(options.tokens)
                ids = ",".join(str(generator.choice(IDS)) for _ in range(options.tokens))
                prompt = ["--prompt", options.prompt] if options.prompt else ["--ids", ids]
                quipu("trace", model, *prompt, "--generate", 2, "--capture", options.capture, "--output", trace)
                size = os.path.getsize(trace) / 1e6
                opened = Opened(pathlib.Path(folder) / "state", trace)
                page = browser.new_page()
                page.set_default_timeout(300_000)
                found[f"{pathlib.Path(model).name} ({size:,.0f} MB)"] = measured(page, opened, options)
                page.close()
                opened.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokens", type=int, default=5, help="of the trace's prompt, at random (default: 5)")
    parser.add_argument("--prompt", help="in place of random tokens")
    parser.add_argument("--capture", default="all", help="of the trace (default: all)")
    parser.add_argument("--address", default="l_out-1[0:8]", help="values to look at (default: l_out-1[0:8])")
    parser.add_argument("--no-changes", action="store_true", help="runs nothing: looks at the trace alone")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    options = parser.parse_args()
    found = columns(options)
    print("| milliseconds | " + " | ".join(found) + " |")
    print("|---|" + "---|" * len(found))
    for name in next(iter(found.values())):
        print(f"| {name} | " + " | ".join(f"{result[name]:,.0f}" for result in found.values()) + " |")


if __name__ == "__main__":
    main()
