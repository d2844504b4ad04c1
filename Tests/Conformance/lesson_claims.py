"""Answers to lessons 0, 22 and 23 (five minutes, what they say, the capstone), as lesson_answers.py has them for the
others.
"""

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, quants

from lesson_answers import Q4_1, W, away, logits, repeated, super10
from lesson_measures import reading, written


# Zero: the head that looks at the name which is said next.
def name0(f):
    said = f.one("SELECT piece FROM token WHERE source = 'generated' ORDER BY position LIMIT 1").strip()
    pieces = f.column("SELECT piece FROM token WHERE source = 'prompt' ORDER BY position")
    return [piece.strip() for piece in pieces].index(said)


def look0(f):
    """Layer and share of the head whose largest share at the last position is the name's, and the largest of these."""
    name = name0(f)
    share, layer = max(
        (float(shares[name]), layer)
        for layer in range(int(f.reader.fields["llama.block_count"].contents()))
        for shares in f.values(f"kq_soft_max-{layer}")[:, -1]
        if np.argmax(shares) == name)
    return layer, share


def chance0(f):
    powers = np.exp(logits(f) - logits(f).max())
    return float((powers / powers.sum()).max())


# Twenty-two: the first block.
def block22(f): return f.flat(W, 0, 32)


def second22(f):
    """Of Q4_1: the minimum, and whether the weight of code zero comes back as something else."""
    raw = quants.quantize(block22(f).astype(np.float32), Q4_1).reshape(-1)
    d, m = (float(v) for v in raw[:4].view(np.float16))
    codes = np.concatenate([raw[4:] & 15, raw[4:] >> 4])
    values = d * codes + m
    return m, abs(values[np.argmin(codes)] - m) > abs(d) / 2


def zero22(f):
    up = block22(f) - block22(f).min() + 0.5
    return int(away(-up.min() / ((up.max() - up.min()) / 255)))


def tensors22(f, kind): return sum(int(t.n_bytes) for t in GGUFReader(written(f, kind)).tensors)


def floats22(f):
    plain = (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16)
    return sum(int(t.n_bytes) for t in f.reader.tensors if t.tensor_type in plain)


def largest22(f): return float(block22(f)[np.argmax(np.abs(block22(f)))])


# Twenty-three: KLDs.
def times23(f): return reading(f).version(written(f, "Q4_0"))[1] / reading(f).version(written(f, "Q4_K_M"))[1]


ANSWERS = {
    "five-minutes/answer": lambda f: int(np.argmax(logits(f))),
    "five-minutes/look": lambda f: 100 * look0(f)[1],
    "five-minutes/what": lambda f: ("From the text.", 100 * chance0(f)),
    "what-they-say/outliers": lambda f: f"{second22(f)[1]} {second22(f)[0]}",
    "what-they-say/zero-point-sign": lambda f: f"{zero22(f) == 0} {zero22(f)}",
    "what-they-say/s-m-l": lambda f: f"false {tensors22(f, 'Q4_K_M') - tensors22(f, 'Q4_K_S')}",
    "what-they-say/k8": lambda f: f"false {256 // 32 * (32 + 2)}",
    "what-they-say/q2-four": lambda f: f"false {84 * 8 / 256}",
    "what-they-say/super-scale": lambda f: f"false {super10(f)[0] * min(super10(f)[2])}",
    "what-they-say/inverse": lambda f: f"false {largest22(f) * abs(largest22(f)) / 127}",
    "what-they-say/gguf-method": lambda f: f"{floats22(f) == 0} {floats22(f)}",
    "what-they-say/gqa-flops": lambda f: f"false {f.values('kq-0').size}",
    "what-they-say/training-set": lambda f: f"false {reading(f).perplexity()}",
    "what-they-say/increase": lambda f: 6.1565 - 5.9066,
    "what-they-say/small-slow": lambda f: (
        f"{tensors22(f, 'Q4_K_S') > tensors22(f, 'Q4_K_M')} {tensors22(f, 'Q4_K_S')}"),
    "capstone/par": times23,
}

MISTAKES = {
    "five-minutes/look": (lambda f: look0(f)[1], "That is the share"),
    "what-they-say/outliers": (lambda f: f"{second22(f)[1]} {block22(f).max()}", "at the other end"),
    "what-they-say/zero-point-sign": (lambda f: f"{zero22(f) == 0} {-zero22(f)}", "below"),
    "what-they-say/q2-four": (lambda f: "false 2", "The codes alone"),
    "what-they-say/super-scale": (lambda f: f"false {super10(f)[0] * max(super10(f)[2])}", "the largest"),
    "what-they-say/increase": (lambda f: 6.1565, "itself"),
    "capstone/par": (lambda f: 1 / times23(f), "upside down"),
}

CHANGES = {
    "five-minutes/silence": lambda f: (
        repeated(f, ["--set", "result_output[0]=0"]), repeated(f, ["--set", f"attn_out-{look0(f)[0]}=0"])),
    "attention/silence-head": lambda f: tuple(
        repeated(f, ["--set", f"kq_soft_max-0{heads}=0"]) for heads in ("", "[:,:,0]")),
    "capstone/best": lambda f: tuple(
        ["quantize", f.one("SELECT path FROM model"), "OUT", kind, "--allow-requantize"]
        for kind in ("Q3_K_M", "Q4_K_M")),
}
