"""What the training steps see: rows of token ids, drawn from the step's number alone, so that a run can be resumed.

A row is one of four things: a sequence of random tokens that repeats itself, from which induction heads form; one that
is then said backwards, from which looking up what came *before* forms; one story; or several stories on lines of their
own, cut anywhere, as a file of stories reads.
"""

import dataclasses
import random

import torch

import micro_world

# share of held-out answers right; what has formed goes there within 200 steps, what has not stays near 0.5
ENOUGH = 0.9
IGNORE = -100  # targets that do not count
POOL = 4  # steps whose rows are drawn together and sorted by length, to pad less


@dataclasses.dataclass(frozen=True)
class Stage:
    name: str
    steps: int  # at least; with `until` more
    length: int  # the longest row, in tokens
    style: micro_world.Style | None = None  # None: random sequences only
    rows: int = 64
    repeats: float = 0.1  # share of rows that are random sequences
    mirrored: float = 0.0  # share of those that are said backwards instead of again
    packed: float = 0.0  # share of steps whose rows hold several stories
    until: tuple = ()  # kinds of held-out answers of which ENOUGH must be right before the next stage begins


class Text:
    """Stories as token ids."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.bos = tokenizer.token_to_id(micro_world.BOS)
        self.eos = tokenizer.token_to_id(micro_world.EOS)
        self.size = tokenizer.get_vocab_size()

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_story(self, story):
        """Ids, and the spans (kind, start, end) of them that follow from the story."""
        ids, spans = [self.bos], []
        for kind, text in story.segments():
            start = len(ids)
            ids += self.encode(text)
            if kind:
                spans.append((kind, start, len(ids)))
        return ids, spans

    def repeated(self, draw, length):
        """Random tokens that repeat after 8 or more, anything from a byte to a word."""
        period = draw.randint(8, max(8, min(length // 2, 48)))
        pattern = [draw.randrange(2, self.size) for _ in range(period)]
        return ([self.bos] + pattern * (length // period + 1))[: length + 1]

    def mirrored(self, draw, length):
        """Random tokens, then the same backwards."""
        pattern = [draw.randrange(2, self.size) for _ in range(length // 2)]
        return [self.bos] + pattern + pattern[::-1]


class Batches:
    def __init__(self, text, seed):
        self.text, self.seed = text, seed
        self.pools = {}

    def batch(self, stage, step):
        """Inputs and targets of a step of the stage, both [rows, length]."""
        key = (stage.name, step // POOL)
        if key not in self.pools:
            self.pools = {key: self._pool(stage, random.Random(f"{self.seed} {stage.name} {step // POOL}"))}
        return self._pad(self.pools[key][step % POOL])

    def _pool(self, stage, draw):
        rows = [self._row(stage, draw) for _ in range(stage.rows * POOL)]
        rows.sort(key=len)
        batches = [rows[i * stage.rows: (i + 1) * stage.rows] for i in range(POOL)]
        draw.shuffle(batches)
        return batches

    def _row(self, stage, draw):
        if stage.style is None or draw.random() < stage.repeats:
            mirrored = draw.random() < stage.mirrored
            return self.text.mirrored(draw, stage.length) if mirrored else self.text.repeated(draw, stage.length)
        generator = micro_world.Generator(draw.getrandbits(64))
        if draw.random() < stage.packed:
            return self._packed(stage, generator, draw)
        while True:
            ids, _ = self.text.encode_story(generator.story(stage.style))
            if len(ids) <= stage.length:
                return ids + [self.text.eos]

    def _packed(self, stage, generator, draw):
        lines = "".join(generator.story(stage.style).text + "\n" for _ in range(stage.length // 24))
        ids = self.text.encode(lines)
        start = draw.choice([0, draw.randrange(60)])
        return [self.text.bos] + ids[start: start + stage.length]

    def _pad(self, rows):
        length = max(map(len, rows))
        ids = torch.tensor([row + [self.text.eos] * (length - len(row)) for row in rows])
        targets = torch.tensor([row[1:] + [IGNORE] * (length - len(row)) for row in rows])
        return ids[:, :-1], targets
