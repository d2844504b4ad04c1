"""The report in a real browser, with a real mouse and keyboard: at two sizes, light and dark.

Numbers that the page shows are held against the trace, read by sqlite3, and against the model's bytes.
"""

import json
import math
import re
from functools import partial

import pytest
from conftest import MODEL, SCREENS, address, on_every_screen, point, quipu, shows, tip

VIEWS = ["overview", "pass", "picture", "attention", "quantisation", "depth", "roofline", "attribution"]


@on_every_screen
def test_every_view_opens_by_mouse_and_by_key(show, made, screen):
    page = show(made.report)
    for number, view in enumerate(VIEWS, 1):
        for open_it in (partial(page.click, f"#tab-{view}"), partial(page.keyboard.press, str(number))):
            page.keyboard.press("1" if view != "overview" else "2")
            open_it()
            root = page.locator(f"#view-{view}")
            assert root.is_visible() and len(root.inner_text()) > 100
            assert page.locator(f"#tab-{view}").get_attribute("aria-selected") == "true"
        # Nothing sticks out to the right of the window.
        assert page.evaluate("document.documentElement.scrollWidth") <= screen[0], view


@on_every_screen
def test_theme_follows_the_system_and_the_button(show, made, screen):
    page = show(made.report)
    color = "getComputedStyle(document.body).backgroundColor"
    background = lambda: sum(map(int, re.findall(r"\d+", page.evaluate(color))))
    was = background()
    assert (was < 384) == (screen[2] == "dark")
    page.click("#theme")
    assert (background() < 384) != (was < 384)
    page.keyboard.press("t")
    assert background() == was


