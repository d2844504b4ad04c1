"""Several runs on a page: what it says is what `quipu diff` says."""

import json

import pytest
from conftest import MODEL, PROMPT, Made, address, quipu, shows


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("against")
    for type in ["Q4_0", "Q8_0"]:
        quipu("quantize", MODEL, folder / f"{type}.gguf", type)
        quipu("trace", folder / f"{type}.gguf", "--prompt", PROMPT, "--generate", 6, "--output", folder / f"{type}.db")
    made = Made(folder, MODEL, PROMPT, 6, None)
    made.others = [folder / "Q4_0.db", folder / "Q8_0.db"]
    against = [word for other in made.others for word in ("--against", other)]
    quipu("report", made.trace, "--force", *against, "--output", made.report)
    made.told = [json.loads(quipu("diff", made.trace, other, "--json", check=False).stdout) for other in made.others]
    return made


def rows(page, panel):
    return [
        row.locator("td").all_inner_texts()
        for row in page.locator(".panel", has_text=panel).first.locator("tbody tr").all()
    ]


def test_where_they_part(show, compared):
    page = show(compared.report, "#against")
    assert page.locator("#tabs [aria-selected=true]").inner_text() == "Several runs"
    found = rows(page, "Where they part")
    for row, other, told in zip(found, compared.others, compared.told, strict=True):
        first = told["first_divergence"]
        assert row[:2] == [other.name, other.with_suffix(".gguf").name]
        assert row[2] == str(told["steps"]) if told["same_tokens"] else True
        assert row[3] == f"{first['name']}, pass {first['step']}"
        assert row[4] == f"{told['flips']} of {len(told['predictions'])}"
    page.locator("a", has_text=", pass ").first.click()
    assert f"#pass?step={compared.told[0]['first_divergence']['step']}" in address(page)


def test_the_stream_layer_by_layer(show, compared):
    page = show(compared.report, "#against")
    dots = page.locator(".chart .dot")
    expected = [
        (other.name, op)
        for other, told in zip(compared.others, compared.told, strict=True)
        for op in told["ops"]
        if op["step"] == 0 and op["role"] == "layer_output"
    ]
    assert dots.count() == len(expected)
    for index, (name, op) in enumerate(expected):
        dots.nth(index).hover()
        title, numbers = page.locator("#tip").inner_text().split("\n")
        assert title == f"{name}, {op['name']}"
        assert shows(numbers.split(" ")[1].rstrip(","), op["nmse"])


def test_what_each_expects(show, compared):
    page = show(compared.report, "#against")
    found = rows(page, "What each expects")
    for column, told in enumerate(compared.told):
        for row, prediction in zip(found, told["predictions"], strict=False):
            for side, text in [("a", row[1]), ("b", row[2 + 2 * column])]:
                assert text.startswith(f"‹{prediction[side]['piece']}›")
                probability = prediction[side]["probability"]
                assert shows(text.split("› ")[1], probability, 3 if probability >= 0.1 else 2)
            assert shows(row[3 + 2 * column], prediction["kld"])
    flipped = sum(p["flipped"] for told in compared.told for p in told["predictions"])
    assert page.locator(".outlook .warning").count() == flipped


def test_the_furthest_operations_of_the_chosen_run(show, compared):
    page = show(compared.report, "#against")
    for index, told in enumerate(compared.told):
        page.locator("select[aria-label=run]").select_option(str(index))
        ops = [op for op in told["ops"] if op["step"] == 0 and op["nmse"]]
        worst = sorted((op["nmse"] for op in ops), reverse=True)[:12]
        # Some differ by as much: which of them comes first is nobody's business.
        for row, nmse in zip(rows(page, "The operations that differ most"), worst, strict=True):
            assert shows(row[1], nmse)
            own = [op for op in ops if op["name"] == row[0]]
            assert any(shows(row[1], op["nmse"]) and shows(row[3], op["max_abs"]) for op in own)


def test_one_other_run(show, compared, tmp_path):
    quipu("report", compared.trace, "--against", compared.trace, "--output", tmp_path / "same.html")
    page = show(tmp_path / "same.html", "#against")
    assert page.locator("#tabs [aria-selected=true]").inner_text() == "Two runs"
    assert rows(page, "Where the two part")[0][3] == "none"
    assert page.get_by_text("The streams are the same").is_visible()
