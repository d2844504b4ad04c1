"""Holds what the executed notebooks found against what they claim, and the committed ones against the rules.

`notebooks/run.py` executes them first; `make notebooks` does both.
"""

import json
import pathlib
import re
import sqlite3

import nbformat
import pytest

HERE = pathlib.Path(__file__).resolve().parent
NAMES = sorted(path.name for path in HERE.glob("[0-9]*.ipynb"))


def claims(number):
    """What a notebook printed by `claim`."""
    path, = (HERE / ".executed").glob(f"{number}-*.ipynb")
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            for name, value in re.findall(r"^claim (\w+) = (.*)$", output.get("text", ""), flags=re.M):
                assert name not in found, f"{name} is claimed twice"
                found[name] = json.loads(value)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_explain_and_ask(name):
    notebook = nbformat.read(HERE / name, as_version=4)
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.cell_type == "markdown" and first.source.startswith(f"# {name[:2]} · ")
    assert last.cell_type == "markdown" and "**A question.**" in last.source and "?" in last.source
    for cell in notebook.cells:
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_was_executed(name):
    executed, source = (nbformat.read(folder / name, as_version=4) for folder in (HERE / ".executed", HERE))
    assert [cell.source for cell in executed.cells] == [cell.source for cell in source.cells]
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert pictures or name.startswith(("07", "08"))


def test_00_five_lines():
    found = claims("00")
    assert found["looks_at"] == "Mia" and found["share"] > 0.9 and found["answer"] == " Mia"
    path, = (HERE / ".executed").glob("00-*.ipynb")
    first = next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert len([line for line in first.source.splitlines() if line]) == 5
    shown = [output.get("data", {}) for output in first.outputs]
    assert any("image/png" in data for data in shown)
    assert any(data.get("text/plain") == "'Mia'" for data in shown)


def test_01_one_token():
    found = claims("01")
    assert found["operations"] == 150 and found["best"] == " Mia" and found["probability"] > 0.99
    # Sums in another order, in doubles.
    assert found["rms_difference"] < 1e-12 and found["probability_difference"] < 1e-6
    # One rounding to F32 of numbers up to 5: 2.4e-7; the reciprocal root adds another.
    assert found["norm_difference"] < 1e-6
    assert found["rows_sum_to_one_1_1"] < 1e-6 and found["rows_sum_to_one_2_3"] < 1e-6


def test_02_quantisation_error():
    found = claims("02")
    assert found["order"] == ["Q8_0", "Q6_K", "Q4_K", "Q4_0", "Q2_K"]
    # The same rounding by other code; the means are added in another order.
    assert found["difference_Q8_0"] < 1e-9 and found["difference_Q4_0"] < 1e-9
    layer, role = found["worst"]
    db = sqlite3.connect(HERE / ".work/02/errors.db")
    assert db.execute("SELECT layer, role FROM quant_error AS e JOIN weight ON weight.id = weight_id "
                      "WHERE e.type = 'Q4_0' AND layer NOT NULL ORDER BY rel_rmse DESC").fetchone() == (layer, role)


def test_03_scales_and_mins():
    found = claims("03")
    for format in ("Q4_0", "Q4_1", "Q4_K"):
        low, high = found[f"codes_{format}"]
        assert 0 <= low < high <= 15
        assert found[f"formula_{format}"] == 0
    assert found["without_zero_Q4_0"] == 0
    assert found["without_zero_Q4_1"] > 0.9 * found["blocks_Q4_1"]
    assert found["without_zero_Q4_K"] > 0.9 * found["blocks_Q4_K"]
    # 256 weights a block instead of 32; the embeddings and others may be in another format.
    assert found["blocks_Q4_K"] * 8 <= found["blocks_Q4_1"] == found["blocks_Q4_0"]


def test_04_grouped_query_attention():
    found = claims("04")
    assert found["heads"] == [8, 2] and found["saved"] == 4
    assert found["bytes"][0] == found["bytes"][1]
    # F32 sums in another order, against keys of the wrong head.
    assert found["right"] < 1e-12 and found["wrong"] > 0.1


def test_05_perplexity_against_bits():
    found = claims("05")
    assert len(found["types"]) == 12 and found["predictions"] == 8 * 127
    # The differences are measured token by token: sharper than two perplexities apart, for every type.
    assert found["sharper"] > 1
    best, worst = found["kld_ends"]
    assert 0 < best < 0.01 < 0.1 < worst
    # Fewer bits, more divergence, but for types of nearly the same size.
    assert found["kld_rank_correlation"] < -0.9 and 2 < found["factor_per_bit"] < 6
    # The table's versions are the files that `quantize` writes.
    assert found["bpw"][0] == found["bpw"][1] and found["perplexity"][0] == found["perplexity"][1]


def test_06_error_propagation():
    found = claims("06")
    db = sqlite3.connect(HERE / ".work/06/trace.db")
    assert db.execute("SELECT count(*) FROM op_error").fetchone() == (found["rows"],) and found["rows"] > 0
    assert found["view_difference"] == 0 and found["weights_worse_than_activations"] is True
    # Seven products per layer and the output; the embedding reads a weight too.
    assert found["products"] == 4 * 7 + 2
    # The embedding has nothing before it to inherit from.
    local, accumulated = found["first_product_db"]
    assert local == accumulated
    # Sums in another order, in doubles; the tables hold decibels of F32 values.
    by_hand, recorded = found["embedding_db"]
    assert abs(by_hand - recorded) < 1e-6
    for cause in ("weights", "activations", "both"):
        assert abs(found["kld_mean"][cause] / found["mean_of_positions"][cause] - 1) < 1e-12
    assert found["kld_mean"]["activations"] < found["kld_mean"]["weights"]


def test_07_your_own_model():
    found = claims("07")
    assert found["parameters"] == 2_754_816 and found["operations"] == 1200 and found["broken_operations"] == 0
    # Bytes, not times: of a model this small any kind can be the slowest on a machine with other work.
    assert found["moves_most"] == ["MUL_MAT"]
    assert 0.9 < found["estimate_over_size"] < 1.1


def test_08_many_machines():
    found = claims("08")
    assert found["shards"] == 4 and found["tensors"] == 39
    assert found["workers_lost"] >= 1 and found["results"] == 5
    assert found["runs"] == 4
    assert found["rows"][0] == found["rows"][1] > 0 and found["same"] is True
    assert found["added_again"] == 0 and found["still_the_same"] is True
    assert len(list((HERE / ".work/08").glob("audit-*.db"))) == 5
    # The worker that died left rows, and nobody computed them again: each is there once.
    assert found["shares_workers_lost"] >= 1 and 3 <= found["rows_kept_by_the_dead"] < 15
    assert found["rows_of_shares"] == [15, 15] and found["rows_united"] == 30
    assert found["shares_same"] is True


def test_09_which_head_did_it():
    found = claims("09")
    (base, other), (clean, patched) = found["base"], found["moved"]
    assert base == clean and base > 0 > other and patched < base
    assert found["share"] < 0.7
    first, last, positions = found["from_to"]
    assert first < last == positions - 1
    if found["model"].startswith("SmolLM2"):
        # It looks at the name that is said twice.
        assert found["head"] == [23, 3] and found["looks_at"] == " John" and patched < 0
    else:
        assert found["looks_at"].strip() == "Mia"
