"""Lessons in the live page: the steps, the verdicts and the progress of `quipu lesson`."""

import json
import os
import subprocess

import pytest
from conftest import QUIPU, Opened
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    opened = Opened(tmp_path_factory.mktemp("taught"))
    yield opened
    opened.close()


def terminal(opened, *arguments):
    """What `quipu lesson` says in a terminal, of the same learner."""
    done = subprocess.run(
        [QUIPU, "lesson", *arguments, "--json"], capture_output=True, text=True,
        env=os.environ | {"XDG_STATE_HOME": str(opened.state)},
    )
    return json.loads(done.stdout)


def test_a_question_is_answered_and_the_terminal_knows(taught, visit):
    page = visit(taught, "#lessons")
    expected = terminal(taught, "list")["lessons"]
    expect(page.locator("#lessonlist tbody tr")).to_have_count(len(expected))
    page.get_by_role("button", name="open lesson 1:").click()
    page.wait_for_selector("#steptitle")
    assert "What is in a GGUF file, 1 of 6" in page.locator("#steptitle").inner_text()
    assert "quipu inspect" in page.locator("#lessonstep .command").all_inner_texts()
    page.click("#next")
    page.wait_for_selector("#check")
    # The terminal is at the same step.
    assert terminal(taught, "start")["step"] == 2
    page.fill("#answer", "16")
    page.click("#check")
    expect(page.locator("#verdict")).to_have_text("No.")
    page.click("#hint")
    expect(page.locator("#lessonsaid")).to_contain_text("Hint 1 of")
    facts = taught.get("inspect")
    page.fill("#answer", f"{facts['size_bytes']}*8/{facts['n_params']}")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_have_text("Right.")
    solved = next(lesson for lesson in terminal(taught, "list")["lessons"] if lesson["number"] == 1)
    assert solved["solved"] == 1 and solved["hints"] == 1
    expect(page.locator("#lessonlist tbody tr").nth(1)).to_contain_text(f"1 of {solved['questions']}")


def test_a_choice_with_a_number(taught, visit):
    page = visit(taught, "#lessons")
    page.get_by_role("button", name="open lesson 1:").click()
    page.wait_for_selector("#steptitle")
    while page.locator("input[name=choice]").count() == 0:
        before = page.locator("#steptitle").inner_text()
        page.click("#next")
        expect(page.locator("#steptitle")).not_to_have_text(before)
    tensors = taught.get("inspect")["tensors"]
    size = {t["name"]: t["n_bytes"] for t in tensors}
    offered = page.locator("label:has(input[name=choice])")
    names = [text.split(") ")[1].strip() for text in offered.all_inner_texts()]
    largest = max(tensors, key=lambda t: t["n_bytes"])
    offered.nth(max(range(len(names)), key=lambda i: size[names[i]])).locator("input").check()
    page.fill("#answer", f"100*{largest['n_bytes']}/{sum(t['n_bytes'] for t in tensors)}")
    page.click("#check")
    expect(page.locator("#verdict")).to_have_text("Right.")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"do": "check", "answer": "/etc/passwd"}, 422),
        ({"do": "check", "answer": "x.py"}, 422),
        ({"do": "start", "lesson": "--course=/tmp"}, 400),
        ({"do": "start", "lesson": "nothing"}, 422),
        ({"do": "reset"}, 400),
        ({"do": "lint"}, 400),
        ({}, 400),
    ],
)
def test_what_is_not_done(taught, body, status):
    assert taught.ask(taught.base + "lesson", "POST", json.dumps(body), Content_Type="application/json")[0] == status


def test_a_get_changes_nothing(taught):
    assert taught.ask(taught.base + "lesson?do=next")[0] == 400


def test_what_a_step_shows_is_drawn(taught, visit):
    page = visit(taught, "#lessons")
    page.get_by_role("button", name="open lesson 13:").click()
    page.wait_for_selector("#steptitle")
    seen = set()
    while seen != {"show", "sql"}:
        step = terminal(taught, "start")
        commands = [p["command"] for p in step["passages"] + step["after"] if p["kind"] == "command"]
        for index, command in enumerate(commands):
            kind = command.split()[1]
            if kind not in ("show", "sql"):
                continue
            told = taught.get("lessonpicture", command=index)
            images = page.locator(".stepimage")
            if kind == "show":
                cells = json.loads(images.locator("canvas").first.get_attribute("data-cells"))
                assert cells["rows"] * cells["columns"] == len(told["values"])
            else:
                expect(images.locator("tbody").last.locator("tr")).to_have_count(len(told["rows"]))
            seen.add(kind)
        if step["step"] == step["steps"]:
            break
        page.click("#next")
        expect(page.locator("#steptitle")).not_to_contain_text(f", {step['step']} of")
    assert "show" in seen
    assert taught.ask(f"{taught.base}lessonpicture?command=99")[0] == 422
