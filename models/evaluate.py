"""How often the model is right: on stories whose pairs training never showed, and on repeated random sequences.

    python3 models/evaluate.py models/micro-world-f16.gguf --stories 500

"questions" are who has, what does X have, where is X, who is at; colours and places of things are counted apart. An
answer counts if every token of it, up to the full stop, is the most probable one: what greedy generation would say.
"""

import argparse
import collections
import json
import os
import random
import sys

import torch

import gguf_file
import micro_world

KINDS = ["who has", "what has", "where is name", "who is at", "colour", "where is thing"]


@torch.no_grad()
def accuracy(network, text, style, stories, seed=99, held_out=True):
    """Share of right answers by kind; "retold" and "shown": sentences told again; "repeated": tokens said twice."""
    generator = micro_world.Generator(seed, held_out)
    right, asked = collections.Counter(), collections.Counter()
    for _ in range(stories):
        ids, spans = text.encode_story(generator.story(style))
        guess = network(torch.tensor([ids]))[0].argmax(-1).tolist()
        for kind, start, end in spans:
            asked[kind] += 1
            right[kind] += guess[start - 1: end - 1] == ids[start:end]
    scores = {kind: right[kind] / asked[kind] for kind in asked}
    scores["questions"] = sum(right[kind] for kind in KINDS[:4]) / sum(asked[kind] for kind in KINDS[:4])
    scores["repeated"] = repeated(network, text, max(8, stories // 8), seed)
    return scores


@torch.no_grad()
def repeated(network, text, count, seed, period=24):
    """Share of tokens right in the second half of random sequences said twice."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        pattern = [draw.randrange(2, text.size) for _ in range(period)]
        rows.append([text.bos] + pattern + pattern)
    ids = torch.tensor(rows)
    guess = network(ids).argmax(-1)
    # The first token of the second half cannot be told from the pattern not ending there.
    return (guess[:, period + 1: -1] == ids[:, period + 2:]).float().mean().item()


@torch.no_grad()
def loss(network, text, style, stories, seed=99):
    """Mean cross entropy, in nats a token, of held-out stories; its exponential is the perplexity."""
    generator = micro_world.Generator(seed, held_out=True)
    total = count = 0
    for _ in range(stories):
        ids, _ = text.encode_story(generator.story(style))
        ids = torch.tensor(ids + [text.eos])
        total += torch.nn.functional.cross_entropy(network(ids[None, :-1])[0], ids[1:], reduction="sum").item()
        count += len(ids) - 1
    return total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--stories", type=int, default=500)
    parser.add_argument("--require", action="store_true", help="fail below 95 %% of questions, retold or repeated")
    parser.add_argument("--output", help="write the report as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, text = gguf_file.read(arguments.model)
    report = {"model": os.path.basename(arguments.model), "stories": arguments.stories}
    for name, style in [("plain", micro_world.PLAIN), ("coloured", micro_world.COLOURED), ("rich", micro_world.RICH)]:
        report[name] = {"loss": loss(network, text, style, arguments.stories)}
        report[name] |= accuracy(network, text, style, arguments.stories)
    rounded = {key: {k: round(v, 4) for k, v in value.items()} if isinstance(value, dict) else value
               for key, value in report.items()}
    print(json.dumps(rounded, indent=1))
    if arguments.output:
        with open(arguments.output, "w") as file:
            json.dump(rounded, file, indent=1)
    low = [f"{style} {kind}" for style in ("plain", "coloured", "rich") for kind in ("questions", "retold", "repeated")
           if report[style][kind] < 0.95]
    if arguments.require and low:
        sys.exit("below 95 %: " + ", ".join(low))


if __name__ == "__main__":
    main()
