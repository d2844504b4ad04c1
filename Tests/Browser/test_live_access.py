"""The live page for everyone: axe finds nothing serious in any view, in dark and light, on a desk and on a phone."""

import importlib.resources

import pytest
from conftest import ROOT, Opened, on_every_screen

AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text()


def faults(page):
    """What axe calls serious or critical, once the page has been drawn."""
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    page.evaluate(AXE)
    return page.evaluate(
        "axe.run(document).then(found => found.violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, v.nodes.map(n => n.html.slice(0, 160))]))"
    )


def check(page, width):
    for tab in page.locator("#tabs button").all():
        tab.click()
        page.wait_for_load_state("networkidle")
        assert faults(page) == [], tab.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab.inner_text()


@on_every_screen
def test_every_view_of_a_trace(opened, visit, screen):
    width, height, theme = screen
    page = visit(opened, "", width, height, theme)
    page.wait_for_selector("#run")
    check(page, width)


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    opened = Opened(tmp_path_factory.mktemp("experts"), ROOT / "models/micro-world-experts-q8_0.gguf")
    opened.run(prompt="Mia has the red ball.", generate=2)
    yield opened
    opened.close()


@on_every_screen
def test_every_view_of_experts(experts, visit, screen):
    width, height, theme = screen
    page = visit(experts, "", width, height, theme)
    page.wait_for_selector("#run")
    check(page, width)
