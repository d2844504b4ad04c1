"""The pass as a picture: what each layer shows is what the trace has, and the walk is that of `quipu step`."""

import os
import re
import subprocess

import pytest
from conftest import QUIPU, ROOT, Made, Opened, address, shows
from playwright.sync_api import expect

VIEWS = ["VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"]


@pytest.fixture(scope="session")
def experts(tmp_path_factory):
    model = ROOT / "models/micro-world-experts-q8_0.gguf"
    return Made(tmp_path_factory.mktemp("experts"), model, "Mia has the red ball.", 2, None)


def operations(made, layer, step=0):
    """(seq, name, kind, shape) of a layer's operations."""
    rows = made.db.execute(
        "SELECT seq, op.name, op.kind, ne0, ne1, ne2, ne3 FROM op JOIN pass ON pass.id = pass_id "
        "WHERE step = ? AND layer IS ? ORDER BY seq",
        (step, layer),
    ).fetchall()
    return [(seq, name, kind, shape) for seq, name, kind, *shape in rows]


def cards(page):
    return {
        int(card.get_attribute("data-seq")): (card.locator("b").inner_text(), card.locator(".shape").inner_text())
        for card in page.locator(".stage .card").all()
    }


@pytest.mark.parametrize("layer", [0, 2])
def test_a_layer_has_a_card_for_each_operation(show, made, experts, layer):
    for trace in [made, experts]:
        wanted = operations(trace, layer)
        page = show(trace.report, f"#picture?step=0&seq={wanted[0][0]}")
        shown = cards(page)
        for seq, name, kind, shape in wanted:
            if kind in VIEWS:
                assert seq not in shown
                continue
            while len(shape) > 1 and shape[-1] == 1:
                shape.pop()
            assert shown.pop(seq) == (name, " × ".join(map(str, shape)))
        # What is left is the residual stream that comes in.
        assert len(shown) == 1 and next(iter(shown)) < wanted[0][0]


def test_keys_walk_through_operations_layers_and_passes(show, made):
    first, second = operations(made, 0), operations(made, 1)
    page = show(made.report, f"#picture?step=0&seq={first[0][0]}")
    for seq, name, kind, _ in first[1:]:
        page.keyboard.press("ArrowRight")
        assert f"seq={seq}" in address(page)
        assert page.locator("#operation b").inner_text().split("#")[0] == name
        current = page.locator(".stage .card[aria-current]")
        # A view names values of another operation; a cache is none of them.
        if kind not in VIEWS:
            assert current.get_attribute("data-seq") == str(seq)
    page.keyboard.press("ArrowDown")
    assert f"seq={second[0][0]}" in address(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert f"seq={first[0][0] - 1}" in address(page)
    page.keyboard.press("]")
    assert "step=0" not in address(page)
    page.keyboard.press("Enter")
    assert "#pass?" in address(page)


def test_heads_stand_with_the_kv_head_they_read(show, made):
    page = show(made.report, f"#picture?step=0&seq={operations(made, 1)[0][0]}")
    for kv, group in enumerate(page.locator(".group").all()):
        heads = [int(text) for text in group.locator(".head span").all_inner_texts()]
        assert heads == [row[0] for row in made.db.execute(
            "SELECT DISTINCT head FROM attention_head WHERE layer = 1 AND kv_head = ? ORDER BY head", (kv,))]
    assert page.locator(".group").count() == made.one("SELECT count(DISTINCT kv_head) FROM attention_head")
    page.locator(".head").nth(3).click()
    assert "#attention?layer=1&head=3" in address(page)


def test_chosen_experts_are_lit(show, experts):
    layer = experts.one("SELECT max(layer) FROM expert_choice JOIN pass ON pass.id = pass_id WHERE step = 0") - 1
    page = show(experts.report, f"#picture?step=0&seq={operations(experts, layer)[0][0]}")
    rows = page.locator(".experts > div").all()
    assert len(rows) == experts.one("SELECT n_tokens FROM pass WHERE step = 0")
    for position, row in enumerate(rows):
        lit = [i for i, lamp in enumerate(row.locator("i").all()) if lamp.get_attribute("class") == "lit"]
        assert lit == [found[0] for found in experts.db.execute(
            "SELECT expert FROM expert_choice WHERE layer = ? AND position = ? ORDER BY expert", (layer, position))]


def test_it_begins_with_the_words_and_ends_with_the_next(show, made):
    page = show(made.report, "#picture?step=0&seq=0")
    assert page.locator(".stage .tokens .token").all_inner_texts() == [
        row[0] for row in made.db.execute("SELECT piece FROM token WHERE source = 'prompt' ORDER BY position")]
    page.locator(".strip button", has_text="next word").click()
    rivals = made.db.execute(
        "SELECT piece, probability FROM logit JOIN pass ON pass.id = pass_id "
        "WHERE step = 0 AND lens_layer IS NULL ORDER BY rank LIMIT 5").fetchall()
    for row, (piece, probability) in zip(page.locator(".rivals > div").all(), rivals, strict=True):
        texts = row.locator("> span").all_inner_texts()
        assert texts[0] == f"‹{piece}›" and shows(texts[-1], probability, 3 if probability >= 0.1 else 2)


def test_the_walk_is_that_of_the_terminal(made, visit, tmp_path):
    opened = Opened(tmp_path, made.trace)
    page = visit(opened, "#picture?step=0&seq=20")
    with page.expect_response("**/position"):
        page.keyboard.press("ArrowRight")
    assert opened.get("position", trace=0)["position"] == {"step": 0, "seq": 21}
    stepped = subprocess.run(
        [QUIPU, "step", str(made.trace)],
        input="n\n",
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )
    name = made.one("SELECT op.name FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND seq = 22")
    assert name in stepped.stdout
    # Another tab, or the same one when someone comes back to it.
    there = re.compile("seq=22$")
    expect(visit(opened, "#picture")).to_have_url(there)
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page).to_have_url(there)
    opened.close()
