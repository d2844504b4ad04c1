"""Arrays against those that the program decodes: an independent implementation of views, caches and runs."""

import numpy as np
import pytest
from conftest import MODEL, PROMPT

import quipu


def addresses(trace, step):
    counts = {}
    for name in trace.ops(step)["name"]:
        counts[name] = counts.get(name, 0) + 1
        yield f"{name}#{counts[name] - 1}"


def compare(trace, step, folder, refused):
    """How many operations have the values that `quipu export` writes; `show` refuses the others as the package does."""
    found, errors = {}, {}
    for address in addresses(trace, step):
        try:
            found[address] = trace[address, step]
        except quipu.NotInTrace as error:  # noqa: PERF203
            errors[address] = str(error)
    for address, error in errors.items():
        with pytest.raises(quipu.ProgramError) as caught:
            quipu.show(trace, address, step=step)
        assert any(reason in str(caught.value) and reason in error for reason in refused), address
    quipu.export(trace, *found, step=step, output=folder / "values.npz")
    with np.load(folder / "values.npz") as exported:
        for address, values in found.items():
            expected = exported[address if address in exported else address.split("#")[0]]
            assert values.dtype == np.float32 and values.shape == expected.shape
            np.testing.assert_array_equal(values, expected, err_msg=address)
    return len(found)


@pytest.mark.parametrize("step", [0, 2])
def test_every_operation_is_what_the_program_decodes(trace, tmp_path, step):
    assert compare(trace, step, tmp_path, ["before anything was written"]) > 140


@pytest.mark.parametrize("capture", ["last", "all"])
def test_partial_captures_are_what_the_program_decodes(tmp_path, capture):
    with quipu.trace(
        MODEL, "Who has the ball?", capture=capture, only=["kq*", "cache_*", "Vcur-1", "l_out-*"]
    ) as trace:
        assert compare(trace, 0, tmp_path, ["not captured", "before anything"]) > 20
        assert np.isnan(trace["kq_soft_max-1"]).any() == (capture == "last")


def test_a_pass_over_tokens_split_into_blobs_and_runs_is_whole(trace):
    # The value cache is written in runs; the permuted view of it is what attention reads.
    (runs,) = trace.sql("SELECT count(*) AS n FROM tensor WHERE run_length NOT NULL")["n"]
    assert runs > 0
    values = trace["cache_v_l1 (view) (permuted)"]
    assert values.shape == (2, 32, 18) and not np.isnan(values).any()
    np.testing.assert_array_equal(values, trace["Vcur-1"].transpose(1, 2, 0).astype(np.float16).astype(np.float32))


def test_axes(trace):
    model = trace.model
    prompt, heads, kv_heads, width = 18, model["n_head"], model["n_head_kv"], model["head_dim"]
    assert (heads, kv_heads) == (8, 2)
    assert trace["kq_soft_max-2"].shape == (heads, prompt, prompt)
    assert trace["kq_soft_max-2", 2].shape == (heads, 1, prompt + 2)
    assert trace["Qcur-1"].shape == (prompt, heads, width) and trace["Qcur-1", 1].shape == (1, heads, width)
    assert trace["Qcur-1#0"].shape == (prompt, heads * width)
    assert trace["Kcur-1"].shape == (prompt, kv_heads, width)
    assert trace["l_out-1"].shape == (prompt, model["n_embd"]) and trace["l_out-1", 1].shape == (1, model["n_embd"])
    assert trace["result_output"].shape == (1, model["n_vocab"])
    # Queries against keys give the scores: head h reads KV head h // 4.
    query, key = trace["Qcur-1"].astype(np.float16), trace["Kcur-1"].astype(np.float16)
    for head in (0, 5):
        scores = query[:, head].astype(np.float32) @ key[:, head // 4].astype(np.float32).T
        np.testing.assert_allclose(trace["kq-1"][head], scores, rtol=1e-4, atol=1e-4)


def test_attention(trace):
    pattern = trace.attention(2, 3)
    assert pattern.shape == (18, 18)
    np.testing.assert_allclose(pattern.sum(axis=1), 1, atol=1e-6)
    assert np.triu(pattern, 1).max() == 0
    # The README's question: at the end, head 3 of layer 2 looks at "Mia".
    assert trace.tokens["piece"][int(pattern[-1].argmax())] == "Mia" and pattern[-1].max() > 0.9
    np.testing.assert_array_equal(trace.attention(2), trace["kq_soft_max-2"])
    np.testing.assert_array_equal(trace.attention(-2, -5, step=1), trace["kq_soft_max-2", 1][3])
    for layer, head in ((4, 0), (0, 8), (0, -9)):
        with pytest.raises(quipu.NotInTrace, match=r"there is no (layer|head)"):
            trace.attention(layer, head)


def test_a_model_with_one_head_keeps_the_head_axis(tmp_path):
    # Three axes, whatever their length.
    from quipu._operations import Operation

    operation = Operation(1, 1, 0, 0, "kq_soft_max-0", "SOFT_MAX", "F32", "{}", 0, None, (5, 1, 1, 1))
    assert operation.array_shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("kq_sof_max-1", "Did you mean kq_soft_max-1"),
        ("zzzz", "there is no operation 'zzzz'"),
        ("norm-1#2", "2 times, as #0 to #1; there is no #2"),
        ("kq-1#1", "once, as #0; there is no #1"),
        ("kq-1#x", "after # comes a number"),
        ("kq-1[:,0]", "index the array"),
        ("", "there is no operation ''"),
    ],
)
def test_addresses_that_name_nothing(trace, address, part):
    with pytest.raises(KeyError) as caught:
        trace[address]
    assert part in str(caught.value) and isinstance(caught.value, quipu.NotInTrace)
    assert address not in trace


def test_steps_that_do_not_exist(trace):
    for ask in (lambda: trace["kq-1", 4], lambda: trace.ops(-1), lambda: trace.layers(9), lambda: trace.logits(4)):
        with pytest.raises(quipu.TraceError, match=r"there is no step .* steps 0 to 3"):
            ask()
    assert ("kq-1", 3) in trace and ("kq-1", 4) not in trace and 7 not in trace


def test_what_was_not_captured_is_said(tmp_path):
    with quipu.trace(MODEL, PROMPT, capture="stats") as trace:
        with pytest.raises(quipu.NotInTrace, match=r"not captured \(capture='stats'\).*capture='all'"):
            trace["kq-1"]
        assert len(trace.ops()) == 150 and trace.names.__doc__
        with pytest.raises(quipu.NotInTrace, match="no values of their own"):
            trace.names("kq-*")
    with quipu.trace(MODEL, PROMPT, capture="none") as trace:
        with pytest.raises(quipu.NotInTrace, match="recorded no operations"):
            trace["kq-1"]
        assert len(trace.tokens) == 19 and len(trace.logits()) == 20


def test_names(trace):
    assert trace.names("kq_soft_max-*") == [f"kq_soft_max-{layer}" for layer in range(4)]
    assert trace.names("norm-?#1") == [f"norm-{layer}#1" for layer in range(4)]
    # The RESHAPE between the product and the rotation has no values of its own.
    assert trace.names("Qcur-1") == ["Qcur-1"] and trace.names("Qcur-1*") == ["Qcur-1#0", "Qcur-1#2"]
    everything = trace.names()
    assert list(trace) == everything and len(everything) == 94
    for address in everything:
        assert address in trace
