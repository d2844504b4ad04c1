"""The live page of `quipu open`: what it runs and shows is what the commands say; nobody else is answered."""

import http.client
import json
import os
import sqlite3
import subprocess

import pytest
from conftest import MODEL, PROMPT, QUIPU, Opened, quipu

HOSTILE = "<script>document.title='taken'</script><b>Mia</b> has the ball."


def generated(path):
    with sqlite3.connect(path) as db:
        return "".join(
            row[0] for row in db.execute("SELECT piece FROM token WHERE source = 'generated' ORDER BY position")
        )


def test_a_prompt_is_run_as_trace_runs_it(page, opened, tmp_path):
    page.fill("#prompt", "Tom has the blue ball. Who has the ball?")
    page.fill("#generate", "5")
    page.locator("#typed .token").nth(11).wait_for()
    page.click("#run")
    page.wait_for_url("**/?trace=*")
    page.wait_for_selector("#prompt")
    assert page.locator("#prompt").input_value() == "Tom has the blue ball. Who has the ball?"
    made = opened.get("traces")[-1]
    quipu("trace", MODEL, "--prompt", made["prompt"], "--generate", 5, "--output", tmp_path / "same.db")
    assert made["text"] == generated(tmp_path / "same.db") != ""


def test_tokens_come_one_by_one_with_their_rivals(opened):
    lines = opened.run(prompt=PROMPT, generate=12)
    tokens = [token for line in lines for token in line.get("tokens", [])]
    path = opened.path(lines[-1]["trace"])
    with sqlite3.connect(path) as db:
        assert [t["piece"] for t in tokens] == [
            row[0] for row in db.execute("SELECT piece FROM token ORDER BY position")
        ]
        rivals = db.execute(
            "SELECT logit.piece, probability FROM logit JOIN pass ON pass.id = pass_id "
            "WHERE step = 0 AND lens_layer IS NULL "
            "ORDER BY rank LIMIT 5"
        ).fetchall()
    first = next(t for t in tokens if t["source"] == "generated")
    assert [(r["piece"], r["probability"]) for r in first["rivals"]] == rivals


def test_questions_are_answered_as_commands_answer(page, opened):
    page.fill("#query", "SELECT count(*) AS n, 'a<b' AS text FROM op")
    page.click("#ask")
    page.wait_for_selector("#rows table")
    with sqlite3.connect(opened.path(page.evaluate("LIVE.current"))) as db:
        count = db.execute("SELECT count(*) FROM op").fetchone()[0]
    assert page.locator("#rows td").all_inner_texts() == [str(count), "a<b"]
    page.fill("#query", "DELETE FROM op")
    page.click("#ask")
    page.wait_for_selector("#rows .warning")
    page.fill("#address", "kq_soft_max-1[:,0,0]")
    page.click("#look")
    page.wait_for_selector("#values dl")
    shown = json.loads(
        quipu("show", opened.path(page.evaluate("LIVE.current")), "kq_soft_max-1[:,0,0]", "--json").stdout
    )
    assert page.locator("#values dd").nth(1).inner_text() == page.evaluate("x => number(x)", shown["rms"])


def test_what_the_prompt_is_evaluated_again_for_comes_when_looked_at(page, opened):
    """The page does not wait for lens and attribution; then they are those of the commands."""
    assert page.evaluate("DATA.lens === undefined && DATA.attribution === undefined && pending !== null")
    page.evaluate("go({view: 'attribution'})")
    page.locator("#view-attribution select").wait_for()
    trace = opened.path(page.evaluate("LIVE.current"))
    best = page.evaluate("DATA.passes[0].logits.token_id[0]")
    told = json.loads(quipu("explain", "logit", trace, "--token-id", best, "--json").stdout)
    shown = page.locator("#view-attribution .facts dd").first.inner_text()
    assert shown == page.evaluate("x => number(x)", told["logit"])
    page.evaluate("go({view: 'depth'})")
    position = page.evaluate("DATA.lens.position[0]")
    lens = json.loads(quipu("lens", trace, "--positions", position, "--json").stdout)["positions"][0]["layers"]
    guesses = page.locator(".lens tbody tr td:nth-child(2)").all_inner_texts()
    assert guesses == [f"‹{layer['top'][0]['piece']}›" for layer in lens]
    assert page.evaluate("pending") is None


def test_a_lens_that_does_not_come_says_why(page, opened):
    page.route("**/replay?*", lambda route: route.fulfill(status=422, json={"error": "the model was moved"}))
    page.evaluate("go({view: 'depth'})")
    page.get_by_role("status").filter(has_text="the model was moved").wait_for()


