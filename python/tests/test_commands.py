"""A function for every command of the program."""

import ast
import inspect
import json
import pathlib
import re
import subprocess

import pytest
from conftest import MIXTURE, MODEL, PROMPT, ROOT

import quipu
from quipu import _commands

HELP = "the program's commands or options have changed: `make python-commands` writes python/quipu/commands.json again"


def commands_of_help(program, words=()):
    """The commands as people see them, from the pages of help."""
    page = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout
    _, _, listed = page.partition("SUBCOMMANDS:\n")
    found = [line.split()[0] for line in listed.splitlines() if re.match(r"  [a-z]", line)]
    found = [name for name in found if name not in ("help", "See")]
    if not found:
        return [words]
    return [one for name in found for one in commands_of_help(program, (*words, name))]


def test_every_command_of_the_help_is_a_function(program):
    listed = {"_".join(words).replace("-", "_") for words in commands_of_help(program)}
    assert len(listed) > 40
    assert listed <= set(_commands.table()), HELP
    assert {name for name, command in _commands.table().items() if command.get("short") != name} == listed, HELP
    for name in listed:
        assert callable(getattr(quipu, name)) and name in dir(quipu)


def test_the_table_is_the_programs(program):
    table = json.loads(pathlib.Path(_commands.TABLE).read_text())
    assert table == _commands.read_from_program(program), HELP


def test_type_checkers_see_every_command():
    source = ast.parse(pathlib.Path(quipu.__file__).read_text())
    (block,) = (node for node in source.body if isinstance(node, ast.If))
    named = {target.id for node in block.body if isinstance(node, ast.Assign) for target in node.targets}
    assert named == set(_commands.names()), "the list in quipu/__init__.py"
    homes = {name for names in quipu._HOMES.values() for name in names}
    imported = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert homes == imported - {None, "_any"}


def test_functions_say_what_they_take():
    signature = inspect.signature(quipu.quant_errors)
    assert list(signature.parameters)[:3] == ["model", "reference", "as_"]
    assert "Formats to try" in quipu.quant_errors.__doc__ and quipu.quant_errors.__name__ == "quant_errors"
    assert list(inspect.signature(quipu.merge).parameters)[:2] == ["out", "in_"]
    assert inspect.signature(quipu.gqa) == inspect.signature(quipu.gqa_map)
    for wrong in (lambda: quipu.inspect(MODEL, tensor=1), lambda: quipu.compare("a", "b", "c")):
        with pytest.raises(TypeError):
            wrong()


def test_option_words():
    from quipu._program import _option_words

    words = _option_words(
        {"as_": ["Q4_0", "Q4_K"], "top_k": 3, "force": True, "append": False, "run": None, "only": ("a", "b"),
         "min_p": 0.25, "positions": -1, "layers": range(3), "output": pathlib.Path("x")},
        {"only"},
    )  # fmt: skip
    assert words == [
        "--as=Q4_0,Q4_K", "--top-k=3", "--force", "--only=a", "--only=b", "--min-p=0.25", "--positions=-1",
        "--layers=0,1,2", "--output=x",
    ]  # fmt: skip


