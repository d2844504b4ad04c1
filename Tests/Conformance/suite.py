"""Everything the suite checks, in order. Exit status 0 if all of it was checked and passed, else 1."""

import argparse
import glob
import os
import sys
import tempfile

import gguf

import determinism
import models
import selftest
import whole_pass
from local_parity import LocalParity
from program import Quipu
from trace import Trace

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures")
GOLDEN = os.path.join(FIXTURES, "golden")
ROOT = os.path.abspath(os.path.join(FIXTURES, "..", ".."))

SMALL_MODEL_PROMPT = "Once upon a time the dog"
LONG_PROMPT = "the big dog and the cat said once upon a time. " * 11  # past 256 positions, where llama.cpp pads anew
# Beside golden prompts; the second has more than twenty tokens.
SMOLLM2_PROMPTS = [
    "My favourite colour is",
    "Every Tuesday the librarian counted 1,048 returned books, sorted them by size, and wondered: who underlines?",
]


class Suite:
    def __init__(self, options, folder):
        self.quipu, self.folder = Quipu(options.quipu), folder
        self.parity, self.problems, self.n_traces = LocalParity(), [], 0
        self.distance = whole_pass.NodeDistance() if options.whole_pass else None

    def section(self, title):
        print(f"\n== {title}", flush=True)

    def found(self, messages, what):
        messages = list(messages)
        self.problems += messages
        print(f"{'FAILED' if messages else 'ok    '}  {what}", flush=True)
        for message in messages[:5]:
            print(f"        {message[:400]}")

    def traced(self, model, prompt, label, threads_too=True, generate=3):
        """Traces a prompt with everything captured and checks the trace; returns its path."""
        self.n_traces += 1
        path = self.quipu.trace(model, prompt, os.path.join(self.folder, f"{self.n_traces}.db"), generate=generate)
        self.parity.check(path, label)
        if threads_too:
            other = self.quipu.trace(model, prompt, path + ".one-thread", generate=generate, threads=1)
            self.found(determinism.blobs_differ(other, path), f"{label}: one thread, two threads, same bits")
            os.remove(other)
        if self.distance:
            self.distance.check(path, model, label)
        return path

    def small_models(self):
        self.section(f"small random models, {len(models.SUITE)} of them")
        for recipe in models.SUITE:
            model = models.write(recipe, self.folder)
            path = self.traced(model, SMALL_MODEL_PROMPT, recipe.name)
            if recipe is models.SUITE[0]:
                overlooked = [f"the suite overlooks a wrong number: {kind}" for kind in selftest.unnoticed(path)]
                self.found(overlooked, "a single wrong number of any kind would be noticed")
            golden = os.path.join(GOLDEN, recipe.name + ".tsv")
            if os.path.exists(golden):
                differences = whole_pass.graph_differs(Trace(path).passes[0], whole_pass.read_tsv(golden))
                self.found(differences, f"{recipe.name}: nodes as in the golden file")
                os.remove(self.traced(model, LONG_PROMPT, f"{recipe.name}, long prompt", threads_too=False))
            os.remove(path)

    def model(self, model, golden_name, prompts, exact):
        """A real model against its golden file; `prompts` are traced in full, golden ones by index or new ones."""
        golden = whole_pass.read_golden(os.path.join(GOLDEN, golden_name))
        name = os.path.basename(model)
        end_ids = _end_ids(model)
        self.section(f"{name}, {len(golden)} golden prompts")
        self.found(whole_pass.tokens_differ(self.quipu, model, golden), "token ids")
        for i, case in enumerate(golden):
            path = self.quipu.trace(
                model, case["prompt"], os.path.join(self.folder, "greedy.db"), generate=24, capture="none")
            differences = whole_pass.continuation_differs(Trace(path), case, end_ids, sure_only=not exact)
            self.found(differences, f"greedy continuation of prompt {i}")
        for prompt in prompts:
            case = golden[prompt] if isinstance(prompt, int) else None
            text = case["prompt"] if case else prompt
            label = f"{name} {text[:20]!r}"
            path = self.traced(model, text, label, threads_too=prompt in (0, 1))
            if case and exact:
                self.found(whole_pass.logits_differ(Trace(path), case), f"{label}: logits within 1e-3")
            if golden_name.startswith("smollm2") and prompt == 0:
                expected = whole_pass.read_tsv(os.path.join(GOLDEN, "smollm2-q4_1.ops.tsv"))
                self.found(whole_pass.graph_differs(Trace(path).passes[0], expected), f"{label}: nodes as llama.cpp's")
            os.remove(path)

    def report(self):
        self.section("local parity: every op from its own recorded inputs")
        passed = self.parity.report()
        if self.distance:
            self.section("whole pass: every node against llama.cpp")
            self.distance.report()
            self.found(self.distance.problems, "nodes, shapes, sources and values as llama.cpp's")
        passed = passed and not self.problems
        print(f"\n{'passed' if passed else 'FAILED'}: {self.n_traces} traces, {len(self.problems)} problems")
        return passed


def _end_ids(model):
    """Control tokens: the program may stop at one."""
    types = gguf.GGUFReader(model).get_field("tokenizer.ggml.token_type").contents()
    return [id for id, type in enumerate(types) if type == gguf.TokenType.CONTROL]


def _find_smollm2():
    found = glob.glob(os.path.join(ROOT, "downloads", "**", "SmolLM2-135M-Instruct.Q4_1.gguf"), recursive=True)
    return found[0] if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quipu", required=True, help="the program under test")
    parser.add_argument("--smollm2", default=_find_smollm2(), help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--without-smollm2", action="store_true", help="leave SmolLM2 out, and say so")
    parser.add_argument("--whole-pass", action="store_true", help="compare every node with llama.cpp, too")
    options = parser.parse_args()
    if not options.smollm2 and not options.without_smollm2:
        sys.exit("SmolLM2-135M-Instruct.Q4_1.gguf is not in downloads/. Fetch it with `make demo`, "
                 "name it with --smollm2, or leave it out with --without-smollm2.")
    with tempfile.TemporaryDirectory(prefix="quipu-conformance-") as folder:
        suite = Suite(options, folder)
        suite.small_models()
        suite.model(os.path.join(FIXTURES, "stories260K.gguf"), "stories260k.jsonl", [0, 1, 2, 3], exact=True)
        if options.without_smollm2:
            print("\nSKIPPED: SmolLM2, as asked with --without-smollm2")
        else:
            suite.model(options.smollm2, "smollm2-q4_1.jsonl", [0, 1, 8, *SMOLLM2_PROMPTS], exact=False)
        sys.exit(0 if suite.report() else 1)


if __name__ == "__main__":
    main()
