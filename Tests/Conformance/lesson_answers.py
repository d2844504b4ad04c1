"""Answers of every question of the course, each computed here from the GGUF and the trace with numpy: nothing is taken
from the lessons but their ids.

An entry of ANSWERS: lesson/question -> function of Facts, giving an answer as a learner types it. An entry of MISTAKES:
the same, with words that the diagnosis must contain. An entry of CHANGES: a function giving two command lines that
write OUT, of which the first makes something to be refused and the second something to be accepted.
"""

import json
import math
import sqlite3

import gguf
import numpy as np


class Facts:
    def __init__(self, model, trace, q4_k):
        """`q4_k` encodes 256 numbers: package gguf decodes that format but does not encode it."""
        self.q4_k, self.trace = q4_k, trace
        self.db = sqlite3.connect(f"file:{trace}?mode=ro", uri=True)
        self.reader = gguf.GGUFReader(model)
        self.tensors = {t.name: t for t in self.reader.tensors}
        self.model_bytes = __import__("os").path.getsize(model)

    def made_q4_k(self):
        return self.q4_k(self.flat(W, 0, 256))

    def one(self, sql):
        return self.db.execute(sql).fetchone()[0]

    def column(self, sql):
        return [row[0] for row in self.db.execute(sql)]

    def values(self, name, number=-1, step=0):
        """A recorded tensor as an array of [ne2, ne1, ne0] without leading ones; `number` of the nodes of a name."""
        rows = self.db.execute(
            "SELECT op.id, ne0, ne1, ne2 FROM op JOIN pass ON pass.id = pass_id "
            "WHERE name = ? AND step = ? ORDER BY seq",
            (name, step)).fetchall()
        rows = [r for r in rows if self.db.execute("SELECT 1 FROM tensor WHERE op_id = ?", (r[0],)).fetchone()]
        op, ne0, ne1, ne2 = rows[number]
        data = b"".join(self.column(f"SELECT data FROM tensor WHERE op_id = {op} ORDER BY chunk"))
        return np.frombuffer(data, "<f4").astype(np.float64).reshape(ne2, ne1, ne0).squeeze(0) if ne2 == 1 else \
            np.frombuffer(data, "<f4").astype(np.float64).reshape(ne2, ne1, ne0)

    def row(self, name, r):
        t = self.tensors[name]
        rows = t.data.reshape(-1, t.data.shape[-1])
        return gguf.quants.dequantize(rows[r:r + 1], t.tensor_type).reshape(-1).astype(np.float64)

    def flat(self, name, first, count):
        width = int(self.tensors[name].shape[0])
        start = first // width
        rows = [self.row(name, r) for r in range(start, -(-(first + count) // width))]
        return np.concatenate(rows)[first - start * width:][:count]


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def half(x):
    return np.asarray(x, np.float32).astype(np.float16).astype(np.float64)


def brain(x):
    """Rounded to BF16, ties to even."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return (((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def away(x):
    """Rounded, halves away from zero."""
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def decoded(x, kind):
    x = np.asarray(x, np.float32)
    return gguf.quants.dequantize(gguf.quants.quantize(x, kind), kind).astype(np.float64)


Q8_0, Q4_0, Q4_1 = (gguf.GGMLQuantizationType[k] for k in ("Q8_0", "Q4_0", "Q4_1"))
W = "blk.0.attn_output.weight"


def absmax(x):
    d = np.float32(np.max(np.abs(x)) / 127)
    return float(d), away(x / d) * d


# One: the file.
def size(f): return f.model_bytes
def n_params(f): return sum(int(t.n_elements) for t in f.reader.tensors)
def data_bytes(f): return sum(int(t.n_bytes) for t in f.reader.tensors)
def largest(f): return max(f.reader.tensors, key=lambda t: (int(t.n_bytes), t.name != "token_embd.weight"))
def embd(f): return f.tensors["token_embd.weight"]
def embd_row(f): return int(embd(f).n_bytes) // int(embd(f).shape[1])


# Two: tokens.
def prompt_ids(f): return f.column("SELECT token_id FROM token WHERE source = 'prompt' ORDER BY position")
def logits(f): return f.values("result_output").reshape(-1)


# Five: the float that the lesson picks: about seven tenths of an F16 step past a neighbour.
def picked_float(f):
    v = f.values("l_out-0")[1]
    steps = np.abs(v) / 2.0 ** (np.floor(np.log2(np.abs(v))) - 10)
    off = np.abs(steps - np.trunc(steps) - 0.7) + 10 * (np.abs(v) < 0.0625) + 10 * (np.abs(v) > 0.125)
    return float(v[np.argmin(off)])


def exponent(f): return math.floor(math.log2(abs(picked_float(f))))


# Six: numbers of the residual stream.
def block6(f): return f.values("l_out-0")[1][:32]
def step6(f): return np.max(np.abs(block6(f))) / 127


def picked_weight(f):
    w, d = block6(f), step6(f)
    parts = np.abs(w / d - np.trunc(w / d))
    return float(w[np.argmin(np.abs(parts - 0.7) + 10 * (np.abs(w) < 36 * d))])


def error6(f, blocks):
    w = f.values("l_out-0")[1]
    return rms((decoded(w, Q8_0) if blocks else absmax(w)[1]) - w)


# Seven: the second block.
def block7(f): return f.flat(W, 32, 32)
def step41(f): return (block7(f).max() - block7(f).min()) / 15
def peak7(f): return block7(f)[np.argmax(np.abs(block7(f)))]


def codes40(f):
    raw = gguf.quants.quantize(block7(f).astype(np.float32), Q4_0).reshape(-1)
    d = float(raw[:2].view(np.float16)[0])
    return d, np.concatenate([raw[2:] & 15, raw[2:] >> 4]).astype(int)


def value40(f, offset=8, shift=0):
    d, codes = codes40(f)
    return d * (codes[int(np.argmax(np.abs(codes[:8] - 8))) + shift] - offset)


def clipped7(f):
    """The largest error of 2048 weights in Q4_0, in steps."""
    w = f.flat(W, 0, 2048).astype(np.float32)
    raw = gguf.quants.quantize(w, Q4_0).reshape(-1, 18)
    d = np.abs(raw[:, :2].copy().view(np.float16).astype(np.float64))
    values = gguf.quants.dequantize(raw.reshape(-1), Q4_0).reshape(-1, 32)
    return float((np.abs(values - w.reshape(-1, 32)) / d).max())


# Eight: the hidden numbers of the first feed-forward network for token one, in blocks of 32.
def row8(f): return f.values("ffn_swiglu-0")[1][:len(f.values("ffn_swiglu-0")[1]) // 32 * 32]
def power8(f): return 2.0 ** (math.frexp(np.max(np.abs(row8(f))))[1])
def fixed8(f): return np.clip(away(row8(f) / (power8(f) / 128)), -128, 127) * (power8(f) / 128)
def error8(f, which):
    return rms({"fixed": fixed8(f), "absmax": absmax(row8(f))[1], "q8": decoded(row8(f), Q8_0)}[which] - row8(f))
def stream8(f, kind): return rms(decoded(f.values("l_out-0")[1], kind) - f.values("l_out-0")[1])
def db(ratio): return 20 * math.log10(ratio)


def pair8(f):
    w = f.values("ffn_out-0")[1]
    m = np.max(np.abs(w)) / 3
    d = absmax(w)[0]
    return tuple(int(away(w[np.argmin(np.abs(w - s * m))] / d)) for s in (1, -1))


# Nine: a block of Q4_0 against a block of Q8_0, in whole numbers.
def blocks9(f):
    w = gguf.quants.quantize(f.flat(W, 0, 32).astype(np.float32), Q4_0).reshape(-1)
    x = gguf.quants.quantize(f.values("kqv_out-0")[1][:32].astype(np.float32), Q8_0).reshape(-1)
    codes = np.concatenate([w[2:] & 15, w[2:] >> 4]).astype(int) - 8
    return float(w[:2].view(np.float16)[0]), codes, float(x[:2].view(np.float16)[0]), x[2:].view(np.int8).astype(int)


def product9(f):
    dw, qw, dx, qx = blocks9(f)
    return int(qw @ qx) * dw * dx


def activations9(f):
    """The block's product less the one with exact activations."""
    dw, qw, _, _ = blocks9(f)
    return product9(f) - float(dw * qw @ f.values("kqv_out-0")[1][:32])


def weights9(f):
    dw, qw, _, _ = blocks9(f)
    x = f.values("kqv_out-0")[1][:32]
    return float(dw * qw @ x) - float(f.flat(W, 0, 32) @ x)


# Ten: the block's bytes are ggml's own; they are taken apart here.
def super10(f):
    raw = f.made_q4_k()
    d, dmin = (float(v) for v in raw[:4].view(np.float16))
    packed = raw[4:16].astype(int)
    sc = [packed[j] & 63 if j < 4 else (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4 for j in range(8)]
    mn = [packed[j + 4] & 63 if j < 4 else (packed[j + 4] >> 4) | (packed[j] >> 6) << 4 for j in range(8)]
    qs = raw[16:].reshape(4, 32)
    codes = np.concatenate([np.concatenate([q & 15, q >> 4]) for q in qs]).astype(int)
    return d, dmin, sc, mn, codes


def value10(f, minimum=1):
    d, dmin, sc, mn, codes = super10(f)
    return d * sc[2] * int(codes[64:96].max()) - minimum * dmin * mn[2]


def gain10(f):
    w = f.flat(W, 0, 256)
    d, dmin, sc, mn, codes = super10(f)
    k = np.repeat(d * np.array(sc), 32) * codes - np.repeat(dmin * np.array(mn), 32)
    return rms(decoded(w, Q4_0) - w) / rms(k - w)


# Eleven: llama.cpp's rules for Q4_K_M, for models of one expert, and what steps in where blocks of 256 do not fill
# rows.
BITS = {"F32": 32, "F16": 16, "BF16": 16, "Q4_1": 5, "Q4_K": 4.5, "Q6_K": 6.5625, "Q5_0": 5.5, "Q8_0": 8.5}


def favoured11(i, n): return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def mixed11(f, tensor):
    name, rows = tensor.name, int(tensor.shape[0])
    if len(tensor.shape) < 2 or name.endswith("norm.weight"):
        return tensor.tensor_type.name
    output = name == "output.weight" or (name == "token_embd.weight" and "output.weight" not in f.tensors)
    layer = int(name.split(".")[1]) if name.startswith("blk.") else None
    more = output or ((".attn_v." in name or ".ffn_down." in name) and favoured11(layer, layers12(f)))
    if rows % 256 == 0:
        return "Q6_K" if more else "Q4_K"
    return "Q8_0" if more else "Q5_0"


def bits11(f, kind=mixed11):
    return sum(BITS[kind(f, t)] * int(t.n_elements) for t in f.reader.tensors) / n_params(f)


def favoured_layers11(f): return sum(favoured11(i, layers12(f)) for i in range(layers12(f)))
def down11(f): return int(f.tensors["blk.0.ffn_down.weight"].n_elements)


# Twelve: the position that a token comes back at, and the second pair of head zero at position four, turned here.
def twins12(f):
    ids = prompt_ids(f)
    again = max(p for p, t in enumerate(ids) if t in ids[:p])
    return ids.index(ids[again]), again


def rope12(f):
    key = f.reader.fields.get("llama.rope.freq_base")
    _, _, size = shape14(f)
    return (float(key.contents()) if key else 10000.0), size, f.values("Qcur-0", 0)[4][:size]


def angle12(f, sign=-1): return 4 * rope12(f)[0] ** (sign * 2 / rope12(f)[1])
def layers12(f): return int(f.reader.fields["llama.block_count"].contents())


def turned12(f, partner=3, exponent=2):
    base, size, q = rope12(f)
    angle = 4 * base ** (-exponent / size)
    return q[2] * math.cos(angle) - q[partner] * math.sin(angle)


# Thirteen: softmax of the recorded scores of head zero.
def shares13(f):
    scores = f.values("kq-0")[0][4][:5] / math.sqrt(shape14(f)[2])
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


# Fourteen: heads, KV heads and numbers per head, from the metadata and the shapes.
def shape14(f):
    def key(name): return int(f.reader.fields[name].contents())
    heads = key("llama.attention.head_count")
    size = int(f.tensors["blk.0.attn_q.weight"].shape[1]) // heads
    return heads, int(f.tensors["blk.0.attn_k.weight"].shape[1]) // size, size


# Fifteen: the number of token one whose gate is nearest to 1.2, and the loudest hidden one.
def hidden15(f):
    gate, up = (f.values(n)[1] for n in ("ffn_gate-0", "ffn_up-0"))
    return gate, up, int(np.argmin(np.abs(gate - 1.2) + (np.abs(up) < 0.1)))


def silu(x): return x / (1 + np.exp(-x))


def picked15(f):
    gate, up, i = hidden15(f)
    return gate[i], up[i]


def loudest15(f): return int(np.argmax(np.abs(silu(hidden15(f)[0]) * hidden15(f)[1])))


def share15(f, matrices=3):
    sizes = {n.split(".")[2]: int(t.n_elements) for n, t in f.tensors.items() if n.startswith("blk.0.")}
    ffn = sum(sizes.pop(n) for n in ("ffn_gate", "ffn_up", "ffn_down")) * matrices / 3
    return 100 * ffn / (ffn + sum(sizes.values()))


# Sixteen: the two largest logits, and what the last layer adds to the largest: the lens in double precision.
def best16(f): return [int(i) for i in np.argsort(-logits(f))[:2]]
def gap16(f): return float(np.diff(logits(f)[best16(f)])[0]) * -1


def added16(f):
    stream = f.values(f"l_out-{layers12(f) - 2}")[-1]
    table = "output.weight" if "output.weight" in f.tensors else "token_embd.weight"
    normed = stream / math.sqrt(np.mean(stream ** 2) + eps(f)) * f.row("output_norm.weight", 0)
    return float(logits(f)[best16(f)[0]] - normed @ f.row(table, best16(f)[0]))


def scaled_rms(f): return rms(f.values("norm-0", 0)[1])
def embd1(f): return f.values("embd")[1]
def eps(f): return json.loads(f.one("SELECT params FROM op WHERE kind = 'RMS_NORM' LIMIT 1"))["eps"]
def parts3(f): return [f.values(n)[1] for n in ("embd", "attn_out-0", "ffn_out-0")]


ANSWERS = {
    "gguf/bits-per-weight": lambda f: size(f) * 8 / n_params(f),
    "gguf/largest": lambda f: f"{largest(f).name} {100 * int(largest(f).n_bytes) / data_bytes(f)}",
    "gguf/row-offset": lambda f: int(embd(f).data_offset) + embd_row(f),
    "gguf/no-code": lambda f: f"false {size(f) - data_bytes(f)}",
    "tokens/token-count": lambda f: len(prompt_ids(f)),
    "tokens/last-token": lambda f: prompt_ids(f)[-1],
    "tokens/next-token": lambda f: int(np.argmax(logits(f))),
    "residual/embedding-address": lambda f: f"embd[6,{len(prompt_ids(f)) - 1}]",
    "residual/which-row": lambda f: prompt_ids(f)[1],
    "residual/stream": lambda f: sum(p[0] for p in parts3(f)),
    "residual/who-adds-more": lambda f: (
        f"{rms(parts3(f)[1]) > rms(parts3(f)[2])} {rms(parts3(f)[1]) / rms(parts3(f)[2])}"),
    "rmsnorm/rms-by-hand": lambda f: rms(embd1(f)[:4]),
    "rmsnorm/normed": lambda f: embd1(f)[2] / math.sqrt(np.mean(embd1(f) ** 2) + eps(f)),
    "rmsnorm/every-token": lambda f: f"true {scaled_rms(f)}",
    "rmsnorm/loudest": lambda f: int(np.argmax(np.abs(f.row("blk.0.attn_norm.weight", 0)))),
    "floats/exponent": exponent,
    "floats/f16-step": lambda f: 2.0 ** (exponent(f) - 10),
    "floats/f16-error": lambda f: float(half(picked_float(f))) - picked_float(f),
    "floats/bf16-worse": lambda f: f"true {2.0 ** (exponent(f) - 8)}",
    "scales/scale": step6,
    "scales/code": lambda f: int(away(picked_weight(f) / step6(f))),
    "scales/round-trip": lambda f: away(picked_weight(f) / step6(f)) * step6(f) - picked_weight(f),
    "scales/q8-bits": lambda f: (32 * 8 + 16) / 32,
    "scales/gain": lambda f: error6(f, False) / error6(f, True),
    "minimums/q41-scale": step41,
    "minimums/q41-min": lambda f: ("The lowest weight of the block", block7(f).min() + 14 * step41(f)),
    "minimums/q40-scale": lambda f: peak7(f) / -8,
    "minimums/decode-q40": value40,
    "minimums/clipped": clipped7,
    "minimums/zero-point": lambda f: int(away(-block7(f).min() / ((block7(f).max() - block7(f).min()) / 255))),
    "comparison/fixed-step": lambda f: power8(f) / 128,
    "comparison/sqnr": lambda f: db(rms(row8(f)) / error8(f, "fixed")),
    "comparison/order": lambda f: (
        min(
            (error8(f, "fixed"), "Fixed point;"), (error8(f, "absmax"), "INT8 with one"), (error8(f, "q8"), "Q8_0;"),
        )[1],
        error8(f, "absmax") / error8(f, "q8")),
    "comparison/four-bits": lambda f: db(stream8(f, Q4_0) / stream8(f, Q8_0)),
    "quantised-dot/first-terms": lambda f: int(blocks9(f)[1][:3] @ blocks9(f)[3][:3]),
    "quantised-dot/block-result": product9,
    "quantised-dot/whose-error": lambda f: f"{abs(activations9(f)) > abs(weights9(f))} {activations9(f)}",
    "k-quants/bits": lambda f: (256 * 4 + 8 * (6 + 6) + 2 * 16) / 256,
    "k-quants/sub-scale": lambda f: super10(f)[0] * super10(f)[2][2],
    "k-quants/value": value10,
    "k-quants/better": lambda f: db(gain10(f)),
    "mixes/one-format": lambda f: f"false {len({t.tensor_type for t in f.reader.tensors})}",
    "mixes/real-bits": bits11,
    "mixes/who": lambda f: ("attn_v and ffn_down", favoured_layers11(f)),
    "mixes/cost": lambda f: down11(f) * (210 / 256 - 144 / 256),
    "rope/added": lambda f: (
        f"{not np.array_equal(*(f.values('embd')[p] for p in twins12(f)))} {f.values('Qcur-0', 0)[twins12(f)[1]][0]}"),
    "rope/angle": angle12,
    "rope/turned": turned12,
    "rope/what": lambda f: ("Queries and keys, in every layer", 2 * layers12(f)),
    "attention/scale": lambda f: 1 / math.sqrt(shape14(f)[2]),
    "attention/softmax": lambda f: shares13(f).max(),
    "attention/mask": lambda f: len(prompt_ids(f)) * (len(prompt_ids(f)) + 1) // 2,
    "attention/first-token": lambda f: f"true {shares13(f)[:4].sum()}",
    "grouped-query-attention/which-kv-head": lambda f: (shape14(f)[0] - 1) // (shape14(f)[0] // shape14(f)[1]),
    "grouped-query-attention/cache-bytes": lambda f: 2 * shape14(f)[1] * shape14(f)[2] * 2 * len(prompt_ids(f)),
    "grouped-query-attention/saving": lambda f: shape14(f)[0],
    "grouped-query-attention/claims": lambda f: (
        "GQA groups query heads", int(f.tensors["blk.0.attn_k.weight"].n_elements)),
    "swiglu/share": lambda f: f"{share15(f) < 50} {share15(f)}",
    "swiglu/silu": lambda f: silu(picked15(f)[0]),
    "swiglu/hidden": lambda f: silu(picked15(f)[0]) * picked15(f)[1],
    "swiglu/shut": lambda f: f"false {int(np.sum(hidden15(f)[0] < 0))}",
    "logits/odds": lambda f: math.exp(gap16(f)),
    "logits/temperature": lambda f: math.exp(gap16(f) / 3),
    "logits/last-layer": lambda f: f"{added16(f) < 0} {added16(f)}",
    "comparison/plus-minus": lambda f: f"{pair8(f)[0] == pair8(f)[1]} {pair8(f)[0] - pair8(f)[1]}",
}

MISTAKES = {
    "gguf/bits-per-weight": (lambda f: size(f) / n_params(f), "counts bytes"),
    "gguf/row-offset": (lambda f: int(embd(f).data_offset) + 2 * embd_row(f), "third row"),
    "tokens/last-token": (lambda f: prompt_ids(f)[0], "first token"),
    "tokens/next-token": (lambda f: int(np.argsort(-logits(f))[1]), "second choice"),
    "residual/embedding-address": (lambda f: f"embd[{len(prompt_ids(f)) - 1},6]", "Rows for columns"),
    "residual/which-row": (lambda f: 1, "position in the text"),
    "residual/stream": (lambda f: parts3(f)[1][0] + parts3(f)[2][0], "embedding is missing"),
    "rmsnorm/rms-by-hand": (lambda f: np.mean(np.abs(embd1(f)[:4])), "mean of the sizes"),
    "rmsnorm/normed": (lambda f: embd1(f)[2] / np.mean(embd1(f) ** 2), "mean square"),
    "floats/f16-step": (lambda f: 2.0 ** (exponent(f) - 7), "BF16"),
    "floats/f16-error": (lambda f: picked_float(f) - float(half(picked_float(f))), "minus the original"),
    "scales/scale": (lambda f: 127 / np.max(np.abs(block6(f))), "Turned around"),
    "scales/code": (lambda f: int(np.trunc(picked_weight(f) / step6(f))), "cut off"),
    "scales/q8-bits": (lambda f: 8, "scale is stored too"),
    "minimums/q41-scale": (lambda f: (block7(f).max() - block7(f).min()) / 16, "fifteen gaps"),
    "minimums/q40-scale": (lambda f: peak7(f) / 8, "sign is missing"),
    "minimums/decode-q40": (lambda f: value40(f, offset=0), "forgot to take 8"),
    "minimums/zero-point": (lambda f: int(away(-block7(f).min() / step41(f))), "sixteen codes"),
    "minimums/clipped": (lambda f: 0.5, "there is none"),
    "mixes/one-format": (lambda f: f"false {len(f.reader.tensors)}", "how many tensors"),
    "mixes/real-bits": (lambda f: bits11(f, lambda f, t: t.tensor_type.name), "as it is now"),
    "mixes/who": (lambda f: ("attn_q and attn_k", favoured_layers11(f)), "Softmax forgives"),
    "mixes/cost": (lambda f: down11(f) * 2 / 8, "Six less four"),
    "rope/angle": (lambda f: angle12(f, sign=1), "later pairs are slower"),
    "rope/turned": (lambda f: turned12(f, partner=2 + rope12(f)[1] // 2, exponent=4), "Hugging Face"),
    "rope/what": (lambda f: ("Queries and keys, in every layer", 3 * layers12(f)), "Values are not turned"),
    "attention/scale": (lambda f: math.sqrt(shape14(f)[2]), "That is the root"),
    "attention/mask": (lambda f: len(prompt_ids(f)) ** 2, "all pairs"),
    "grouped-query-attention/which-kv-head": (lambda f: shape14(f)[0] - 1, "query head itself"),
    "grouped-query-attention/cache-bytes": (
        lambda f: shape14(f)[1] * shape14(f)[2] * 2 * len(prompt_ids(f)), "Keys or values alone"),
    "swiglu/share": (lambda f: f"{share15(f) < 50} {share15(f, matrices=2)}", "Two matrices"),
    "swiglu/silu": (lambda f: 1 / (1 + np.exp(-picked15(f)[0])), "sigmoid"),
    "swiglu/hidden": (lambda f: picked15(f)[0] * picked15(f)[1], "through SiLU first"),
    "logits/odds": (gap16, "Raise e to it"),
    "logits/temperature": (lambda f: math.exp(gap16(f)) / 3, "divided the odds"),
    "logits/last-layer": (lambda f: f"{added16(f) < 0} {-added16(f)}", "before minus after"),
    "quantised-dot/first-terms": (lambda f: int((blocks9(f)[1][:3] + 8) @ blocks9(f)[3][:3]), "forgot to take 8"),
    "quantised-dot/block-result": (lambda f: product9(f) / blocks9(f)[2], "activations is missing"),
    "k-quants/bits": (lambda f: 4, "Codes alone"),
    "k-quants/value": (lambda f: value10(f, minimum=0), "forgot the minimum"),
    "comparison/sqnr": (lambda f: db(rms(row8(f)) / error8(f, "fixed")) / 2, "Ten instead of twenty"),
    "comparison/fixed-step": (lambda f: np.max(np.abs(row8(f))) / 127, "powers of two"),
    "comparison/four-bits": (lambda f: stream8(f, Q4_0) / stream8(f, Q8_0), "ratio itself"),
}


def repeated(f, change): return ["trace", "--from", f.trace, *change, "-o", "OUT"]
def prompted(f, text): return ["trace", f.one("SELECT path FROM model"), "--prompt", text, "-g", "0", "-o", "OUT"]


SIGNS = "zQ7#xK9!vJ3%wY5&qZ8*jX2@kV6^bH4zQ7#xK9!vJ3%wY5&qZ8*jX2@kV6^bH4#1zQ%"

CHANGES = {
    "tokens/longer-prompt": lambda f: (prompted(f, "One"), prompted(f, SIGNS)),
    "mixes/own-mix": lambda f: tuple(
        ["quantize", f.one("SELECT path FROM model"), "OUT", "Q4_K_M", "--allow-requantize", "--tensor-type", rule]
        for rule in ("blk.0.ffn_down=q6_k", "ffn_down=q8_0")),
    "logits/forbid": lambda f: tuple(
        repeated(f, ["--set", f"result_output[{best16(f)[0]}]={logit}"]) for logit in (100, -100)),
    "swiglu/shut-one": lambda f: tuple(
        repeated(f, ["--set", f"ffn_gate-0[{loudest15(f)},1]={gate}"]) for gate in (-1, 0)),
    "rope/distance": lambda f: (prompted(f, "Who has the ball"), prompted(f, "Mia has the ball. Who has the ball?")),
}