def test_text_is_readable(show, made):
    """Contrast of text on its panel, by WCAG's formula: 4.5 to 1 at least."""
    page = show(made.report)
    def luminance(color):
        channels = [int(c) / 255 for c in re.findall(r"\d+", color)[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    style = lambda selector, name: page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")
    panel = luminance(style(".panel", "backgroundColor"))
    for selector in ["h2", ".note", ".facts dt", ".facts dd", "#tabs button", "a"]:
        ink = luminance(style(selector, "color"))
        assert (max(ink, panel) + 0.05) / (min(ink, panel) + 0.05) >= 4.5, selector


def test_help_lists_the_keys(show, made):
    page = show(made.report)
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible() and "unfold" in page.locator("#keys").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


# Overview

def test_tokens_show_their_probability(show, made):
    page = show(made.report)
    tokens = made.db.execute("SELECT position, token_id, logprob, rank, source FROM token ORDER BY position").fetchall()
    assert len(tokens) > 20 and page.locator("#view-overview .token[data-position]").count() == len(tokens)
    for position, token, logprob, rank, source in tokens[-6:] + tokens[:2]:
        page.locator(f".token[data-position='{position}']").hover()
        text = tip(page)
        assert f"position {position} · token {token} " in text
        if source == "prompt":
            assert "given in the prompt" in text
        else:
            share = re.search(r"probability (\S+ %)", text)[1]
            assert shows(share, math.exp(logprob), 2 if math.exp(logprob) < 0.1 else 3) and f"rank {rank} " in text


def test_candidates_of_a_chosen_token(show, made):
    page = show(made.report)
    position = made.one("SELECT first_position + n_tokens FROM pass WHERE step = 1")
    page.locator(f".token[data-position='{position}']").click()
    rows = made.db.execute(
        "SELECT token_id, logit, probability FROM logit JOIN pass ON pass.id = pass_id "
        "WHERE step = 1 AND lens_layer IS NULL ORDER BY rank LIMIT 10").fetchall()
    cells = page.locator(".candidates tbody tr")
    assert cells.count() == 10
    for row, (token, logit, probability) in enumerate(rows):
        texts = cells.nth(row).locator("td").all_inner_texts()
        assert texts[1] == str(token) and shows(texts[3], logit)
        assert shows(texts[4], probability, 2 if probability < 0.1 else 3)
    page.keyboard.press("ArrowLeft")
    assert f"position={position - 1}" in address(page)


# The pass

def stat(page, name):
    return page.locator(f".details [data-stat='{name}']").inner_text().strip()


def chosen(page):
    """The chosen row. Read its text with text_content(): a row that just scrolled into view is drawn in the next frame,
    and inner_text() is empty until then (content-visibility)."""
    return page.locator(".oprow[aria-current]")


def test_arrows_step_unfold_and_fold(show, made):
    page = show(made.report, "#pass?step=0&seq=0")
    assert chosen(page).count() == 1 and chosen(page).get_attribute("data-seq") == "0"
    page.keyboard.press("ArrowDown")
    assert "layer 0" in chosen(page).text_content()
    folded = page.locator(".oprow").count()
    page.keyboard.press("ArrowRight")
    in_layer = made.one("SELECT count(*) FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND layer = 0")
    assert page.locator(".oprow").count() == folded + in_layer - 1
    names = [row[0] for row in made.db.execute(
        "SELECT op.name FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 ORDER BY seq")]
    for seq in range(1, in_layer + 1):
        assert chosen(page).get_attribute("data-seq") == str(seq)
        assert chosen(page).locator("b").text_content() == names[seq]
        assert page.locator(".details h2").inner_text().startswith(names[seq])
        assert chosen(page).is_visible() and f"seq={seq}" in address(page)
        page.keyboard.press("ArrowDown")
    assert "layer 1" in chosen(page).text_content()
    for seq in range(in_layer, 0, -1):
        page.keyboard.press("ArrowUp")
        assert chosen(page).get_attribute("data-seq") == str(seq)
    page.keyboard.press("ArrowLeft")
    assert page.locator(".oprow").count() == folded and "layer 0" in chosen(page).text_content()
    page.keyboard.press("]")
    assert page.evaluate("selection.step") == 1 and page.locator(".oprow").count() == folded


def test_a_row_opens_by_mouse_or_finger(show, made, screen):
    page = show(made.report, "#pass?step=0&seq=0")
    twist = page.locator(".oprow.fold .twist").nth(2)
    row = lambda: page.locator(".oprow", has_text="ffn_swiglu-2")
    twist.tap() if screen[0] < 500 else twist.click()
    row().tap() if screen[0] < 500 else row().click()
    assert page.locator(".details h2").inner_text().startswith("ffn_swiglu-2")
    page.mouse.move(5, 5)
    row().hover()
    assert "ffn_swiglu-2 (SWIGLU)" in tip(page)


@pytest.mark.parametrize("screen", SCREENS[:1], indirect=True, ids=["1280x800-light"])
def test_every_number_of_every_operation(show, made):
    """All operations of the prompt's pass, and of the last one; numbers do not depend on size and theme."""
    page = show(made.report)
    columns = "rms mean std min max zeros n ns flops bytes_read bytes_written".split()
    views = ("VIEW", "RESHAPE", "PERMUTE")
    for step in (0, made.one("SELECT max(step) FROM pass")):
        rows = made.db.execute(f"SELECT seq, name, op.kind, {', '.join('op.' + c for c in columns)} FROM op "
                               "JOIN pass ON pass.id = pass_id WHERE step = ? ORDER BY seq", (step,)).fetchall()
        assert len(rows) > 140
        # In one go: a question to the browser takes longer than drawing.
        shown = page.evaluate("""([step, seqs]) => seqs.map(seq => {
            Object.assign(selection, {view: "pass", step, seq});
            render();
            const cells = [...document.querySelectorAll("[data-stat]")];
            const stats = cells.map(cell => [cell.dataset.stat, cell.innerText.trim()]);
            const sources = [...document.querySelector(".details .links").querySelectorAll("li")];
            return [Object.fromEntries(stats), sources.map(source => source.innerText)];
        })""", [step, [row[0] for row in rows]])
        for (seq, name, kind, *values), (texts, listed) in zip(rows, shown, strict=True):
            v = dict(zip(columns, values, strict=True))
            for key in ("rms", "mean", "std", "min", "max"):
                assert shows(texts[key], v[key]), (name, key, texts[key], v[key])
            assert shows(texts["time"], v["ns"] / 1e9, 3) and shows(texts["arithmetic"], v["flops"], 3)
            assert shows(texts["bytes read"], v["bytes_read"], 3), (name, texts["bytes read"], v["bytes_read"])
            assert shows(texts["bytes written"], v["bytes_written"], 3)
            assert texts["zeros"] == f"{v['zeros']:,}" or kind in views
            sources = made.db.execute(
                "SELECT i.name FROM op_input AS i JOIN op ON op.id = i.op_id JOIN pass ON pass.id = op.pass_id "
                "WHERE step = ? AND op.seq = ? ORDER BY slot", (step, seq)).fetchall()
            assert len(listed) == len(sources)
            for text, (source,) in zip(listed, sources, strict=True):
                assert text.startswith(source), (name, text, source)


def test_heat_map_shows_recorded_values(show, made):
    page = show(made.report)
    for name, kind in [("ffn_swiglu-1", None), ("Qcur-2", "ROPE"), ("l_out-1", None)]:
        seq = made.one("SELECT seq FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND op.name = ? "
                       "AND op.kind = coalesce(?, op.kind)", name, kind)
        page.evaluate(f"go({{view: 'pass', step: 0, seq: {seq}}})")
        canvas = page.locator(".details canvas.heat")
        shape, values = made.floats(name, kind)
        cells = json.loads(canvas.get_attribute("data-cells"))
        width = shape[0] * shape[1] if kind == "ROPE" else shape[0]
        rows = len(values) // width
        assert cells["rows"] == min(rows, 48) and cells["columns"] <= width
        for row, column in [(0, 0), (cells["rows"] - 1, cells["columns"] - 1), (3, 7), (5, 1)]:
            point(page, canvas, row, column)
            first, last = column * width // cells["columns"], (column + 1) * width // cells["columns"]
            part = values[row * width + first:row * width + last]
            extreme = max(part, key=abs)
            text = tip(page)
            # Pictures are kept in half precision (a relative 2^-11, or 2^-24 of the largest) and shown to three digits.
            shown = float(text.split("\n")[1].removeprefix("largest: "))
            digit = 10.0 ** (math.floor(math.log10(abs(extreme))) - 2)
            assert abs(shown - extreme) <= 0.5 * digit + abs(extreme) * 2**-11 + 2**-24 * max(map(abs, values)), text
            assert f"element {first}" in text and name in text


def test_links_lead_to_other_views_and_back(show, made):
    page = show(made.report, "#pass?step=0&seq=3")
    page.locator(".details .links a", has_text="blk.0.attn_q.weight").click()
    assert page.locator("#view-quantisation h2", has_text="blk.0.attn_q.weight").is_visible()
    page.locator("#view-quantisation dd a", has_text="Qcur-0").click()
    assert page.locator(".details h2").inner_text().startswith("Qcur-0")
    page.go_back()
    assert page.locator("#view-quantisation").is_visible()
    page.go_back()
    assert page.locator("#view-pass").is_visible()


# Attention

def test_heads_and_sinks(show, made):
    page = show(made.report, "#attention?layer=1&head=0&position=9")
    canvas = page.locator("canvas.heat").first
    for layer, head in [(0, 0), (3, 7), (2, 5), (1, 3)]:
        point(page, canvas, layer, head)
        kv, entropy, top, weight, sink = made.one(
            "SELECT kv_head, entropy_bits, top_position, top_weight, sink_weight FROM attention_head "
            "WHERE layer = ? AND head = ? AND position = 9", layer, head)
        text = tip(page)
        assert f"layer {layer}, head {head} (KV head {kv})" in text
        found = re.search(r"looks most at ‹(.*)›: (\S+ %)\nentropy (\S+) bits, first token (\S+ %)", text)
        assert found[1] == made.one("SELECT piece FROM token WHERE position = ?", top)
        assert shows(found[2], weight, 3 if weight >= 0.1 else 2) and shows(found[3], entropy)
        assert shows(found[4], sink, 3 if sink >= 0.1 else 2)
    x, y = point(page, canvas, 3, 6)
    page.mouse.click(x, y)
    assert "layer=3&head=6" in address(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(".")
    assert "layer=2&head=5&position=10" in address(page)


def test_links_and_pattern_are_the_recorded_weights(show, made):
    page = show(made.report, "#attention?layer=2&head=3&position=9")
    (keys, queries, _), values = made.floats("kq_soft_max-2")
    weight = lambda query, key: values[(3 * queries + query) * keys + key]
    # The page keeps weights in steps of 1/65534, and shows three digits, or two below a tenth.
    def near(percent, value):
        digit = 10.0 ** (math.floor(math.log10(max(value, 1e-9))) - (2 if value >= 0.0999 else 1))
        return abs(float(percent) / 100 - value) <= 1 / 131068 + 0.5 * digit + 1e-6
    for key in [0, 4, 9]:
        page.locator(f"#links .token[data-position='{key}']").hover()
        assert near(re.search(r": (\S+) %$", tip(page))[1], weight(9, key))
    page.locator("#links .token[data-position='12']").hover()
    assert "masked" in tip(page)
    # While the pointer is on a token, the colours and the line below are that token's.
    readout = lambda: page.locator("#headreadout").inner_text()
    assert "from " + made.one("SELECT '‹' || piece || '›' FROM token WHERE position = 12") in readout()
    assert near(100 * float(page.locator("#links .token[data-position='4']").evaluate(
        "e => e.style.getPropertyValue('--peek')")), weight(12, 4))
    page.mouse.move(2, 2)
    assert "from " + made.one("SELECT '‹' || piece || '›' FROM token WHERE position = 9") in readout()
    assert page.locator("#links .peeking").count() == 0
    canvas = page.locator("canvas.heat").nth(1)
    for query, key in [(9, 4), (5, 0), (11, 11)]:
        point(page, canvas, query, key)
        assert near(re.search(r": (\S+) %", tip(page))[1], weight(query, key))


def test_the_group_map_counts_the_cache(show, made):
    page = show(made.report, "#attention?layer=0&head=0&position=3")
    text = page.locator(".panel", has_text="Grouped-query attention").inner_text()
    size, mha, mqa = made.one("SELECT sum(bytes), sum(mha_bytes), sum(mqa_bytes) FROM kv_cache JOIN pass "
                              "ON pass.id = pass_id WHERE step = (SELECT max(step) FROM pass)")
    assert f"= {size:,} bytes" in text
    rows = page.locator(".panel", has_text="Grouped-query attention").locator("tbody tr")
    for row, expected in enumerate([size, mha, mqa]):
        assert shows(rows.nth(row).locator("td").nth(2).inner_text(), expected, 3)
    colors = [c.get_attribute("fill") for c in page.query_selector_all(".qhead circle")]
    groups = [row[0] for row in made.db.execute("SELECT kv_head FROM gqa_map WHERE layer = 0 ORDER BY head")]
    assert len(set(zip(colors, groups, strict=True))) == len(set(groups)) == len(set(colors))


# Quantisation

def test_errors_are_the_recorded_ones(show, made):
    page = show(made.report, "#quantisation?weight=0&format=0&block=0")
    formats = page.locator("#view-quantisation select").first.locator("option").all_inner_texts()
    assert sorted(formats) == ["Q4_0", "Q4_K", "Q8_0"]
    roles = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
    for format in formats:
        page.locator("#view-quantisation select").first.select_option(label=format)
        for layer, role in [(0, 0), (3, 6), (2, 3)]:
            point(page, page.locator("canvas.heat").first, layer, role)
            name = f"blk.{layer}.{roles[role]}.weight"
            relative, sqnr, rmse, largest = made.one(
                "SELECT rel_rmse, sqnr_db, rmse, max_abs FROM quant_error AS e JOIN weight ON weight.id = weight_id "
                "WHERE name = ? AND e.type = ?", name, format)
            found = re.search(r"relative error (\S+ %), SQNR (\S+) dB\nrmse (\S+), largest (\S+)", tip(page))
            assert name in tip(page) and shows(found[1], relative, 3 if relative >= 0.1 else 2)
            assert shows(found[2], sqnr) and shows(found[3], rmse) and shows(found[4], largest)


def test_from_layer_to_the_codes_of_a_block(show, made):
    page = show(made.report, "#quantisation?weight=0&format=0&block=0")
    x, y = point(page, page.locator("canvas.heat").first, 2, 5)
    page.mouse.click(x, y)
    name = "blk.2.ffn_up.weight"
    assert page.locator("#view-quantisation h2", has_text=name).is_visible()
    page.locator(".block button", has_text="largest scale").click()
    row, block = map(int, re.search(r"Row (\d+), block (\d+)", page.locator(".block").inner_text()).groups())
    # The same weights in the same format, as `quantize` writes them, taken apart by `quant blocks`.
    other = made.trace.parent / "q4_0.gguf"
    if not other.exists():
        quipu("quantize", MODEL, other, "Q4_0")
    told = json.loads(quipu("quant", "blocks", other, name, "--row", row, "--block", block, "--json").stdout)
    spans = page.locator(".hex span")
    assert "".join(spans.all_inner_texts()) == told["bytes_hex"]
    codes = page.locator(".codes span")
    assert [int(text) for text in codes.all_inner_texts()] == told["codes"]
    for index in [0, 7, 31]:
        codes.nth(index).hover()
        found = re.search(r"code (-?\d+) → (\S+)", tip(page))
        assert int(found[1]) == told["codes"][index] and shows(found[2], told["values"][index])
    spans.nth(0).hover()
    assert "scale" in tip(page)


def test_bytes_of_a_quantised_file_are_the_files(show, real, screen):
    page = show(real.report, "#quantisation?weight=0&format=0&block=0")
    name = "blk.7.ffn_down.weight"
    offset = real.one("SELECT file_offset FROM weight WHERE name = ?", name)
    page.evaluate(f"go({{weight: WEIGHTS.name.indexOf('{name}'), block: 1}})")
    row, block = map(int, re.search(r"Row (\d+), block (\d+)", page.locator(".block").inner_text()).groups())
    shown = bytes.fromhex("".join(page.locator(".hex span").all_inner_texts()))
    start = offset + (row * (1536 // 32) + block) * 20
    assert len(shown) == 20 and real.model.read_bytes()[start:start + 20] == shown
    assert f"from byte {start:,} of the file" in page.locator(".block").inner_text()


# Depth and roofline

def test_sizes_over_depth(show, made):
    page = show(made.report, "#depth")
    panel = page.locator(".panel", has_text="Size over depth")
    dots = panel.locator(".dot")
    assert dots.count() == 12
    for layer in range(4):
        dots.nth(layer).hover()
        rms = made.one(
            "SELECT rms FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND op.name = ?", f"l_out-{layer}")
        assert shows(tip(page).split("rms ")[1], rms)


def test_roofline_marks(show, made):
    page = show(made.report, "#roofline?step=0")
    for name in ["ffn_up-2", "result_output", "kq-1"]:
        seq, ns, flops, moved = made.one("SELECT seq, ns, flops, bytes_read + bytes_written FROM op JOIN pass "
                                         "ON pass.id = pass_id WHERE step = 0 AND op.name = ?", name)
        mark = page.locator(f".mark[data-seq='{seq}']")
        # Marks may cover each other: this one to the front.
        mark.evaluate("e => e.parentNode.append(e)")
        mark.hover()
        found = re.search(r"(\S+) flop/byte, (\S+) Gflop/s, (\S+) GB/s", tip(page))
        assert name in tip(page) and shows(found[1], flops / moved, 3)
        assert shows(found[2], flops / ns, 3) and shows(found[3], moved / ns, 3)
    mark.click()
    assert page.locator(".details h2").inner_text().startswith("kq-1")


# The whole

def test_a_real_model_in_five_megabytes(show, real, screen):
    assert real.one("SELECT count(*) FROM token") == 32
    assert real.report.stat().st_size < 5_000_000
    page = show(real.report)
    for view in VIEWS:
        page.click(f"#tab-{view}")
        assert len(page.locator(f"#view-{view}").inner_text()) > 100
        assert page.evaluate("document.documentElement.scrollWidth") <= screen[0], view
    page.click("#tab-overview")
    about = page.locator(".panel", has_text="About this page").inner_text()
    assert "Operations are kept of 16 of the 27 passes" in about and "largest magnitude" in about
    page.goto(real.report.as_uri() + "#pass?step=0&seq=400")
    rms = real.one("SELECT op.rms FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND seq = 400")
    page.reload()
    assert shows(stat(page, "rms"), rms)


def test_paper(show, made):
    """Printed, all views follow each other in the light theme; afterwards the page is as it was."""
    page = show(made.report)
    pages = len(re.findall(rb"/Type\s*/Page[^s]", page.pdf()))
    assert 6 <= pages <= 40
    assert page.locator("#view-overview").is_visible() and page.locator("main .view").count() == 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main h1").all_inner_texts() == [
        "Overview", "The pass", "In pictures", "Attention", "Quantisation", "Errors and lens", "Roofline",
        "Attribution"]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main .view").count() == 1


def test_the_lens_is_that_of_the_command(show, made):
    page = show(made.report, "#depth")
    prompt = made.one("SELECT n_tokens FROM pass WHERE step = 0")
    told = json.loads(quipu("lens", made.trace, "--positions", prompt - 1, "--top", 5, "--json").stdout)
    readings = told["positions"][0]["layers"]
    rows = page.locator(".lens tbody tr")
    assert rows.count() == len(readings) == 5
    for row, reading in enumerate(readings):
        guesses = rows.nth(row).locator(".guess")
        assert guesses.all_inner_texts() == [f"‹{candidate['piece']}›" for candidate in reading["top"]]
        guesses.nth(0).hover()
        found = re.search(r"probability (\S+ %), logit (\S+)", tip(page))
        probability, logit = reading["top"][0]["probability"], reading["top"][0]["logit"]
        assert shows(found[1], probability, 3 if probability >= 0.1 else 2) and shows(found[2], logit)


def test_the_attribution_is_that_of_the_command(show, made):
    """Both tokens and their difference: the logit, layers, and a head where the page says it."""
    page = show(made.report, "#attribution")
    (best, _), (second, _) = made.db.execute(
        "SELECT token_id, piece FROM logit JOIN pass ON pass.id = pass_id WHERE step = 0 AND lens_layer IS NULL "
        "ORDER BY rank LIMIT 2").fetchall()
    explain = lambda *more: json.loads(quipu("explain", "logit", made.trace, "--token-id", *more, "--json").stdout)
    told = [explain(best), explain(second)]
    for chosen in range(3):
        page.locator("#view-attribution select").select_option(str(chosen))
        logit = told[chosen]["logit"] if chosen < 2 else told[0]["logit"] - told[1]["logit"]
        assert shows(page.locator("#view-attribution .facts dd").first.inner_text(), logit)
        rows = page.locator(".attributed tbody tr")
        assert rows.count() == len(told[0]["layers"])
        for row in range(rows.count()):
            layers = [one["layers"][row]["feed_forward"] for one in told]
            expected = layers[chosen] if chosen < 2 else layers[0] - layers[1]
            assert shows(rows.nth(row).locator("td").nth(3).inner_text(), expected)
    page.locator("#view-attribution select").select_option("0")
    page.locator("#view-attribution canvas").focus()
    page.keyboard.press("ArrowRight")
    head = next(part for part in told[0]["parts"] if part["layer"] == 0 and part["head"] == 1)
    found = re.search(r"layer 0, head 1: (\S+)", tip(page))
    assert shows(found[1], head["value"])


def test_experts_are_shown(show, tmp_path):
    """A model with experts has a view more, which draws."""
    trace, report = tmp_path / "experts.db", tmp_path / "experts.html"
    model = MODEL.parent.parent / "Tests/Fixtures/tiny-mixtral.gguf"
    quipu("trace", model, "--prompt", "Once upon a time", "--output", trace)
    quipu("report", trace, "--output", report)
    page = show(report, "#experts")
    assert "Which token went where" in page.locator("#view-experts").inner_text()
    assert page.locator("#view-experts canvas").count() == 1


def test_error_propagation_is_the_recorded_one(show, propagated):
    page = show(propagated.report, "#depth")
    panel = page.locator(".panel", has_text="Error propagation")
    dots = panel.locator(".dot")
    assert dots.count() == 12
    dots.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    for cause, layer in ((cause, layer) for cause in ("both", "weights", "activations") for layer in range(4)):
        sqnr, rmse = propagated.one(
            "SELECT sqnr_db, e.rmse FROM op_error AS e JOIN op ON op.id = op_id "
            "WHERE mode = 'accumulated' AND cause = ? AND op.name = ?", cause, f"l_out-{layer}")
        found = re.search(r"l_out-(\d), (\w+), accumulated: (\S+) dB\nrmse ([^,]+),", tip(page))
        assert found[1] == str(layer) and found[2] == cause and shows(found[3], sqnr) and shows(found[4], rmse)
        page.keyboard.press("ArrowRight")
