"""Changes in the live page: what it says of each is what `trace --from`, `lens` and `diff` say."""

import json
import shlex
import sqlite3
import subprocess

import pytest
from conftest import PROMPT, QUIPU, ROOT, Opened, quipu
from playwright.sync_api import expect


def said(*arguments, check=True):
    return json.loads(quipu(*arguments, "--json", check=check).stdout)


def best(path):
    """The most probable token after the prompt, and its probability."""
    with sqlite3.connect(path) as db:
        return db.execute(
            "SELECT logit.piece, probability FROM logit JOIN pass ON pass.id = pass_id WHERE step = 0 AND rank = 0 "
            "AND lens_layer IS NULL"
        ).fetchone()


def check(page, opened, tmp_path):
    """Runs the command that the page shows, and compares all that the page says with what it makes."""
    page.wait_for_selector("#changed:not(.old) table.lens")
    command = shlex.split(page.locator("#changed p .command").inner_text())
    assert command[:3] == ["quipu", "trace", "--from"]
    same = tmp_path / "same.db"
    done = subprocess.run([QUIPU, *command[1:], "--output", same, "--force"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    piece, probability = best(same)
    cells = page.locator("#changed tbody tr").first.locator("td").all_inner_texts()
    assert cells[1] == f"‹{piece}›" and cells[4] == page.evaluate("p => percent(p)", probability)
    parent, position = command[3], page.evaluate("DATA.passes[0].n_tokens - 1")
    lenses = [said("lens", path, "--positions", position)["positions"][0]["layers"] for path in (parent, same)]
    diff = said("diff", parent, same, check=False)
    rows = [row.locator("td").all_inner_texts() for row in page.locator("table.lens tbody tr").all()]
    assert len(rows) == len(lenses[0])
    for row, was, now in zip(rows, *lenses, strict=True):
        for text, layer in ((row[1], was), (row[2], now)):
            top = layer["top"][0]
            assert text == f"‹{top['piece']}› " + page.evaluate("p => percent(p)", top["probability"])
        nmse = [o["nmse"] for o in diff["ops"]
                if o["step"] == 0 and o["layer"] == now["layer"] and o["role"] == "layer_output"]
        assert row[3] == page.evaluate("x => number(x)", nmse[0] if nmse else None)
    facts = page.locator("#deeper dd").all_inner_texts()
    first = diff["first_divergence"]
    assert facts[0] == f"{first['name']} ({first['kind']})"
    assert facts[1].startswith(page.evaluate("x => number(x)", diff["predictions"][0]["kld"]) + " nats")
    return diff


def test_a_head_a_layer_and_undo(page, opened, tmp_path):
    head = page.get_by_role("button", name="layer 2, head 3")
    head.click()
    assert head.get_attribute("aria-pressed") == "true"
    assert page.locator("#changes code").all_inner_texts() == ["--scale 'kqv_out-2[96:128]=0'"]
    check(page, opened, tmp_path)
    page.get_by_role("button", name="layer 1, all of the feed-forward network").click()
    expect(page.locator("#changes code")).to_have_count(2)
    expect(page.locator("#changed p .command")).to_contain_text("ffn_out-1=0")
    check(page, opened, tmp_path)
    page.get_by_role("button", name="undo change 1").click()
    assert head.get_attribute("aria-pressed") == "false"
    expect(page.locator("#changed p .command")).not_to_contain_text("kqv_out-2")
    check(page, opened, tmp_path)
    page.click("#undoall")
    expect(page.locator("#changes li")).to_have_count(0)
    expect(page.locator("#changed table")).to_have_count(0)


def test_keys_change_too(page):
    page.get_by_role("button", name="layer 0, head 0").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#changes code")).to_have_text("--scale 'kqv_out-0[64:96]=0'")
    page.wait_for_selector("#changed table.lens")


def test_elements_are_set(page, opened, tmp_path):
    page.select_option("#kind", "set")
    page.fill("#free", "kq_soft_max-1[:,:,2]")
    page.fill("#freeset", "0")
    page.click("#add")
    expect(page.locator("#changes code")).to_have_text("--set 'kq_soft_max-1[:,:,2]=0'")
    check(page, opened, tmp_path)


def test_what_cannot_be_changed_is_said(page):
    page.fill("#free", "nothing-9; rm -rf /")
    page.click("#add")
    expect(page.locator(".warning", has_text="nothing-9")).to_be_visible()
    assert page.locator("#changes code").inner_text() == "--scale 'nothing-9; rm -rf /=0'"


def test_a_patch_from_another_prompt(opened, visit, tmp_path):
    other = opened.run(prompt=PROMPT.replace("Mia", "Tom"), generate=2)[-1]["trace"]
    page = visit(opened, "?trace=1#live")
    page.select_option("#kind", "patch")
    page.select_option("select[aria-label=trace]", str(other))
    page.fill("#free", "l_out-1@0")
    page.click("#add")
    assert opened.path(other) in page.locator("#changes code").inner_text()
    check(page, opened, tmp_path)


def test_a_code_of_a_block(tmp_path, visit):
    # A format whose codes can be changed one by one.
    quipu("quantize", ROOT / "models/micro-world-f16.gguf", tmp_path / "q4_0.gguf", "Q4_0")
    opened = Opened(tmp_path, tmp_path / "q4_0.gguf")
    opened.run(prompt=PROMPT, generate=2)
    names = [t["name"] for t in opened.get("inspect")["tensors"]]
    page = visit(opened, f"#model?tensor={names.index('blk.1.ffn_down.weight')}&row=12&column=135")
    page.fill("#codenew", "15")
    page.click("#changecode")
    assert page.locator("#changes code").inner_text() == "--weight blk.1.ffn_down.weight@row=12,block=4,code=7:15"
    check(page, opened, tmp_path)
    opened.close()


@pytest.fixture(scope="module")
def experts(tmp_path_factory):
    opened = Opened(tmp_path_factory.mktemp("experts"), ROOT / "models/micro-world-experts-q8_0.gguf")
    opened.run(prompt=PROMPT, generate=2)
    yield opened
    opened.close()


def test_an_expert_is_not_chosen(experts, visit, tmp_path):
    page = visit(experts)
    with sqlite3.connect(experts.path(1)) as db:
        heaviest = "SELECT layer, expert FROM expert_choice ORDER BY weight DESC LIMIT 1"
        layer, expert = db.execute(heaviest).fetchone()
    page.get_by_role("button", name=f"layer {layer}, expert {expert}", exact=True).click()
    check(page, experts, tmp_path)
    with sqlite3.connect(tmp_path / "same.db") as db:
        how_often = "SELECT count(*) FROM expert_choice WHERE layer = ? AND expert = ?"
        assert db.execute(how_often, (layer, expert)).fetchone() == (0,)
