"""Checks a model file: llama.cpp, and the built quipu, compute what PyTorch computes from its weights.

    python3 models/check_file.py models/micro-world-f16.gguf --quipu .build/release/quipu

Held-out prompts; after each, greedy generation. Prompt ids and generated ids must be equal, and each step's logits
within a normalised mean square error of 1e-5. (PyTorch multiplies in float32; llama.cpp rounds activations to F16
before it multiplies F16 weights, and keeps K and V in F16.) A generation is followed up to the first step at which
PyTorch's two best logits are nearer than 0.01: which name a retelling takes next is often a tie, and rounding decides
it. Activations that meet Q8_0 weights are rounded to eight bits, so there both limits are wider.

llama.cpp comes from PyPI: llama-cpp-python==0.3.36.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch

import gguf_file
import micro_world

# By the type of file: the largest error, and the least distance of logits that are no tie.
LIMITS = {"MOSTLY_F16": (1e-5, 0.01), "MOSTLY_Q8_0": (2e-3, 0.3)}


def prompts(count, seed=5):
    """Stories up to "Again:", up to a question, and plain text."""
    generator = micro_world.Generator(seed, held_out=True)
    made = ["Hello, world", "Mia has the red ball. Tom is at the lake. Who has the ball?"]
    while len(made) < count:
        story = generator.story(micro_world.RICH)
        if story.retold and len(made) % 2:
            made.append(story.text.split(" Again:")[0] + " Again:")
        else:
            made.append(story.text[: story.text.rindex("?") + 1])
    return made


@torch.no_grad()
def with_pytorch(network, text, prompt, steps):
    """Prompt ids, generated ids, logits of every step."""
    ids = [text.bos] + text.encode(prompt)
    n_prompt, logits = len(ids), []
    for _ in range(steps):
        logits.append(network(torch.tensor([ids]))[0, -1].numpy())
        ids.append(int(logits[-1].argmax()))
        if ids[-1] == text.eos:
            break
    return ids[:n_prompt], ids[n_prompt:], np.stack(logits)


def with_llama_cpp(llama, prompt, steps):
    llama.reset()
    ids = llama.tokenize(prompt.encode(), add_bos=True, special=True)
    generated, logits, todo = [], [], ids
    for _ in range(steps):
        llama.eval(todo)
        logits.append(llama.scores[llama.n_tokens - 1].copy())
        todo = [int(logits[-1].argmax())]
        generated += todo
        if todo[0] == llama.token_eos():
            break
    return ids, generated, np.stack(logits)


def with_quipu(program, path, prompt, steps):
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.db")
        command = [program, "trace", path, "--prompt", prompt, "--generate", str(steps), "--output", trace,
                   "--only", "result_output", "--json"]
        run = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        with sqlite3.connect(trace) as database:
            rows = database.execute("""SELECT data FROM op JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id
                                       WHERE op.name = 'result_output' ORDER BY step""").fetchall()
        logits = np.stack([np.frombuffer(data, "<f4") for data, in rows])
    return run["prompt_ids"], run["generated_ids"], logits


def limits(path):
    kind = gguf.GGUFReader(path).get_field("general.file_type").contents()
    return LIMITS[gguf.LlamaFileType(kind).name]


def compare(who, expected, found, limit, tie):
    """Lines of what differs, the worst error, and how many tokens were decided clearly and compared."""
    best = np.sort(expected[2], -1)
    ties = np.flatnonzero(best[:, -1] - best[:, -2] < tie)
    clear = int(ties[0]) if len(ties) else len(best)
    problems = []
    for what, a, b in (("prompt ids", expected[0], found[0]), ("generated ids", expected[1][:clear], found[1][:clear])):
        if list(a) != list(b):
            problems.append(f"{who}: {what} {list(b)}, PyTorch {list(a)}")
    # The logits of the tie itself have the same past, so they count.
    errors = [np.mean((a - b) ** 2) / np.mean(a ** 2) for a, b in zip(expected[2][: clear + 1], found[2], strict=False)]
    if max(errors) > limit:
        problems.append(f"{who}: logits differ by NMSE {max(errors):.1e}, limit {limit:.0e}")
    return problems, max(errors), clear


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--quipu", help="the built program, to check too")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--steps", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    import llama_cpp

    network, text = gguf_file.read(arguments.model)
    llama = llama_cpp.Llama(arguments.model, n_ctx=256, logits_all=True, n_threads=1, flash_attn=False, verbose=False)
    programs = {"llama.cpp": lambda prompt: with_llama_cpp(llama, prompt, arguments.steps)}
    if arguments.quipu:
        programs["quipu"] = lambda prompt: with_quipu(arguments.quipu, arguments.model, prompt, arguments.steps)
    problems, worst, compared = [], dict.fromkeys(programs, 0.0), dict.fromkeys(programs, 0)
    for prompt in prompts(arguments.prompts):
        expected = with_pytorch(network, text, prompt, arguments.steps)
        for who, run in programs.items():
            found, error, steps = compare(who, expected, run(prompt), *limits(arguments.model))
            problems += [f"{prompt!r}: {problem}" for problem in found]
            worst[who], compared[who] = max(worst[who], error), compared[who] + steps
    for who in programs:
        print(f"{who}: {arguments.prompts} prompts, {compared[who]} tokens compared, "
              f"worst NMSE of logits {worst[who]:.1e}")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
