"""What the router of the sibling does: which expert takes which kind of word, and what it costs to go without one.

    python3 models/experts.py models/micro-world-experts-q8_0.gguf

On held-out rich stories, each token counted once a layer:
  load       share of the tokens that an expert takes; even is experts used / experts
  kinds      the same for names, things, places, colours, verbs, questions and the rest
  bits       mutual information between the pair of experts chosen and the kind, and between the pair and the token: 0
             if the choice ignores it; at most the entropy of the pairs
  same       share of neighbouring tokens that go to the same pair, and what it would be if they were shuffled
Then what is lost, in nats a token and right answers, if an expert is never chosen, and if only the best one is.
"""

import argparse
import collections
import contextlib
import functools
import itertools
import json
import math

import torch

import evaluate
import gguf_file
import micro_world

KINDS = {
    "name": micro_world.NAMES, "thing": micro_world.THINGS, "place": micro_world.PLACES,
    "colour": micro_world.COLOURS, "verb": [*micro_world.HAVING, *micro_world.BEING, "have", "does"],
    "question word": ["Who", "What", "Where"], "mark": [".", "?", ",", ":"],
}


def kind_of(text):
    word = text.strip()
    return next((kind for kind, words in KINDS.items() if word in words), "other")


@torch.no_grad()
def choices(network, text, stories, seed=99):
    """Rows (story, token id, pair of experts by layer) of held-out stories."""
    generator = micro_world.Generator(seed, held_out=True)
    rows = []
    for story in range(stories):
        ids, _ = text.encode_story(generator.story(micro_world.RICH))
        network(torch.tensor([ids]))
        pairs = [[tuple(weights.nonzero().flatten().tolist()) for weights in layer.routing[0]]
                 for layer in network.blk if layer.routed]
        rows += [(story, *row) for row in zip(ids, zip(*pairs, strict=True), strict=True)]
    return rows


def entropy(counter):
    total = sum(counter.values())
    return -sum(n / total * math.log2(n / total) for n in counter.values())


def information(pairs):
    """Mutual information of the two sides, in bits."""
    left, right = (collections.Counter(side) for side in zip(*pairs, strict=True))
    return entropy(left) + entropy(right) - entropy(collections.Counter(pairs))


def kind_share(pairs, kinds, kind, expert):
    """Of the tokens of a kind, the share that the expert takes."""
    taken = sum(expert in pair for pair, other in zip(pairs, kinds, strict=True) if other == kind)
    return round(taken / kinds.count(kind), 3)


def table(network, text, stories):
    rows = choices(network, text, stories)
    kinds = [kind_of(text.tokenizer.decode([id])) for _, id, _ in rows]
    first = network.shape.dense_layers
    result = []
    for place in range(network.shape.layers - first):
        pairs = [row[2][place] for row in rows]
        counts = collections.Counter(pairs)
        neighbours = [(a[2][place], b[2][place]) for a, b in itertools.pairwise(rows) if a[0] == b[0]]
        experts = range(network.shape.experts)
        share = functools.partial(kind_share, pairs, kinds)
        result.append({
            "layer": first + place,
            "load": [round(sum(e in pair for pair in pairs) / len(pairs), 3) for e in experts],
            "kinds": {kind: [share(kind, e) for e in experts] for kind in [*KINDS, "other"]},
            "bits": {"pairs": round(entropy(counts), 3),
                     "kind": round(information(list(zip(pairs, kinds, strict=True))), 3),
                     "token": round(information([(p, row[1]) for p, row in zip(pairs, rows, strict=True)]), 3)},
            "same": {"neighbours": round(sum(a == b for a, b in neighbours) / len(neighbours), 3),
                     "shuffled": round(sum((n / len(pairs)) ** 2 for n in counts.values()), 3)},
        })
    return {"stories": stories, "tokens": len(rows), "layers": result}


@contextlib.contextmanager
def without(network, layer, expert):
    """The expert is never chosen."""
    bias = network.blk[layer].exp_probs_b.bias
    kept = bias.clone()
    bias[expert] = -math.inf
    yield
    bias.copy_(kept)


@contextlib.contextmanager
def only_the_best(network):
    routers = [layer.ffn_gate_inp for layer in network.blk if layer.routed]
    for router in routers:
        router.used = 1
    yield
    for router in routers:
        router.used = network.shape.experts_used


def cost(network, text, stories):
    loss = evaluate.loss(network, text, micro_world.RICH, stories)
    scores = evaluate.accuracy(network, text, micro_world.RICH, stories)
    return {"loss": round(loss, 4), "questions": round(scores["questions"], 4), "retold": round(scores["retold"], 4)}


def ablations(network, text, stories):
    result = {"stories": stories, "whole": cost(network, text, stories), "without": []}
    with only_the_best(network):
        result["only the best"] = cost(network, text, stories)
    for number, layer in enumerate(network.blk):
        for expert in range(network.shape.experts) if layer.routed else ():
            with without(network, number, expert):
                result["without"].append({"layer": number, "expert": expert} | cost(network, text, stories))
    return result


def show(result):
    for row in result["layers"]:
        print(f"layer {row['layer']}: load {row['load']}  bits {row['bits']}  same pair {row['same']}")
        for kind, shares in row["kinds"].items():
            print(f"  {kind:14}" + "".join(f"{100 * share:6.0f}" for share in shares))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--output", help="write the table as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, text = gguf_file.read(arguments.model)
    result = table(network, text, arguments.stories)
    show(result)
    result["ablations"] = ablations(network, text, arguments.stories // 2)
    print(json.dumps(result["ablations"], indent=1))
    if arguments.output:
        with open(arguments.output, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
