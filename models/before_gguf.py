#!/usr/bin/env python3
"""Writes before-gguf.bin: a llama as files were before GGUF (ggjt version 3), tiny, with random F16 weights.

    python3 models/before_gguf.py
    quipu convert models/before-gguf.bin models/before-gguf.gguf --context 128 --epsilon 1e-5 --force

The two files hold the same weights: the first lesson shows one beside the other. Tokens are those of stories260K.gguf.
"""

import pathlib
import struct

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
WIDTH, HEADS, KV_HEADS, LAYERS, FEED_FORWARD = 16, 4, 2, 1, 48
F32, F16 = 0, 1


def main():
    fields = gguf.GGUFReader(ROOT / "Tests/Fixtures/stories260K.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    scores = fields["tokenizer.ggml.scores"].contents()
    random = np.random.default_rng(1)
    data = bytearray(b"tjgg" + struct.pack("<8I", 3, len(tokens), WIDTH, 16, HEADS, LAYERS, WIDTH // HEADS, F16))
    for token, score in zip(tokens, scores, strict=True):
        # A byte token is the byte itself, a space is a space.
        raw = bytes([int(token[3:5], 16)]) if token.startswith("<0x") else token.replace("\u2581", " ").encode()
        data += struct.pack("<I", len(raw)) + raw + struct.pack("<f", score)

    def tensor(name, *shape):
        kind = F32 if len(shape) == 1 else F16
        values = random.standard_normal(shape[::-1]).astype(np.float32)
        values = 1 + 0.2 * values if kind == F32 else values / np.sqrt(shape[0])
        data.extend(struct.pack(f"<{3 + len(shape)}I", len(shape), len(name), kind, *shape) + name.encode())
        data.extend(bytes(-len(data) % 32))
        data.extend(values.astype(np.float16 if kind == F16 else np.float32).tobytes())

    tensor("tok_embeddings.weight", WIDTH, len(tokens))
    tensor("norm.weight", WIDTH)
    tensor("output.weight", WIDTH, len(tokens))
    for layer in range(LAYERS):
        block = f"layers.{layer}."
        tensor(block + "attention_norm.weight", WIDTH)
        narrow = WIDTH * KV_HEADS // HEADS
        for part, rows in [("wq", WIDTH), ("wk", narrow), ("wv", narrow), ("wo", WIDTH)]:
            tensor(f"{block}attention.{part}.weight", WIDTH, rows)
        tensor(block + "ffn_norm.weight", WIDTH)
        tensor(block + "feed_forward.w1.weight", WIDTH, FEED_FORWARD)
        tensor(block + "feed_forward.w2.weight", FEED_FORWARD, WIDTH)
        tensor(block + "feed_forward.w3.weight", WIDTH, FEED_FORWARD)
    (ROOT / "models/before-gguf.bin").write_bytes(data)


if __name__ == "__main__":
    main()
