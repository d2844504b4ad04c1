"""A block as an instrument: what the page's script encodes is what `quantize` writes, to the bit."""

import json
import math
import random
import struct

import pytest
from conftest import MODEL, PROMPT, Opened, quipu
from playwright.sync_api import expect

FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
TENSORS = ["blk.0.attn_q.weight", "blk.2.ffn_up.weight", "blk.3.ffn_down.weight"]


def singles(numbers):
    """As F32 has them: JSON has as many digits as tell them apart, and no sign of a zero."""
    return [x + 0 for x in struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers))]


def said(*arguments):
    return json.loads(quipu(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    opened = Opened(tmp_path_factory.mktemp("played"), MODEL)
    opened.run(prompt=PROMPT, generate=2)
    yield opened
    opened.close()


@pytest.mark.parametrize("format", FORMATS)
def test_codes_are_those_that_quantize_writes(played, visit, format, tmp_path):
    file = tmp_path / "quantised.gguf"
    quipu("quantize", MODEL, file, format)
    page, chance = visit(played), random.Random(format)
    for _ in range(8):
        tensor, row, block = chance.choice(TENSORS), chance.randrange(64), chance.randrange(8)
        weights = played.get("values", tensor=tensor, row=row, offset=32 * block, count=32)["values"][0]
        expected = said("quant", "blocks", file, tensor, "--row", row, "--block", block, "--reference", MODEL)
        assert expected["type"] == format and expected["reference_values"] == weights
        made = page.evaluate("([name, weights]) => encodeBlock(name, weights)", [format, weights])
        assert made["codes"] == expected["codes"]
        assert singles(made["values"]) == singles(expected["values"])
        assert singles([made["d"], made["m"]]) == singles([expected["scale"], expected["min"] or 0])


def gguf_of(rows, path):
    """A file of one F32 matrix, written by hand."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    out += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    out += text("llama.block_count") + struct.pack("<II", 4, 1)
    out += text("blk.0.ffn_up.weight") + struct.pack("<IQQIQ", 2, 32, len(rows), 0, 0)
    path.write_bytes(out + b"\0" * (-len(out) % 32) + b"".join(struct.pack("<32f", *row) for row in rows))


@pytest.mark.parametrize("format", FORMATS)
def test_odd_blocks(played, visit, format, tmp_path):
    """Zeros, outliers, one sign, halves, numbers that half precision flushes or rounds up."""
    chance = random.Random(1)
    rows = [
        [0.0] * 32, [1.0] * 32, [-3.0] * 32, [i / 2 for i in range(-16, 16)], [1e-9 * i for i in range(32)],
        [100.0] + [0.01 * i for i in range(31)], [-100.0] + [0.01 * i for i in range(31)], [5.0, -5.0] * 16,
        [127.0] + [i + 0.5 for i in range(31)], *([chance.gauss(0, 10 ** chance.uniform(-6, 3)) for _ in range(32)]
                                                 for _ in range(23)),
    ]
    rows = [singles(row) for row in rows]
    plain, file = tmp_path / "plain.gguf", tmp_path / "quantised.gguf"
    gguf_of(rows, plain)
    quipu("quantize", plain, file, format)
    page = visit(played)
    for number, row in enumerate(rows):
        expected = said("quant", "blocks", file, "blk.0.ffn_up.weight", "--row", number)
        made = page.evaluate("([name, weights]) => encodeBlock(name, weights)", [format, row])
        assert expected["type"] == format and made["codes"] == expected["codes"], row
        assert singles(made["values"]) == singles(expected["values"]), row
        assert singles([made["d"]]) == singles([expected["scale"]]), row


def test_the_textbook(played, visit):
    """Integers with a zero point, by the formulas of Jacob et al. (2018) in Python."""
    page, chance = visit(played), random.Random(2)
    for name, low, high in [("INT8 with zero point", -128, 127), ("INT4 with zero point", -8, 7)]:
        for _ in range(50):
            weights = singles([chance.gauss(chance.choice([0, 2]), 1) for _ in range(32)])
            scale = (max(0, *weights) - min(0, *weights)) / (high - low)
            zero = round(low - min(0, *weights) / scale)
            made = page.evaluate("([name, weights]) => encodeBlock(name, weights)", [name, weights])
            assert math.isclose(made["d"], scale, rel_tol=1e-7) and made["m"] == zero
            assert made["zero"] == 0
            for weight, code, value in zip(weights, made["codes"], made["values"], strict=True):
                assert low <= code <= high and math.isclose(value, (code - zero) * scale, rel_tol=1e-6, abs_tol=1e-12)
                # No other code is nearer, but by the rounding of the scale.
                assert abs(value - weight) <= scale * 0.5001 or code in (low, high)


def test_what_is_moved_is_drawn(played, visit):
    names = [t["name"] for t in played.get("inspect")["tensors"]]
    page = visit(played, f"#instrument?tensor={names.index('blk.1.ffn_down.weight')}&row=3&column=70")
    expect(page.locator("#playcodes")).to_be_visible()
    weights = played.get("values", tensor="blk.1.ffn_down.weight", row=3, offset=64, count=32)["values"][0]
    made = page.evaluate("w => encodeBlock('Q4_0', w)", weights)
    assert page.locator("#playcodes").inner_text() == " ".join(map(str, made["codes"]))
    rms = math.sqrt(sum((a - b) ** 2 for a, b in zip(made["values"], weights, strict=True)) / 32)
    assert page.locator("#playrms").inner_text() == page.evaluate("x => number(x, 6)", rms)
    # The row's product: what the trace has, and that with the block's weights changed.
    path, position = played.path(1), page.evaluate("DATA.passes[0].n_tokens - 1")
    inputs = said("show", path, f"ffn_swiglu-1[64:96,{position}]")["values"]
    output = said("show", path, f"ffn_out-1[3,{position}]")["values"][0]
    new = output + sum((b - a) * x for a, b, x in zip(weights, made["values"], inputs, strict=True))
    shown = page.locator("#playproduct").inner_text()
    assert shown == page.evaluate(
        "([a, b]) => `${number(a, 6)} in the trace, ${number(b, 6)} with this block`", [output, new])
    # By keys: the weight goes up, the codes with it.
    before = page.locator("#playcodes").inner_text()
    page.locator("#played .grip[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    for _ in range(20):
        page.keyboard.press("ArrowUp")
    assert page.input_value("#playat") == "1" and page.locator("#playcodes").inner_text() != before
    page.click("#playreset")
    assert page.locator("#playcodes").inner_text() == before
    # By mouse.
    box = page.locator("#played .grip").nth(5).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"], box["y"] - 80, steps=4)
    page.mouse.up()
    assert page.input_value("#playat") == "5" and page.locator("#playcodes").inner_text() != before
    page.click("#playreset")
    # A scale twice as large: half the codes.
    page.fill("#playscale", "2")
    doubled = [int(c) for c in page.locator("#playcodes").inner_text().split()]
    assert max(abs(c - 8) for c in doubled) <= 4
    page.select_option("#playformat", "INT8 with zero point")
    made = page.evaluate("w => encodeBlock('INT8 with zero point', w)", weights)
    assert page.locator("#playcodes").inner_text() == " ".join(map(str, made["codes"]))
    page.fill("#playshift", "3")
    shifted = page.evaluate("w => encodeBlock('INT8 with zero point', w, 1, 3)", weights)
    assert shifted["m"] == made["m"] + 3
    assert page.locator("#playcodes").inner_text() == " ".join(map(str, shifted["codes"]))
