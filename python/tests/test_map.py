"""Many prompts at once, here and on a cluster of which a worker dies."""

import contextlib
import json
import os
import pathlib
import shlex
import sqlite3

import pytest
from conftest import MODEL

import quipu

PROMPTS = [
    {"prompt": "Mia has the red ball. Who has the ball?", "group": "who"},
    {"prompt": "Tom is at the lake. Where is Tom?", "group": "where"},
    "Eva has the blue cup. Who has the cup?",
    {"prompt": "Dan is in the park. Where is Dan?", "group": "where"},
    {"ids": [1, 403, 407], "metric": "#5 - #6"},
]
OPTIONS = {"generate": 3, "capture": "stats", "metric": "' Mia' - ' Tom'"}
RUNS = "SELECT id, prompt, prompt_group, metric, metric_value, complete FROM run ORDER BY id"
TOKENS = "SELECT run_id, position, token_id, logprob, rank FROM token ORDER BY run_id, position"
VALUES = (
    "SELECT run_id, step, seq, name, rms, min, max FROM op JOIN pass ON pass.id = pass_id ORDER BY run_id, step, seq"
)


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [database.execute(query).fetchall() for query in (RUNS, TOKENS, VALUES)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the program by itself makes of all prompts."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "p.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    document = quipu.run("trace", MODEL, prompts=folder / "p.jsonl", output=folder / "alone.db", **OPTIONS)
    return rows(folder / "alone.db"), document


def program_that(path, first, program):
    """A program that does something the first time that it is called for a trace."""
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = trace ] && mkdir {shlex.quote(str(path) + ".once")} 2>/dev/null; then {first}; fi\n'
        f'exec {shlex.quote(str(program))} "$@"\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_what_the_program_makes_of_all(tmp_path, alone, workers):
    seen = []
    with quipu.map(
        PROMPTS,
        MODEL,
        output=tmp_path / "all.db",
        batch=2,
        workers=workers,
        progress=lambda *done: seen.append(done),
        **OPTIONS,
    ) as trace:
        runs = trace.result["runs"]
    assert rows(tmp_path / "all.db") == alone[0]
    assert [one["run"] for one in runs] == [1, 2, 3, 4, 5] == [one["line"] for one in runs]
    for key in ("generated_ids", "metric_value", "group", "top"):
        assert [one[key] for one in runs] == [one[key] for one in alone[1]["runs"]]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert os.listdir(tmp_path) == ["all.db"]


def test_a_temporary_trace_goes_when_it_is_closed():
    trace = quipu.map(["Mia has the red ball."], MODEL, capture="none")
    path = pathlib.Path(trace.path)
    assert path.exists() and len(trace.runs) == 1
    trace.close()
    assert not path.parent.exists()


def test_a_program_that_dies_is_tried_again(tmp_path, program, alone):
    dies = program_that(tmp_path / "dies", "kill -9 $$", program)
    quipu.map(PROMPTS, MODEL, output=tmp_path / "all.db", batch=2, program=dies, **OPTIONS).close()
    assert rows(tmp_path / "all.db") == alone[0]
    assert (tmp_path / "dies.once").exists()
    dies = program_that(tmp_path / "dies2", "kill -9 $$", program)
    with pytest.raises(quipu.ProgramError, match="SIGKILL"):
        quipu.map(PROMPTS, MODEL, output=tmp_path / "b.db", retries=0, program=dies, **OPTIONS)
    assert not (tmp_path / "b.db").exists()


def test_what_was_finished_is_not_done_again(tmp_path, program, alone):
    """The third batch is refused by a program; the same call with a sound one goes on."""
    counts = tmp_path / "counts"
    fails = tmp_path / "fails"
    fails.write_text(
        f'#!/bin/sh\nif [ "$1" = trace ]; then echo x >> {counts}; '
        f'if [ $(wc -l < {counts}) -ge 3 ]; then exit 9; fi; fi\nexec {shlex.quote(str(program))} "$@"\n'
    )
    fails.chmod(0o755)
    call = {"output": tmp_path / "all.db", "batch": 2, "retries": 0, "program": fails, **OPTIONS}
    with pytest.raises(quipu.ProgramError):
        quipu.map(PROMPTS, MODEL, **call)
    done = sorted((tmp_path / "all.db.parts").glob("*.db"))
    assert len(done) == 2 and not (tmp_path / "all.db").exists()
    counts.write_text("")
    quipu.map(PROMPTS, MODEL, **call).close()
    assert counts.read_text() == "x\n"
    assert rows(tmp_path / "all.db") == alone[0] and not (tmp_path / "all.db.parts").exists()


def test_what_cannot_be_run_is_said(tmp_path):
    for prompts, options, words in [
        ([], {}, "no prompts"),
        (["a"], {"batch": 0}, "batch and workers"),
        (["a"], {"prompt": "b"}, "prompt is no option"),
        (["a"], {"from_": "b.db"}, "from_ is no option"),
    ]:
        with pytest.raises(quipu.QuipuError, match=words):
            quipu.map(prompts, MODEL, **options)
    bad = ["Mia", "Tom", {"prompt": "Eva", "grup": "x"}]
    with pytest.raises(quipu.ProgramError, match=r"prompts\[2\]: found the key \"grup\""):
        quipu.map(bad, MODEL, output=tmp_path / "all.db", batch=2)
    (tmp_path / "there.db").write_text("")
    with pytest.raises(quipu.QuipuError, match="force=True"):
        quipu.map(["a"], MODEL, output=tmp_path / "there.db")
    quipu.map(["a"], MODEL, output=tmp_path / "there.db", force=True, capture="none").close()


def test_a_cluster_whose_worker_dies(tmp_path, program, alone):
    distributed = pytest.importorskip("distributed")
    # The program ends the worker that called it, as a machine that loses its power does.
    dies = program_that(tmp_path / "dies", "kill -9 $PPID; sleep 1; exit 7", program)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = {info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()}
        quipu.map(PROMPTS, MODEL, output=tmp_path / "all.db", cluster=client, batch=2, program=dies, **OPTIONS).close()
        after = {info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()}
        assert before - after
        assert rows(tmp_path / "all.db") == alone[0]
        # Input that is refused is refused at once, with the program's words.
        with pytest.raises(quipu.ProgramError, match=r"prompts\[1\]: found the key"):
            quipu.map(["Mia", {"prompt": "Eva", "grup": "x"}], MODEL, cluster=client, program=program)
        # A cluster or an address will do.
        quipu.map(["Mia has"], MODEL, cluster=cluster, capture="none").close()
        quipu.map(["Mia has"], MODEL, cluster=cluster.scheduler_address, capture="none").close()
