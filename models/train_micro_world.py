"""Trains the embedded model: python3 models/train_micro_world.py --output models/build

Seeded, on one core by default, checkpointed every 100 steps; started again it goes on where it stopped. Activations are
bfloat16 where the processor multiplies it in hardware (four times as fast there, a third as fast elsewhere); weights
and optimiser are float32. Afterwards export.py writes the GGUF.

With --fake-quant it fine-tunes a GGUF while rounding every matrix as the format stores it (quantisation-aware
training), writes the rounded model, and reports it next to the same GGUF rounded without training (post-training
quantisation):

    python3 models/train_micro_world.py --fake-quant Q4_0 --from models/micro-world-f16.gguf
"""

import argparse
import csv
import dataclasses
import json
import math
import os
import time

import torch
from torch.nn import functional as F

import batches
import evaluate
import fake_quant
import gguf_file
import micro_world

# First copying, because looking up is built on it. Then plain stories until what comes *after* a name is looked up;
# then random sequences said backwards and stories said the other way round ("This is the ball Mia has."), until what
# came *before* is looked up too ("Who has the ball?"). Then colours and richer language. Each kind of looking up forms
# suddenly, at a step that the last bit of a sum can move by hundreds: a stage with `until` waits for it. Without the
# sequences said backwards, looking up backwards stayed a guess in three trials of four; with them before the plain
# stories it took 2,000 steps, after them 300.
LLAMA_STAGES = [
    batches.Stage("random repeats", 800, 32),
    batches.Stage("short stories", 800, 64, micro_world.PLAIN, until=("what has", "where is name")),
    batches.Stage("plain stories", 500, 112, micro_world.PLAIN),
    batches.Stage("random mirrored", 400, 32, mirrored=0.5),
    batches.Stage("shown stories", 800, 112, micro_world.SHOWING, mirrored=0.5, until=("who has", "who is at")),
    batches.Stage("colours", 600, 112, micro_world.COLOURED, mirrored=0.5),
    batches.Stage("rich stories", 800, 120, micro_world.RICH, mirrored=0.5, packed=0.2),
]
# Of the sibling, whose router is what one wants to see, not its answers: half the rows, and no waiting.
EXPERT_STAGES = [
    batches.Stage("random repeats", 1600, 32, rows=32),
    batches.Stage("short stories", 1600, 64, micro_world.PLAIN, rows=32),
    batches.Stage("rich stories", 200, 120, micro_world.RICH, rows=32, packed=0.2),
]
STAGES = {"llama": LLAMA_STAGES, "deepseek2": EXPERT_STAGES}
FINE_TUNING = batches.Stage("fine-tuning", 300, 120, micro_world.RICH, packed=0.2)
FINE_TUNING_RATE = 4e-4
PEAK_RATE, LAST_RATE, WARM_UP = 1e-3, 5e-5, 50
EVERY = 100  # steps from one evaluation and checkpoint to the next
PATIENCE = 2000  # steps that a stage waits beyond its own


@dataclasses.dataclass
class Place:
    """Where training is."""

    stage: int = 0
    step: int = 0  # of the stage
    total: int = 0  # steps of all stages
    tokens: int = 0
    seconds: float = 0.0

    def rate(self, stages):
        """The learning rate: a short linear rise, then constant; half a cosine over the last stage."""
        if self.total < WARM_UP:
            return PEAK_RATE * (self.total + 1) / WARM_UP
        fallen = self.step / stages[-1].steps if self.stage == len(stages) - 1 else 0
        return LAST_RATE + (PEAK_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * fallen))

    def move_on(self, stages, scores):
        """To the next stage, if this one is over."""
        stage = stages[self.stage]
        low = [f"{kind} {scores[kind]:.0%}" for kind in stage.until if scores[kind] < batches.ENOUGH]
        if self.step >= stage.steps + PATIENCE and low:
            missing = ", ".join(low)
            raise SystemExit(f"'{stage.name}' did not form within {self.step} steps: {missing}. Another --seed may.")
        if self.step >= stage.steps and not low:
            self.stage, self.step = self.stage + 1, 0


