"""The report without a mouse: where the focus is, and what keys do there."""

import json
import re

from conftest import tip


def focused(page, expression):
    return page.evaluate(f"(e => {expression})(document.activeElement)")


def test_a_choice_keeps_the_focus(show, made):
    """The view is drawn anew under the hand of who chooses; the next key must find the same control."""
    page = show(made.report, "#quantisation?weight=0&format=0&block=0")
    page.locator("#view-quantisation select").first.focus()
    for format in (1, 2):
        page.keyboard.press("ArrowDown")
        assert focused(page, "e.tagName") == "SELECT" and page.evaluate("selection.format") == format
    page.locator(".block button", has_text="median scale").focus()
    page.keyboard.press("Enter")
    assert focused(page, "e.textContent") == "median scale" and focused(page, "e.ariaPressed") == "true"


def test_enter_follows_what_has_the_focus(show, made):
    """In the pass, Enter folds the chosen layer, but not from a link or a tab."""
    seq = made.one("SELECT seq FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND op.name = 'ffn_out-1'")
    page = show(made.report, f"#pass?step=0&seq={seq}")
    page.locator(".details .links a", has_text="blk.1.ffn_down.weight").focus()
    page.keyboard.press("Enter")
    assert page.locator("#view-quantisation h2", has_text="blk.1.ffn_down.weight").is_visible()
    page.go_back()
    page.locator("#tab-attention").focus()
    page.keyboard.press("Enter")
    assert page.locator("#view-attention").is_visible() and focused(page, "e.id") == "tab-attention"


def test_arrows_move_through_codes_and_marks(show, made):
    page = show(made.report, "#quantisation?weight=0&format=0&block=0")
    page.locator(".codes span").first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    weight = 2 + 16
    assert focused(page, "e.dataset.code") == str(weight) and f"weight {weight} of the block" in tip(page)
    # One stop of Tab for all of them.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert focused(page, "e.dataset.code") == str(weight)

    page.goto(made.report.as_uri() + "#roofline?step=0")
    page.reload()
    page.locator(".mark").first.focus()
    page.keyboard.press("ArrowRight")
    seq = int(focused(page, "e.dataset.seq"))
    name, ns, flops = made.one("SELECT op.name, ns, flops FROM op JOIN pass ON pass.id = pass_id "
                               "WHERE step = 0 AND seq = ?", seq)
    speed = float(re.search(r"(\S+) Gflop/s", tip(page))[1])
    assert tip(page).startswith(name) and abs(speed / (flops / ns) - 1) < 0.01
    page.keyboard.press("Enter")
    assert page.evaluate("[selection.view, selection.seq]") == ["pass", seq]


def test_arrows_move_in_a_heat_map(show, made):
    page = show(made.report, "#quantisation?weight=0&format=0&block=0")
    canvas = page.locator("canvas.heat").first
    canvas.focus()
    rows = json.loads(canvas.get_attribute("data-cells"))["rows"]
    for _ in range(rows + 2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    relative = made.one("SELECT rel_rmse FROM quant_error AS e JOIN weight ON weight.id = weight_id "
                        "WHERE name = 'blk.3.attn_k.weight' AND e.type = ?",
                        page.locator("#view-quantisation select").first.locator("option").first.inner_text())
    assert "blk.3.attn_k.weight" in tip(page)
    assert abs(float(re.search(r"relative error (\S+) %", tip(page))[1]) / (100 * relative) - 1) < 0.05
    page.keyboard.press("Enter")
    assert page.locator("#view-quantisation h2", has_text="blk.3.attn_k.weight").is_visible()
    assert focused(page, "e.tagName") == "CANVAS"