def test_documents(trace, recorded, tmp_path):
    """Every command that needs no keyboard, run as its help's example is."""
    q4 = tmp_path / "q4.gguf"
    assert quipu.quantize(MODEL, q4, "Q4_0")["output"] == str(q4)
    weight = "blk.1.ffn_up.weight"
    quipu.trace(MIXTURE, "Once upon a time", output=tmp_path / "mixture.db").close()
    text = {"file": ROOT / "models/micro-world-held-out.txt", "chunk": 64, "chunks": 1}
    prompts = [tmp_path / "pos.jsonl", tmp_path / "neg.jsonl"]
    for path, prompt in zip(prompts, ["Mia has the ball.", "Tom has the ball."]):
        path.write_text(f'"{prompt}"\n')
    documents = {
        "inspect": (quipu.inspect(MODEL), "n_params"),
        "tokenize": (quipu.tokenize(MODEL, "-x, Mia", steps=True), "ids"),
        "graph": (quipu.graph(MODEL, layer=0), "nodes"),
        "ops": (quipu.ops(trace, layer=1), "ops"),
        "show": (quipu.show(trace, "kq-1[:,0]"), "values"),
        "sql": (quipu.sql(trace, "SELECT 1 AS one"), "rows"),
        "step": (quipu.step(trace, input="next\nnext\n"), "replies"),
        "quant_errors": (quipu.quant_errors(MODEL, as_=["Q4_0", "Q8_0"]), "tensors"),
        "quant_compare": (quipu.quant_compare(MODEL, weight, as_="Q4_0"), "tensor"),
        "quant_blocks": (quipu.quant_blocks(q4, weight, row=1), "codes"),
        "quant_table": (quipu.quant_table(MODEL, types=["Q4_0", "Q8_0"], chunks=1), "rows"),
        "quant_sensitivity": (quipu.quant_sensitivity(MODEL, by="role", chunks=1), "tensors"),
        "explain_weight": (quipu.explain_weight(q4, weight, 3, 7), "value"),
        "explain_format": (quipu.explain_format(q4, "Q4_0"), "type"),
        "explain_operation": (quipu.explain_operation("SOFT_MAX"), "operations"),
        "explain_element": (quipu.explain_element(trace, "ffn_out-1[12,4]"), "terms"),
        "explain_logit": (quipu.explain_logit(trace), "token_id"),
        "verify": (quipu.verify(trace), "run"),
        "propagate": (quipu.propagate(MODEL, prompt=PROMPT, as_="Q4_0"), "causes"),
        "lens": (quipu.lens(trace), "positions"),
        "attention": (quipu.attention(trace, "2.3"), "heads"),
        "gqa": (quipu.gqa(MODEL), "map"),
        "gqa_what_if": (quipu.gqa_what_if(MODEL, swap=["0:1"], prompt=PROMPT), "kld_mean"),
        "experts": (quipu.experts(tmp_path / "mixture.db"), "choices"),
        "experts_what_if": (quipu.experts_what_if(MIXTURE, top=1, prompt=PROMPT), "kld_mean"),
        "perplexity": (quipu.perplexity(MODEL, chunks=1), "perplexity"),
        "compare": (quipu.compare(MODEL, q4, chunks=1), "kld"),
        "bench": (quipu.bench(MODEL, prompt_tokens=4, decode_tokens=2, repetitions=1), "decode"),
        "report": (quipu.report(trace, output=tmp_path / "r.html"), "report"),
        "merge": (quipu.merge(tmp_path / "all.db", trace, recorded), "runs"),
        "lesson": (quipu.lesson(), "lessons"),
        "convert": (quipu.convert(ROOT / "models/before-gguf.bin", tmp_path / "new.gguf", context=128), "n_ff"),
        "export": (quipu.export(trace, "kq-*", output=tmp_path / "x.npz"), "arrays"),
        "imatrix": (quipu.imatrix(MODEL, output=tmp_path / "im.gguf", **text), "n_chunks"),
        "quant_recommend": (
            quipu.quant_recommend(MODEL, budget="6bpw", types=["Q4_0", "Q8_0"], held_out_chunks=1, time="1s", **text),
            "choice",
        ),
        "patch_sweep": (quipu.patch_sweep(trace, trace, over="layers", metric="kld"), "cells"),
        "ablate_sweep": (quipu.ablate_sweep(trace, over="layers", metric="kld"), "cells"),
        "vector_make": (quipu.vector_make(*prompts, model=MODEL, output=tmp_path / "v.gguf"), "n_pairs"),
        "activations": (quipu.activations(MODEL, at="ffn_out-1", output=tmp_path / "shards", **text), "n_shards"),
    }
    for name, (document, key) in documents.items():
        assert key in document, (name, list(document))
    untested = {name for name in _commands.names() if not name.startswith("lesson_")} - {
        *documents,
        "quantize",
        "diff",
        "gqa_map",
        "experts_map",
    }
    assert untested == set()


def test_a_difference_is_a_document_not_an_error(trace, tmp_path):
    """Status 2 says that something was found."""
    with quipu.trace(from_=trace, set=["kqv_out-2=0"], output=tmp_path / "changed.db") as other:
        document = quipu.diff(trace, other)
        assert document["identical"] is False and other.sql("SELECT * FROM intervention")["target"][0] == "kqv_out-2"
    assert quipu.diff(trace, trace.path)["identical"] is True


def test_a_trace_needs_a_prompt():
    with pytest.raises(quipu.ProgramError, match="give --prompt"):
        quipu.trace(MODEL)
    with pytest.raises(quipu.QuipuError, match="an estimate writes no trace"):
        quipu.trace(MODEL, "x", estimate=True)
    assert quipu.run("trace", MODEL, prompt="x", estimate=True)["size_bytes"] > 0
