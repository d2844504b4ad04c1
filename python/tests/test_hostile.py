"""Files from strangers: opened read-only, checked before they are believed, refused in words."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

import pytest
from conftest import HEARS_CTRL_C, MODEL, wait_for_rows

import quipu


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"once upon a time", "a file of another kind"),
        (b"GGUF" + bytes(40), "a GGUF model"),
        (b"SQLite format 3\0" + bytes(100), "cut off or damaged"),
    ],
)
def test_files_that_are_no_trace(tmp_path, content, found):
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    with pytest.raises(quipu.TraceError, match=found) as caught:
        quipu.open(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["bad.db"]


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(quipu.TraceError, match="there is no such trace"):
        quipu.open(tmp_path / "nowhere.db")
    with pytest.raises(quipu.TraceError, match="found a directory"):
        quipu.open(tmp_path)
    with pytest.raises(quipu.TraceError):
        quipu.open("a\0b")


def test_odd_names_are_names(recorded, tmp_path):
    # In a URI these would be a query, a fragment, an escape.
    for name in ("a?mode=rwc.db", "a#b.db", "100%25.db", "ü ä.db"):
        path = tmp_path / name
        path.write_bytes(recorded.read_bytes())
        with quipu.open(path) as trace:
            assert trace["embd"].shape == (18, 256)
    assert len(os.listdir(tmp_path)) == 4


def test_another_database(tmp_path):
    path = tmp_path / "other.db"
    sqlite3.connect(path).execute("CREATE TABLE run (id)")
    with pytest.raises(quipu.TraceError, match=r"without the tables of a trace \(model, token"):
        quipu.open(path)


def test_a_newer_schema(changed):
    with pytest.raises(quipu.TraceError, match="schema version 999, this package reads up to"):
        quipu.open(changed("PRAGMA user_version = 999"))


def test_the_schema_is_the_programs(trace):
    from quipu._file import SCHEMA_VERSION

    assert trace._file.version == SCHEMA_VERSION


@pytest.mark.parametrize("length", [100, 4096, 8192, 10_000, 0.5, 0.9])
def test_truncated(recorded, tmp_path, length):
    whole = recorded.read_bytes()
    path = tmp_path / "cut.db"
    path.write_bytes(whole[: int(length * len(whole)) if length < 1 else length])
    with pytest.raises(quipu.TraceError), quipu.open(path) as trace:
        for name in trace.ops()["name"]:
            trace[name]


def test_scribbled(recorded, tmp_path):
    """Bytes overwritten all over: an error in words or an array, never anything else."""
    whole = bytearray(recorded.read_bytes())
    refused = 0
    for seed in range(40):
        copy = bytearray(whole)
        for k in range(64):
            copy[(seed * 7919 + k * 104729 + 100) % len(copy)] = (seed + k * 37) % 256
        path = tmp_path / "scribbled.db"
        path.write_bytes(copy)
        try:
            with quipu.open(path) as trace:
                for name in trace.ops()["name"]:
                    with contextlib.suppress(quipu.TraceError):
                        trace[name]
                assert repr(trace) and len(trace.tokens) >= 0
        except quipu.TraceError:
            refused += 1
    assert refused > 0


def op_id(name):
    return (
        f"(SELECT op.id FROM op JOIN pass ON pass.id = pass_id WHERE step = 0 AND name = '{name}' ORDER BY seq LIMIT 1)"
    )


def of_graph(name):
    return f"WHERE graph_id = (SELECT graph_id FROM pass WHERE step = 0) AND name = '{name}'"


TENSOR = f"WHERE op_id = {op_id('kq-1')}"


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE tensor SET n_elements = n_elements + 1 {TENSOR}",
        f"UPDATE tensor SET n_elements = 9000000000000000000 {TENSOR}",
        f"UPDATE tensor SET n_elements = 0 {TENSOR}",
        f"UPDATE tensor SET n_elements = -5 {TENSOR}",
        f"UPDATE tensor SET first_element = 1 {TENSOR}",
        f"UPDATE tensor SET first_element = -1 {TENSOR}",
        f"UPDATE tensor SET run_length = 0, run_stride = 1 {TENSOR}",
        f"UPDATE tensor SET run_length = 1, run_stride = 9000000000000000000 {TENSOR}",
        f"UPDATE tensor SET run_length = 1, run_stride = -1 {TENSOR}",
        f"UPDATE tensor SET run_length = 1, run_stride = NULL {TENSOR}",
        f"UPDATE tensor SET data = substr(data, 2) {TENSOR}",
        f"UPDATE tensor SET dtype = 'f16' {TENSOR}",
        f"UPDATE graph_op SET ne0 = 1000000000000 {of_graph('kq-1')}",
        f"UPDATE graph_op SET ne0 = 1099511627776, ne1 = 1099511627776 {of_graph('kq-1')}",
        f"UPDATE graph_op SET ne0 = 20000 {of_graph('kq-1')} -- 20000 x 18 x 8 of which 2592 are held",
        f"UPDATE graph_op SET ne0 = 0 {of_graph('kq-1')}",
        f"UPDATE graph_op SET ne0 = -18 {of_graph('kq-1')}",
    ],
)
def test_tensors_that_cannot_be(changed, change):
    with quipu.open(changed(change)) as trace:
        if "20000" in change:
            assert trace["kq-1"].size == 20000 * 18 * 8  # mostly missing, and affordable
            return
        began = time.monotonic()
        with pytest.raises(quipu.TraceError, match="damaged"):
            trace["kq-1"]
        assert time.monotonic() - began < 2
        assert trace["kq-2"].shape == (8, 18, 18)


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE graph_op SET params = \'{"offset":4,"nb1":128,"nb2":1024,"nb3":18432}\'',
        'UPDATE graph_op SET params = \'{"offset":-4,"nb1":128,"nb2":1024,"nb3":18432}\'',
        'UPDATE graph_op SET params = \'{"offset":0,"nb1":128,"nb2":1025,"nb3":18432}\'',
        'UPDATE graph_op SET params = \'{"offset":0,"nb1":-128,"nb2":1024,"nb3":18432}\'',
        'UPDATE graph_op SET params = \'{"offset":0,"nb1":1e300,"nb2":1024,"nb3":18432}\'',
        "UPDATE graph_op SET params = '{}'",
        "UPDATE graph_op SET params = '[1]'",
        "UPDATE graph_op SET params = 'null'",
        "UPDATE graph_op SET params = 'no JSON'",
        "UPDATE graph_op SET ne2 = 19",
        "UPDATE graph_op SET kind = 'PERMUTE', params = '{\"axes\":[0,0,0,0]}'",
        "UPDATE graph_op SET kind = 'PERMUTE', params = '{\"axes\":[0,1,2,9]}'",
        "UPDATE graph_op SET kind = 'PERMUTE', params = '{\"axes\":7}'",
        "UPDATE graph_op SET kind = 'RESHAPE', ne0 = 33",
        "UPDATE graph_op SET kind = 'SET_ROWS'",
        "UPDATE graph_input SET source_seq = seq",
        "UPDATE graph_input SET source_seq = seq + 1",
        "DELETE FROM graph_input",
    ],
)
def test_views_that_cannot_be(changed, change):
    table = "graph_input" if "graph_input" in change else "graph_op"
    seq = f"(SELECT seq FROM graph_op {of_graph('Qcur-1 (view)')})"
    where = of_graph("Qcur-1 (view)") if table == "graph_op" else (
        f"WHERE graph_id = (SELECT graph_id FROM pass WHERE step = 0) AND seq = {seq}"
    )  # fmt: skip
    path = changed(f"{change} {where}")
    with quipu.open(path) as trace:
        for name in ("Qcur-1 (view)", "Qcur-1 (view) (permuted)"):
            with pytest.raises(quipu.TraceError, match="damaged"):
                trace[name]
    # The program reads the same file, and does not crash either.
    for name in ("Qcur-1 (view)", "Qcur-1 (view) (permuted)"):
        with pytest.raises(quipu.ProgramError) as caught:
            quipu.show(path, name)
        assert caught.value.status == 1, caught.value


def test_a_view_that_is_no_view_of_values_can_be_looked_at(changed):
    """What views a stranger's file has is not executed when it is opened, and can be interrupted when it is asked."""
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id FROM n"
    path = changed("DROP VIEW v_layer", f"CREATE VIEW v_layer AS {endless}")
    script = f"""
import quipu
trace = quipu.open({str(path)!r})
print("open", flush=True)
trace.sql("SELECT count(*) FROM v_layer")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    time.sleep(0.3)
    process.send_signal(2)
    _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE tensor; CREATE VIEW tensor AS SELECT 1 AS op_id, zeroblob(1000000000) AS data",
        "DROP TABLE token; CREATE VIEW token AS SELECT 1 AS run_id",
        "CREATE VIRTUAL TABLE evil USING fts5(x)",
    ],
)
def test_tables_that_are_none(changed, change):
    try:
        path = changed(*change.split("; "))
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite cannot make the file: {error}")
    with pytest.raises(quipu.TraceError, match="no plain table"):
        quipu.open(path)


def test_nothing_is_written(recorded, tmp_path):
    path = tmp_path / "trace.db"
    path.write_bytes(recorded.read_bytes())
    path.chmod(0o444)
    before = path.stat()
    with quipu.open(path) as trace:
        trace.layers()
        trace["kq-1"]
        for statement in ("PRAGMA user_version = 3", "PRAGMA writable_schema = ON"):
            with contextlib.suppress(quipu.TraceError):
                trace.sql(statement)
    assert os.listdir(tmp_path) == ["trace.db"] and path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.read_bytes() == recorded.read_bytes()


def test_text_that_is_no_text(changed):
    path = changed("UPDATE token SET piece = CAST(x'FFFE00' AS TEXT) WHERE position = 3")
    with quipu.open(path) as trace:
        assert "\ufffd" in trace.tokens["piece"][3]
        assert trace.plot_attention(0, 0) is not None


def test_a_run_that_was_killed(tmp_path):
    """It opens, holds what was committed, and says that it is not complete."""
    path = tmp_path / "killed.db"
    program = quipu.find_program()
    command = [program, "trace", str(MODEL), "--prompt", "Mia has the ball.", "--generate", "240",
               "--ignore-eos", "--output", str(path)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_rows(process, path)
    process.kill()
    process.wait()
    with quipu.open(path) as trace:
        assert trace.complete is False and trace.steps >= 1
        assert trace["embd"].shape[1] == 256
