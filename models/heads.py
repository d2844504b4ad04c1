"""Finds the heads that do something one can point at, and shows what they are for by switching each off.

    python3 models/heads.py models/micro-world-f16.gguf

On random sequences said twice, where nothing but position and repetition can help:
  previous   attention from a token to the one before it
  induction  attention from a token to the one that followed its earlier occurrence
On held-out stories, at the last token before an answer's first word that only the story tells:
  lookup     attention to the earlier places of that word
Everywhere:
  sink       attention to the first token
Switching a head off sets its columns of attn_output to zero; what is lost is counted in nats a token on the second half
of the random sequences, and in right answers. Heads of a kind stand in for one another, so each kind is switched off
whole too.
"""

import argparse
import contextlib
import json
import random

import torch
from torch.nn import functional as F

import evaluate
import gguf_file
import micro_world

PERIOD = 24


def random_twice(text, count, seed):
    draw = random.Random(seed)
    patterns = [[draw.randrange(2, text.size) for _ in range(PERIOD)] for _ in range(count)]
    return torch.tensor([[text.bos] + pattern + pattern for pattern in patterns])


@torch.no_grad()
def scores(network, text, count=64, seed=7):
    """Tables [layer][head] of the mean attention that defines each kind of head."""
    watch = []
    network(random_twice(text, count, seed), watch)
    weights = torch.stack(watch).mean(1)  # [layer, head, to, from]
    to = torch.arange(2, 2 * PERIOD + 1)
    again = torch.arange(PERIOD + 2, 2 * PERIOD + 1)
    return {
        "previous": weights[:, :, to, to - 1].mean(-1),
        "induction": weights[:, :, again, again - PERIOD + 1].mean(-1),
        "sink": weights[:, :, to, 0].mean(-1),
        "lookup": lookup(network, text, count, seed),
    }


def lookup(network, text, count, seed):
    """Attention, where an answer is about to be told, to all places that told it; mean over rich stories."""
    generator = micro_world.Generator(seed, held_out=True)
    total, seen = torch.zeros(network.shape.layers, network.shape.heads), 0
    for _ in range(count):
        ids, spans = text.encode_story(generator.story(micro_world.RICH))
        watch = []
        network(torch.tensor([ids]), watch)
        weights = torch.cat(watch)
        for kind, start, end in spans:
            place = end - 2  # the word before the full stop
            told = [i for i in range(1, start) if ids[i] == ids[place]]
            if kind in evaluate.KINDS[:4] and told:
                total += weights[:, :, place - 1, told].sum(-1)
                seen += 1
    return total / seen


@contextlib.contextmanager
def switched_off(network, heads):
    """Without these heads, pairs (layer, head)."""
    size = network.shape.head_size
    kept = [layer.attn_output.weight.detach().clone() for layer in network.blk]
    with torch.no_grad():
        for layer, head in heads:
            network.blk[layer].attn_output.weight[:, head * size: (head + 1) * size] = 0
        yield
        for layer, weight in zip(network.blk, kept, strict=True):
            layer.attn_output.weight.copy_(weight)


@torch.no_grad()
def cost(network, text, stories=60, seed=7):
    """What switching heads off costs: nats a token on the second half of random sequences, the share of questions."""
    ids = random_twice(text, 32, seed)
    logits = network(ids[:, :-1])[:, PERIOD + 1:]
    nats = F.cross_entropy(logits.flatten(0, 1), ids[:, PERIOD + 2:].flatten()).item()
    questions = evaluate.accuracy(network, text, micro_world.RICH, stories, seed)["questions"]
    return {"repeated_nats": round(nats, 3), "questions": round(questions, 3)}


def report(network, text):
    tables = {kind: table.tolist() for kind, table in scores(network, text).items()}
    result = {"threshold": 0.5, "whole": cost(network, text), "heads": [], "without_all": {}}
    for layer in range(network.shape.layers):
        for head in range(network.shape.heads):
            row = {"layer": layer, "head": head, "kv_head": head * network.shape.kv_heads // network.shape.heads}
            row |= {kind: round(table[layer][head], 3) for kind, table in tables.items()}
            row["without"] = without(network, text, [(layer, head)])
            row["is"] = [kind for kind in tables if row[kind] >= result["threshold"]]
            result["heads"].append(row)
    for kind in tables:
        heads = [(row["layer"], row["head"]) for row in result["heads"] if kind in row["is"]]
        result["without_all"][kind] = {"heads": heads} | without(network, text, heads)
    return result


def without(network, text, heads):
    with switched_off(network, heads):
        return cost(network, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--output", help="write the table as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = report(*gguf_file.read(arguments.model))
    print("whole model", result["whole"])
    print("layer head kv  previous induction lookup sink  | switched off: nats on repeats, questions right")
    for row in result["heads"]:
        line = "{layer:5} {head:4} {kv_head:2} {previous:9.2f} {induction:9.2f} {lookup:6.2f} {sink:4.2f}  | "
        cost_of_it = "{repeated_nats:6.2f} {questions:5.2f}  ".format(**row["without"])
        print(line.format(**row) + cost_of_it + ", ".join(row["is"]))
    for kind, row in result["without_all"].items():
        print(f"without all {len(row['heads'])} {kind} heads:", {k: row[k] for k in ("repeated_nats", "questions")})
    if arguments.output:
        with open(arguments.output, "w") as file:
            json.dump(result, file, indent=1)
    for kind in ("previous", "induction"):
        assert any(kind in row["is"] for row in result["heads"]), f"no {kind} head found"


if __name__ == "__main__":
    main()
