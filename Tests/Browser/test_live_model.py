"""A model in the live page, without a run: metadata, tokens, tensors of any type, blocks, bytes, as commands say."""

import collections
import json
import re
import struct

import pytest
from conftest import MODEL, ROOT, Opened, address, quipu
from playwright.sync_api import expect

QUANTISED = ROOT / "models/micro-world-qat-q2_k.gguf"
HOSTILE = "blk.0.\u202egnp.</script><b>x</b>\x1b[31m'; rm -rf"


def said(*arguments):
    return json.loads(quipu(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    opened = Opened(tmp_path_factory.mktemp("looked"), QUANTISED)
    yield opened
    opened.close()


def test_nothing_is_run(looked_at, visit):
    assert looked_at.get("traces") == []
    page = visit(looked_at, "")
    assert page.locator("#tabs button").all_inner_texts() == ["Try it", "Model", "A block", "Lessons"]
    assert page.locator("#draw, #changes, #query").count() == 0


def test_the_file_is_what_inspect_says(looked_at, visit):
    page = visit(looked_at, "#model")
    page.wait_for_selector("#file table")
    expected = said("inspect", QUANTISED)
    rows = page.locator("#file tbody tr").all()
    assert [row.locator("td").first.inner_text() for row in rows] == list(expected["metadata"])
    names, texts = (page.locator(f"#file > div > dl {part}").all_inner_texts() for part in ("dt", "dd"))
    shown = dict(zip(names, texts, strict=True))
    assert shown["architecture"] == expected["architecture"] and shown["format"] == expected["file_type"]
    tensors = [row.locator("td").all_inner_texts() for row in page.locator("#tensors tbody tr").all()]
    assert [(t[0], t[1], t[3].replace(",", ""), t[4].replace(",", "")) for t in tensors] == [
        (t["name"], t["type"], str(t["n_bytes"]), str(t["file_offset"])) for t in expected["tensors"]
    ]
    page.locator("#tensors input").fill("ATTN_Q")
    assert page.locator("#tensors tbody tr").count() == sum("attn_q" in t["name"] for t in expected["tensors"])
    page.locator("#file input").fill("block_count")
    assert page.locator("#file tbody td").all_inner_texts() == ["llama.block_count", "4"]


def test_tokens_are_looked_up_both_ways(looked_at, visit):
    page = visit(looked_at, "#model")
    page.fill("#lookup", "Mia has the ball.")
    page.wait_for_selector("#looked tbody tr")
    expected = said("tokenize", QUANTISED, "Mia has the ball.")
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#looked tbody tr").all()]
    assert cells == [
        [str(i), f"‹{p}›", k] for i, p, k in zip(expected["ids"], expected["pieces"], expected["kinds"], strict=True)
    ]
    page.fill("#lookupids", ", ".join(map(str, expected["ids"])))
    page.wait_for_selector("#looked dl")
    text = said("tokenize", QUANTISED, "--ids", expected["ids"])["text"]
    assert page.locator("#looked dd").inner_text() == f"‹{text}›" and "Mia has the ball." in text
    assert page.input_value("#lookup") == ""
    page.fill("#lookupids", "5, x")
    page.wait_for_selector("#looked .warning")
    page.fill("#lookupids", "99999")
    expect(page.locator("#looked")).to_contain_text("ids 0 to 1023")


@pytest.mark.parametrize("model", [QUANTISED, MODEL])
def test_values_are_those_of_the_file(tmp_path, visit, model):
    opened = Opened(tmp_path, model)
    tensors = said("inspect", model)["tensors"]
    page = visit(opened, "#model")
    seen = collections.Counter()
    for index, tensor in enumerate(tensors):
        seen[tensor["type"]] += 1
        if seen[tensor["type"]] > 3:
            continue
        rows, columns = (tensor["shape"] + [1])[1], tensor["shape"][0]
        for row, column in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)}:
            page.goto(f"{opened.address}#model?tensor={index}&row={row}&column={column}")
            expect(page.locator("#window h3").first).to_have_text(tensor["name"])
            expect(page.locator("#chosen")).to_have_text(re.compile(f"^row {row}, column {column}: "))
            value = said("explain", "weight", model, tensor["name"], row, column)["value"]
            shown = float(page.locator("#chosen").inner_text().split(": ")[1])
            assert struct.pack("<f", shown) == struct.pack("<f", value), (tensor["name"], row, column)
            length = opened.get("values", tensor=tensor["name"])["block_elements"]
            block = said("quant", "blocks", model, tensor["name"], "--row", row, "--block", column // length)
            assert shown == block["values"][column % length]
            assert "".join(page.locator("#block .hex span").all_inner_texts()) == block["bytes_hex"]
    opened.close()


def test_a_cell_is_chosen_by_mouse_and_by_keys(looked_at, visit):
    page = visit(looked_at, "#model?tensor=0")
    canvas = page.locator("#window canvas")
    canvas.wait_for()
    canvas.focus()
    for key in ["ArrowDown", "ArrowRight", "ArrowRight", "Enter"]:
        page.keyboard.press(key)
    expect(page.locator("#chosen")).to_have_text(re.compile("^row 1, column 2: "))
    assert "row=1&column=2" in address(page)
    page.get_by_role("button", name="later columns").click()
    expect(page.locator("#chosen")).to_have_text(re.compile("^row 1, column 66: "))
    page.fill("#window #row", "7")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_have_text(re.compile("^row 7, column 66: "))


def gguf(path, architecture, tensors, description):
    """A file of a few tensors of plain types, written by hand."""
    def text(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    keys = [("general.architecture", architecture), ("general.description", description)]
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys:
        out += text(key) + struct.pack("<I", 8) + text(value)
    offset, data = 0, b""
    for name, kind, raw in tensors:
        out += text(name) + struct.pack("<IQIQ", 1, 4, kind, offset)
        data += raw + b"\0" * (-len(raw) % 32)
        offset = len(data)
    path.write_bytes(out + b"\0" * (-len(out) % 32) + data)


def test_names_and_types_of_strangers(tmp_path, visit):
    """A network that Quipu does not run, plain numbers of every type, names that would be markup or turn the text."""
    path = tmp_path / "odd.gguf"
    numbers = [
        ("f32", 0, struct.pack("<4f", 1.5, float("nan"), float("-inf"), 3e38)),
        ("f64", 28, struct.pack("<4d", 0.1, 1, 2, 3)),
        ("i8", 24, struct.pack("<4b", -128, 0, 1, 127)),
        ("i16", 25, struct.pack("<4h", -32768, 0, 1, 2)),
        ("i32", 26, struct.pack("<4i", -2147483648, 0, 1, 2)),
        ("i64", 27, struct.pack("<4q", -(2**53), 0, 1, 2)),
        ("bf16", 30, struct.pack("<4H", 0x3F80, 0x4000, 0, 0x8000)),
        (HOSTILE, 0, struct.pack("<4f", 1, 2, 3, 4)),
    ]
    gguf(path, "strange", numbers, "<img src=x onerror=\"document.title='taken'\"> \u202eevil\u202c \x07")
    opened = Opened(tmp_path, path)
    page = visit(opened, "#model")
    page.wait_for_selector("#tensors tbody tr")
    shown = {}
    for index, (name, _, _) in enumerate(numbers):
        page.goto(f"{opened.address}#model?tensor={index}")
        expect(page.locator("#window h3").first).to_have_text(page.evaluate("x => visible(x)", name))
        page.wait_for_selector("#block > div, #block > p")
        got = opened.get("values", tensor=said("inspect", path)["tensors"][index]["name"])
        shown[name] = got["values"][0]
        first = page.evaluate("x => shownValue(x)", got["values"][0][0])
        assert page.locator("#chosen").inner_text() == f"row 0, column 0: {first}"
    assert shown["f64"] == [0.1, 1, 2, 3] and shown["i8"] == [-128, 0, 1, 127] and shown["i64"] == [-(2**53), 0, 1, 2]
    assert shown["f32"][1:3] == ["nan", "-inf"] and shown["bf16"] == [1, 2, 0, 0] and shown["i32"][0] == -(2**31)
    assert page.title() == "Quipu: odd.gguf"
    assert page.locator("main script, main img, main b:has-text('x')").count() == 0
    text = page.locator("body").inner_text()
    assert not any(character in text for character in "\u202e\x1b\x07") and "\\u202egnp.</script><b>" in text
    page.goto(opened.address + "#live")
    page.wait_for_selector("#run[disabled]")
    assert "strange" in page.locator(".panel").first.inner_text()
    lines = opened.run(prompt="x", generate=1)
    assert "strange" in lines[-1]["error"]
    opened.close()