def optimiser(network):
    """AdamW; matrices decay, norms do not."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    norms = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


class Log:
    """One line of CSV an evaluation, written as it happens."""

    def __init__(self, path, resumed):
        self.path = path
        self.kinds = ["retold", "shown", "repeated"] + evaluate.KINDS
        if not resumed:
            with open(path, "w", newline="") as file:
                csv.writer(file).writerow(["step", "stage", "tokens", "seconds", "loss"] + self.kinds)

    def add(self, place, stage, loss, scores):
        row = [place.total, stage, place.tokens, round(place.seconds), f"{loss:.4f}"]
        row += [f"{scores[kind]:.4f}" if kind in scores else "" for kind in self.kinds]
        with open(self.path, "a", newline="") as file:
            csv.writer(file).writerow(row)
        shown = " ".join(f"{kind} {scores[kind]:.2f}" for kind in self.kinds if kind in scores)
        rate = place.tokens / max(place.seconds, 1e-9)
        print(f"{place.total:5} {stage:15} {rate:6.0f} tok/s  loss {loss:.3f}  {shown}", flush=True)


def save(path, **state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def train(arguments):
    torch.set_num_threads(arguments.threads)
    os.makedirs(arguments.output, exist_ok=True)
    path = os.path.join(arguments.output, "checkpoint.pt")
    text = batches.Text(micro_world.train_tokenizer())
    network = gguf_file.NETWORKS[arguments.architecture]()
    network.initialise(torch.Generator().manual_seed(arguments.seed))
    adam = optimiser(network)
    place = Place()
    if os.path.exists(path):
        state = torch.load(path)
        network.load_state_dict(state["model"])
        adam.load_state_dict(state["optimiser"])
        place = Place(**state["place"])
    log = Log(os.path.join(arguments.output, "curve.csv"), resumed=place.total > 0)
    stages, source = STAGES[arguments.architecture], batches.Batches(text, arguments.seed)
    while place.stage < len(stages) and (not arguments.stop or place.total < arguments.stop):
        stage, losses, started = stages[place.stage], [], time.time()
        for _ in range(EVERY):
            started += wait(arguments.pause)
            inputs, targets = source.batch(stage, place.step)
            losses.append(step(network, adam, inputs, targets, place.rate(stages), arguments.float32))
            place.step, place.total, place.tokens = place.step + 1, place.total + 1, place.tokens + inputs.numel()
        scores = evaluate.accuracy(network, text, stage.style or micro_world.PLAIN, stories=64)
        place.seconds += time.time() - started
        log.add(place, stage.name, sum(losses) / len(losses), scores)
        place.move_on(stages, scores)
        save(path, model=network.state_dict(), optimiser=adam.state_dict(), place=dataclasses.asdict(place))


def wait(path):
    """Sleeps while the file is there; returns for how many seconds."""
    started = time.time()
    while path and os.path.exists(path):
        time.sleep(1)
    return time.time() - started


def multiplies_bfloat16():
    """Whether the processor does so in hardware, as Linux tells."""
    if not os.path.exists("/proc/cpuinfo"):
        return False
    with open("/proc/cpuinfo") as file:
        words = set(file.read().split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def step(network, adam, inputs, targets, learning_rate, float32):
    """One step of gradient descent; returns the loss before it."""
    for group in adam.param_groups:
        group["lr"] = learning_rate
    with torch.autocast("cpu", torch.bfloat16, enabled=not float32):
        logits = network(inputs)
    loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=batches.IGNORE)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    adam.step()
    adam.zero_grad()
    network.after_step(targets != batches.IGNORE)
    return loss.item()


def fine_tune(arguments):
    """Quantisation-aware training; writes the rounded model, and a report of before and after. F16 is the control: as
    many steps without rounding, rounded afterwards."""
    torch.set_num_threads(arguments.threads)
    os.makedirs(arguments.output, exist_ok=True)
    name = arguments.fake_quant
    network, text = gguf_file.read(arguments.start)
    rows = [measure(network, text, "F16", "none")]
    if name == "F16":
        descend(network, text, arguments)
        rows.append(measure(network, text, "F16", "trained on"))
        rounded = fake_quant.FORMATS.values()
        rows += [measure_rounded(network, text, format, "trained on, then PTQ") for format in rounded]
    else:
        format = fake_quant.FORMATS[name]
        rows.append(measure_rounded(network, text, format, "PTQ"))
        fake_quant.install(network, format, every=8)
        descend(network, text, arguments)
        fake_quant.remove(network)
        path = os.path.join(arguments.output, f"micro-world-qat-{name.lower()}.gguf")
        gguf_file.write(path, network, text.tokenizer, name, fake_quant.encoder(format),
                        f"Micro World, trained as {name}")
        rows.append(measure(gguf_file.read(path)[0], text, name, "QAT"))
    with open(os.path.join(arguments.output, f"quantised-{name.lower()}.json"), "w") as file:
        json.dump(rows, file, indent=1)
    print(json.dumps(rows, indent=1))


def descend(network, text, arguments):
    """The steps of fine-tuning."""
    source = batches.Batches(text, arguments.seed)
    adam = optimiser(network)
    network.train()
    steps = min(FINE_TUNING.steps, arguments.stop or FINE_TUNING.steps)
    losses = []
    for number in range(steps):
        inputs, targets = source.batch(FINE_TUNING, number)
        now = FINE_TUNING_RATE * min(1, (number + 1) / 20) * 0.5 * (1 + math.cos(math.pi * number / steps))
        losses.append(step(network, adam, inputs, targets, now, arguments.float32))
        if (number + 1) % 50 == 0:
            print(f"{number + 1:5} {arguments.fake_quant} loss {sum(losses) / len(losses):.3f}", flush=True)
            losses = []
    network.eval()


def measure_rounded(network, text, format, method):
    """Of the network with all matrices rounded to the format."""
    fake_quant.install(network, format)
    row = measure(network, text, format.name, method)
    fake_quant.remove(network)
    return row


@torch.no_grad()
def measure(network, text, format, method, stories=200):
    """A row of the report, on held-out stories."""
    network.eval()
    loss = evaluate.loss(network, text, micro_world.RICH, stories)
    scores = evaluate.accuracy(network, text, micro_world.RICH, stories)
    row = {"format": format, "method": method, "loss": loss, "perplexity": math.exp(loss)}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in (row | scores).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="models/build", help="folder of checkpoint.pt and curve.csv")
    parser.add_argument("--architecture", choices=gguf_file.NETWORKS, default="llama")
    parser.add_argument("--pause", metavar="FILE", help="sleep while this file is there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stop", type=int, help="stop after this many steps")
    parser.add_argument("--float32", action=argparse.BooleanOptionalAction, default=not multiplies_bfloat16(),
                        help="no bfloat16 (default: where the processor has none)")
    parser.add_argument("--fake-quant", choices=["F16", *fake_quant.FORMATS], help="fine-tune rounded to this format")
    parser.add_argument("--from", dest="start", default="models/micro-world-f16.gguf", help="the GGUF to fine-tune")
    arguments = parser.parse_args()
    if arguments.fake_quant:
        fine_tune(arguments)
    else:
        train(arguments)


if __name__ == "__main__":
    main()
