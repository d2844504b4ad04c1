#!/usr/bin/env python3
"""Writes a llama of random weights in a well-known shape, to measure speed with: the weights' values do not matter.

    make_random_llama.py 1b llama-1b.gguf     # Llama 3.2 1B, F16, 2.5 GB: for `quipu quantize`
    make_random_llama.py 8b llama-8b.gguf     # Llama 3 8B, Q4_K_M, 4.9 GB: random blocks, never quantised from anything
    make_random_llama.py 8b small.gguf 4      # the same with 4 layers

Needs numpy and gguf.
"""

import dataclasses
import os
import pathlib
import sys

import gguf
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Conformance"))
import vocabularies

VOCABULARY = 128256


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    is_quantized: bool
    has_output: bool


SHAPES = {
    "1b": Shape(16, 2048, 8192, 32, 8, 64, is_quantized=False, has_output=False),
    "8b": Shape(32, 4096, 14336, 32, 8, 128, is_quantized=True, has_output=True),
}


def tensors(s):
    """(name, shape with the summed dimension last, format)."""

    def matrix(name, n_in, n_out, more_bits=False):
        quantized = "Q6_K" if more_bits else "Q4_K"
        return name + ".weight", (n_out, n_in), quantized if s.is_quantized else "F16"

    def norm(name):
        return name + ".weight", (s.embedding,), "F32"

    yield matrix("token_embd", s.embedding, VOCABULARY)
    for layer in range(s.layers):
        block, eighth = f"blk.{layer}.", s.layers / 8
        # llama.cpp's Q4_K_M: six bits for some layers' values and down projections, and for the output.
        more_bits = layer < eighth or layer >= 7 * eighth or int(layer - eighth) % 3 == 2
        yield norm(block + "attn_norm")
        yield matrix(block + "attn_q", s.embedding, s.heads * s.head_size)
        yield matrix(block + "attn_k", s.embedding, s.kv_heads * s.head_size)
        yield matrix(block + "attn_v", s.embedding, s.kv_heads * s.head_size, more_bits)
        yield matrix(block + "attn_output", s.heads * s.head_size, s.embedding)
        yield norm(block + "ffn_norm")
        yield matrix(block + "ffn_gate", s.embedding, s.feed_forward)
        yield matrix(block + "ffn_up", s.embedding, s.feed_forward)
        yield matrix(block + "ffn_down", s.feed_forward, s.embedding, more_bits)
    yield norm("output_norm")
    if s.has_output:
        yield matrix("output", s.embedding, VOCABULARY, more_bits=True)


def random_data(generator, shape, format):
    """Values of about the variance 1/inputs, so that activations keep their size from layer to layer."""
    if format in ("F32", "F16"):
        values = generator.standard_normal(shape, np.float32)
        return 1 + 0.1 * values if format == "F32" else (values / np.sqrt(shape[-1])).astype(np.float16)
    size = {"Q4_K": 144, "Q6_K": 210}[format]
    blocks = generator.integers(0, 256, (*shape[:-1], shape[-1] // 256, size), np.uint8)
    # Scales that make random codes and sub-scales come out at that variance, Q4_K's minima cancelling the mean.
    deviation = 1 / np.sqrt(shape[-1])
    scales = [(0, deviation / 200), (2, deviation / 200 * 7.5)] if format == "Q4_K" else [(208, deviation / 1350)]
    for offset, scale in scales:
        blocks[..., offset : offset + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def write(name, path, layers=None):
    s = dataclasses.replace(SHAPES[name], layers=layers or SHAPES[name].layers)
    partial = path + ".part"
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_name(f"random llama {name}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M if s.is_quantized else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(8192)
    writer.add_embedding_length(s.embedding)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.feed_forward)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_rope_dimension_count(s.head_size)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabularies.byte_pair(writer, pre="llama-bpe", size=VOCABULARY))

    listed = list(tensors(s))
    for tensor, shape, format in listed:
        type = gguf.GGMLQuantizationType[format]
        block, size = gguf.GGML_QUANT_SIZES[type]
        row = shape[-1] // block * size
        writer.add_tensor_info(
            tensor, (*shape[:-1], row), np.dtype(np.uint8), int(np.prod(shape[:-1])) * row, raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = np.random.default_rng(1)
    for _, shape, format in listed:
        writer.write_tensor_data(random_data(generator, shape, format))
    writer.close()
    os.replace(partial, path)


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    write(*sys.argv[1:3], *map(int, sys.argv[3:]))


if __name__ == "__main__":
    main()