def test_text_of_a_prompt_is_text(page, opened):
    trace = opened.run(prompt=HOSTILE, generate=2)[-1]["trace"]
    page.goto(f"{opened.address}?trace={trace}#live")
    page.wait_for_selector("#prompt")
    assert page.locator("#prompt").input_value() == HOSTILE
    assert page.title() != "taken" and page.locator("main script, main b:has-text('Mia')").count() == 0


def test_the_draw_is_what_the_sampler_draws_among(page):
    page.fill("#temperature", "0")
    assert page.locator("#draw tbody tr").first.locator("td").nth(3).inner_text().startswith("100 %")
    page.fill("#temperature", "1.5")
    page.fill("#topk", "2")
    page.fill("#topp", "1")
    shares = [float(t.split()[0]) for t in page.locator("#draw tbody tr td:nth-child(4)").all_inner_texts()]
    assert shares[2:] == [0] * 8


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://example.org"}, 403),
        ({"Host": "example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_other_pages_are_refused(opened, headers, status):
    found, text = opened.ask(opened.base + "traces", **headers)
    assert found == status and (status == 200 or "[" not in text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 403),
        ("/traces", 403),
        ("/" + "0" * 32 + "/traces", 403),
        ("BASE", 200),
        ("BASEnothing", 404),
        ("BASE../../etc/passwd", 404),
        ("BASEsql?trace=0", 404),
        ("BASEsql?trace=1", 400),
        ("BASEshow?trace=999&name=kq-0", 404),
        ("BASEshow?trace=1&name=%2D-help", 422),
        ("BASEtraces?x=" + "y" * 20000, 414),
        ("BASEsql?trace=-1&query=x", 400),
        ("BASEsql?=&&=x&trace=1", 400),
        ("BASEvalues?tensor=nothing", 422),
        ("BASEvalues?tensor=output_norm.weight&row=1", 422),
        ("BASEvalues?tensor=output_norm.weight&row=-1", 400),
        ("BASEtokens?ids=1,99999", 422),
        ("BASEtokens?ids=--help", 422),
    ],
)
def test_addresses(opened, path, status):
    assert opened.ask(path.replace("BASE", opened.base))[0] == status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{}", {"Content_Type": "text/plain"}, 415),
        ("x", {"Content_Type": "application/json"}, 400),
        (json.dumps({"prompt": "x" * 70000}), {"Content_Type": "application/json"}, 413),
        (json.dumps({"from": 99}), {"Content_Type": "application/json"}, 404),
        (
            json.dumps({"from": 1, "changes": [{"kind": "output", "target": "/tmp/x", "spec": ""}]}),
            {"Content_Type": "application/json"},
            400,
        ),
    ],
)
def test_runs_that_are_refused(opened, body, headers, status):
    assert opened.ask(opened.base + "run", "POST", body, **headers)[0] == status


def test_a_run_that_fails_says_why(opened):
    lines = opened.run(**{"from": 1, "changes": [{"kind": "scale", "target": "nothing-9", "spec": "0"}]})
    assert "nothing-9" in lines[-1]["error"]


def test_scripts_of_others_do_not_run(opened):
    connection = http.client.HTTPConnection("127.0.0.1", opened.port)
    connection.request("GET", opened.base)
    policy = connection.getresponse().getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'nonce-" in policy and "unsafe-eval" not in policy


def test_work_is_found_again(tmp_path):
    first = Opened(tmp_path, MODEL)
    made = first.run(prompt="Tom is at the lake.", generate=3)[-1]["trace"]
    first.process.kill()
    first.process.wait()
    second = Opened(tmp_path, MODEL)
    assert [t["prompt"] for t in second.get("traces") if t["id"] == made] == ["Tom is at the lake."]
    assert second.base != first.base
    second.close()


def test_a_trace_is_opened_too(made, tmp_path):
    opened = Opened(tmp_path, made.trace)
    assert [t["prompt"] for t in opened.get("traces")] == [PROMPT]
    assert opened.get("show", trace=0, name="result_norm[0:3,0]")["n"] == 3
    opened.close()


@pytest.mark.parametrize(("file", "words"), [("missing.gguf", "no such file"), (__file__, "found")])
def test_what_cannot_be_opened(file, words, tmp_path):
    done = subprocess.run(
        [QUIPU, "open", file, "--no-browser"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1 and words in done.stderr and not list(tmp_path.iterdir())
