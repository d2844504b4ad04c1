"""What a trace says of itself, in tables."""

import sqlite3
import subprocess
import sys

import numpy as np
import pandas
import pytest
from conftest import MODEL, PROMPT

import quipu


def test_the_run(trace, recorded):
    assert trace.path == str(recorded) and trace.run == 1 and trace.steps == 4
    assert trace.prompt == PROMPT and trace.generated.startswith(" Mia")
    assert trace.capture == "all" and trace.complete is True
    assert trace.model["n_layer"] == 4 and trace.model["architecture"] == "llama"
    assert trace.first_position() == 0 and trace.first_position(2) == 19
    assert repr(trace) == f"<quipu.Trace {str(recorded)!r}, run 1: {PROMPT!r}, 4 steps>"


def test_tables_are_those_of_the_file(trace, recorded):
    db = sqlite3.connect(recorded)

    def table(statement):
        return pandas.read_sql_query(statement, db)

    pandas.testing.assert_frame_equal(trace.tokens, table("SELECT * FROM token ORDER BY position"))
    operations = "SELECT op.* FROM op JOIN pass ON pass.id = pass_id WHERE step = "
    pandas.testing.assert_frame_equal(trace.ops(), table(operations + "0 ORDER BY seq"))
    pandas.testing.assert_frame_equal(
        trace.ops(1, layer=2, kind="mul_mat", name="ffn_*"),
        table(operations + "1 AND layer = 2 AND op.kind = 'MUL_MAT' AND name LIKE 'ffn!_%' ESCAPE '!' ORDER BY seq"),
    )
    pandas.testing.assert_frame_equal(trace.layers(1), table("SELECT * FROM v_layer WHERE step = 1 ORDER BY layer"))
    pandas.testing.assert_frame_equal(trace.runs, table("SELECT * FROM run"))
    assert len(trace.heads()) == 4 * 8 * 18
    logits = trace.logits(1)
    assert list(logits["rank"]) == list(range(20)) and logits["piece"][0] == trace.tokens["piece"][19]
    np.testing.assert_array_equal(trace["result_output", 1][0, logits["token_id"]], logits["logit"].astype(np.float32))


def test_an_operation_and_its_inputs(trace):
    norm = trace.op("norm-1#0")
    assert (norm["kind"], norm["layer"], norm["params"]) == ("RMS_NORM", 1, '{"eps":1e-05}')
    assert trace.inputs("kq_soft_max-1")["name"][0] == "kq-1"


def test_sql(trace):
    rows = trace.sql("SELECT layer, count(*) AS n FROM attention_head WHERE position = ? GROUP BY layer", 17)
    assert list(rows["layer"]) == [0, 1, 2, 3]
    for statement, part in [
        ("DELETE FROM run", "only read"),
        ("UPDATE op SET ns = 0", "only read"),
        ("CREATE TABLE x (y)", "only read|not authorized|readonly"),
        ("ATTACH '/etc/passwd' AS x", "not authorized"),
        ("SELECT * FROM runs", "no such table"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", "asks for no rows"),
        ("SELECT load_extension('x')", "load_extension|not authorized"),
    ]:
        with pytest.raises(quipu.TraceError, match=part):
            trace.sql(statement)


def test_functions_of_sql_are_those_of_the_program(trace):
    for expression in [
        "f32(data, 3)", "f32(data, -1)", "f32(data, 100000000)", "f16(data, 2)", "f32('x', 0)",
        "dot(data, data)", "dot(row(data, 0, 8), row(data, 1, 8))", "dot('[1, 2]', '[3, 4.5]')", "dot('x', data)",
        "row(data, 2, 0)", "row(data, 9999999, 8)", "row(data, -1, 4)",
    ]:  # fmt: skip
        statement = f"SELECT {expression} AS x FROM tensor ORDER BY op_id LIMIT 1"
        (found,) = trace._rows(statement)
        assert found[0] == quipu.sql(trace, statement)["rows"][0]["x"], expression
    with pytest.raises(quipu.TraceError):
        trace.sql("SELECT dot('[1]', '[1, 2]')")


def test_several_runs(tmp_path):
    path = tmp_path / "two.db"
    quipu.trace(MODEL, "Who has the ball?", output=path).close()
    with quipu.trace(MODEL, "Where is Tom?", output=path, append=True) as second:
        assert second.run == 2 and second.prompt == "Where is Tom?" and len(second.runs) == 2
    with quipu.open(path, run=1) as first:
        assert first.prompt == "Who has the ball?"
        assert first["embd"].shape[0] == len(first.tokens) - 1
    with pytest.raises(quipu.TraceError, match="there is no run 3; the runs of the trace: 1, 2"):
        quipu.open(path, run=3)


def test_a_file_of_errors_without_a_run(tmp_path):
    path = tmp_path / "errors.db"
    quipu.quant_errors(MODEL, as_="Q4_0", output=path)
    with quipu.open(path) as errors:
        assert len(errors.sql("SELECT * FROM quant_error")) > 20 and "no run" in repr(errors)
        for ask in (lambda: errors.tokens, lambda: errors["kq-0"], errors.ops, lambda: errors.prompt):
            with pytest.raises(quipu.TraceError, match="holds no run"):
                ask()


def test_without_pandas_tables_are_rows(recorded):
    script = f"""
import sys
sys.modules["pandas"] = sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
import quipu
trace = quipu.open({str(recorded)!r})
tokens = trace.tokens
assert type(tokens) is quipu.Table and len(tokens) == 22, tokens
assert tokens[5]["piece"] == list(tokens)[5]["piece"] == tokens["piece"][5] == tokens[4:6][1]["piece"]
assert "piece" in tokens._repr_html_() and "&lt;|story|&gt;" in tokens._repr_html_()
assert repr(tokens).splitlines()[0].split() == tokens.columns
try: tokens["nothing"]
except KeyError as error: assert "the columns are" in str(error)
else: raise AssertionError
assert trace.layers()[0]["layer"] == 0
try: trace.plot_attention(0, 0)
except quipu.Missing as error: assert "pip install matplotlib" in str(error)
else: raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_numpy_there_are_documents_and_tables(recorded):
    script = f"""
import sys
sys.modules["numpy"] = sys.modules["pandas"] = None
import quipu
assert quipu.inspect({str(MODEL)!r})["n_tensors"] > 30
trace = quipu.trace({str(MODEL)!r}, "Who?")
assert len(trace.tokens) > 2 and len(trace.logits()) == 20 and len(trace.ops()) == 150
for ask in (lambda: trace["kq-1"], trace.cache, lambda: trace.save("x.npz"), lambda: quipu.HOOKS):
    try: ask()
    except quipu.Missing as error: assert "pip install numpy" in str(error)
    else: raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_temporary_trace_goes_away(tmp_path):
    import os

    trace = quipu.trace(MODEL, "Who?", generate=0)
    path = trace.path
    assert os.path.exists(path) and trace.steps == 1 and trace.generated == ""
    trace.close()
    assert not os.path.exists(path)
    # And the program's last trace is still the one before it.
    kept = tmp_path / "kept.db"
    quipu.trace(MODEL, "Who?", output=kept).close()
    quipu.trace(MODEL, "Where?").close()
    assert quipu.ops()["trace"] == str(kept)
