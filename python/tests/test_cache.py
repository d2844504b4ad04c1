"""Names of TransformerLens."""

import pathlib
import re
import sqlite3

import numpy as np
import pytest
from conftest import MODEL, PROMPT, ROOT

import quipu


@pytest.fixture(scope="module")
def run():
    logits, cache = quipu.run_with_cache(MODEL, PROMPT)
    yield logits, cache
    cache.trace.close()


def test_logits(run):
    logits, cache = run
    assert logits.shape == (1, 1, 1024) and logits.dtype == np.float32
    assert int(logits[0, -1].argmax()) == cache.trace.logits()["token_id"][0]


def test_every_name_has_its_axes(run):
    _, cache = run
    sizes = {"head": 8, "kv_head": 2, "d_head": 32, "d_model": 256, "d_mlp": 512, "query": 18, "key": 18, "batch": 1}
    assert len(cache) == len(list(cache)) == 2 + 18 * 4
    for hook in quipu.HOOKS:
        for layer in range(4 if "{layer}" in hook.name else 1):
            name = hook.name.format(layer=layer)
            assert name in cache
            found = cache[name].shape
            # llama.cpp goes on with the last token only, after the attention of the last layer.
            late = (layer == 3 and not re.search("resid_pre|ln1|attn", name)) or name.startswith("ln_final")
            pos = 1 if late else 18
            expected = (1, *(pos if axis == "pos" else sizes[axis] for axis in hook.axes.split()))
            assert found == expected, name


def test_what_they_hold(run):
    """Each array is made again from those before it: a wrong name does not add up."""
    _, cache = run

    def layer(name, number=1):
        return cache[name, number].astype(np.float64)

    def half(array):
        """What the engine multiplies with the caches: keys, values and their partners are F16."""
        return array.astype(np.float16).astype(np.float64)

    close = {"rtol": 1e-4, "atol": 1e-4}  # F32 sums in another order
    np.testing.assert_array_equal(cache["resid_pre", 0], cache["embed"])
    np.testing.assert_array_equal(cache["resid_pre", 2], cache["resid_post", 1])
    x = layer("resid_pre")
    np.testing.assert_allclose(
        cache["normalized", 1, "ln1"], x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5), **close
    )
    x = layer("resid_mid")
    np.testing.assert_allclose(
        cache["normalized", 1, "ln2"], x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5), **close
    )
    query, key = half(layer("rot_q")), np.repeat(half(layer("rot_k")), 4, axis=2)
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(32)
    mask = np.triu(np.ones((18, 18), bool), 1)
    found = cache["attn_scores", 1]
    assert np.isneginf(found[..., mask]).all()
    np.testing.assert_allclose(found[..., ~mask], scores[..., ~mask], **close)
    exponents = np.exp(found - found.max(-1, keepdims=True))
    np.testing.assert_allclose(cache["pattern", 1], exponents / exponents.sum(-1, keepdims=True), atol=1e-6)
    z = np.einsum("bhqk,bkhd->bqhd", half(layer("pattern")), np.repeat(half(layer("v")), 4, axis=2))
    np.testing.assert_allclose(cache["z", 1], z, **close)
    np.testing.assert_allclose(layer("resid_pre") + layer("attn_out"), cache["resid_mid", 1], atol=1e-5)
    np.testing.assert_allclose(layer("resid_mid") + layer("mlp_out"), cache["resid_post", 1], atol=1e-5)
    gate = layer("pre")
    np.testing.assert_allclose(gate / (1 + np.exp(-gate)) * layer("pre_linear"), cache["post", 1], **close)
    # A rotation changes no length, and nothing at position 0.
    for plain, rotated in (("q", "rot_q"), ("k", "rot_k")):
        np.testing.assert_allclose(
            np.linalg.norm(layer(plain), axis=-1), np.linalg.norm(layer(rotated), axis=-1), rtol=1e-5
        )
        np.testing.assert_array_equal(cache[plain, 1][:, 0], cache[rotated, 1][:, 0])
        assert np.abs(layer(plain) - layer(rotated))[:, 1:].max() > 0.1


def test_short_names_are_long_names(run):
    _, cache = run
    for short, long in [
        (("pattern", 3), "blocks.3.attn.hook_pattern"),
        (("pattern", -1), "blocks.3.attn.hook_pattern"),
        (("q", 0, "attn"), "blocks.0.attn.hook_q"),
        (("mlp_out", 2), "blocks.2.hook_mlp_out"),
        (("post", 2, "mlp"), "blocks.2.mlp.hook_post"),
        ("embed", "hook_embed"),
        ("normalized", "ln_final.hook_normalized"),
    ]:
        np.testing.assert_array_equal(cache[short], cache[long])
        assert short in cache
    for wrong in [("pattern", 4), ("pattern",), ("normalized", 1), ("nothing", 1), "blocks.0.attn.hook_result",
                  "blocks.9.attn.hook_q", "blocks.x.hook_q", "", 3, (), (3, "q")]:  # fmt: skip
        with pytest.raises(quipu.NotInTrace):
            cache[wrong]
        assert wrong not in cache


def test_steps_and_no_batch(run):
    with quipu.trace(MODEL, PROMPT, generate=2) as trace:
        cache = trace.cache(step=1)
        assert cache["pattern", 1].shape == (1, 8, 1, 19) and cache["q", 3].shape == (1, 1, 8, 32)
        assert not np.isneginf(cache["attn_scores", 1]).any()
        assert cache.remove_batch_dim() is cache and cache["pattern", 1].shape == (8, 1, 19)
        assert cache.logits.shape == (1, 1024) and dict(cache).keys() == set(cache)


def test_names_are_those_that_the_trace_holds():
    with quipu.trace(MODEL, PROMPT, only=["kq_soft_max-*", "Vcur-2"]) as trace:
        cache = trace.cache()
        assert list(cache) == [
            "blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern", "blocks.2.attn.hook_v",
            "blocks.2.attn.hook_pattern", "blocks.3.attn.hook_pattern",
        ]  # fmt: skip
        with pytest.raises(quipu.NotInTrace, match="not captured"):
            cache["blocks.0.attn.hook_q"]


def test_the_documented_table_is_the_table():
    page = pathlib.Path(ROOT / "docs/python.md").read_text()
    rows = re.findall(
        r"^\| `([\w.{}]*hook_\w+)` \| `([^`]+)` \| `([^`]+)` \| `\[([^\]]+)\]` \| (.*) \|$", page, flags=re.M
    )
    assert rows == [
        (hook.name, hook.role, hook.tensor, ", ".join(["batch", *hook.axes.split()]), hook.what) for hook in quipu.HOOKS
    ]


def test_traces_without_roles_are_read_by_names(run, tmp_path):
    """As those of schema version 1 to 6."""
    _, cache = run
    path = tmp_path / "old.db"
    path.write_bytes(pathlib.Path(cache.trace.path).read_bytes())
    with sqlite3.connect(path) as db:
        if db.execute("PRAGMA user_version").fetchone()[0] >= 7:
            db.execute("UPDATE graph_op SET role = NULL")
    with quipu.open(path) as trace:
        other = trace.cache()
        assert not other._roles and list(other) == list(cache)
        for name in cache:
            np.testing.assert_array_equal(other[name], cache[name], err_msg=name)
