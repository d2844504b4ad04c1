"""Small random models as GGUF files: every weight format, every architecture and every variation of the graph.

Deterministic: the same recipe gives the same bytes. Weights are normal with variance 1/inputs, so that values keep
their size from layer to layer; norms are near one, biases near zero but not negligible.

    python3 Tests/Conformance/models.py --fixtures Tests/Fixtures     # the tiny models committed beside the Swift tests
    python3 Tests/Conformance/models.py --all FOLDER                  # everything the suite runs
"""

import argparse
import dataclasses
import os
import zlib

import gguf
import numpy as np

import ggml
import vocabularies


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a model is made of. Formats are names of ggml types; `formats` overrides `weights` by tensor role."""

    name: str
    weights: str = "F32"
    formats: tuple = ()  # pairs (role, format), such as ("attn_q", "Q4_K")
    layers: int = 2
    embedding: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 16
    feed_forward: int = 96
    vocabulary: str = "sentencepiece"
    biases: str = ""  # of "all" matrices, or of "qkv" alone
    fused_qkv: bool = False
    separate_output: bool = False
    rope_factors: bool = False
    rope_scaling: str = ""  # "linear" or "yarn"
    long_factors: bool = False  # that divide angles in long contexts, and others in short ones
    original_context: int = 0  # for which the model was trained before it was stretched
    qk_norm: str = ""  # of each "head", or of "all" heads together
    norms: str = "before"  # attention and network, "after" them, "both", or "one" for the two; "between": before, by
    # another name
    mean: str = ""  # LayerNorm: "weight" alone, or with a "bias"
    gate: str = "own"  # of the network: "fused" with its content, or "none"
    keys: tuple = ()  # pairs (key, number) that the architecture alone has
    experts: int = 0
    experts_used: int = 2
    expert_width: int = 0  # hidden units of an expert, where they are not as many as feed_forward
    shared_width: int = 0  # of the expert that all tokens go through
    shared_gate: bool = False
    latent: tuple = ()  # (values of the latent vector, rotated values, other values of a head's key, of its value)
    unpacked: bool = False  # as files from before May 2025 have the latent vector's matrix
    query_rank: int = 0  # of the bottleneck that queries pass through
    dense_layers: int = 0  # without experts, at the beginning
    groups: tuple = ()  # of experts, and how many of them a token may choose from
    router_bias: bool = False
    expert_bias: bool = False  # of router and experts
    sinks: bool = False
    seed: int = 0
    architecture: str = "llama"

    def format(self, role):
        return dict(self.formats).get(role, self.weights)


def write(recipe, folder):
    """Writes the model and returns its path."""
    path = os.path.join(folder, recipe.name + ".gguf")
    writer = gguf.GGUFWriter(path, recipe.architecture)
    _write_metadata(writer, recipe)
    n_vocab = getattr(vocabularies, recipe.vocabulary)(writer)
    writer.add_vocab_size(n_vocab)
    for name, type, _, data in _tensors(recipe, n_vocab):
        writer.add_tensor(name, data, raw_shape=data.shape, raw_dtype=gguf.GGMLQuantizationType(type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_metadata(writer, recipe):
    # In vocabularies of models called phi3, llama.cpp looks for special tokens that these have not.
    writer.add_name(recipe.name.replace("phi3", "phi 3"))
    writer.add_context_length(512)
    writer.add_embedding_length(recipe.embedding)
    writer.add_block_count(recipe.layers)
    writer.add_feed_forward_length(recipe.feed_forward)
    writer.add_head_count(recipe.heads)
    if recipe.latent:
        _write_latent(writer, recipe)
    else:
        writer.add_head_count_kv(recipe.kv_heads)
        writer.add_key_length(recipe.head_size)
        writer.add_value_length(recipe.head_size)
        writer.add_rope_dimension_count(recipe.head_size)
    writer.add_rope_freq_base(10000.0)
    if recipe.mean:
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(1e-5)
    for key, number in recipe.keys:
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}[type(number)]
        add(f"{recipe.architecture}.{key}", number)
    if recipe.experts:
        writer.add_expert_count(recipe.experts)
        writer.add_expert_used_count(recipe.experts_used)
    if recipe.expert_width:
        writer.add_expert_feed_forward_length(recipe.expert_width)
    if recipe.shared_width and not recipe.latent:
        writer.add_expert_shared_feed_forward_length(recipe.shared_width)
    if recipe.groups:
        writer.add_expert_group_count(recipe.groups[0])
        writer.add_expert_group_used_count(recipe.groups[1])
    if recipe.rope_scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType(recipe.rope_scaling))
        writer.add_rope_scaling_factor(4.0)
    if recipe.long_factors and recipe.architecture != "phi3":  # which has them without a word
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
    if recipe.rope_scaling == "yarn" or recipe.original_context:
        # Shorter than the prompts' positions need, so that the ramp between the two extremes lies inside the head.
        writer.add_rope_scaling_orig_ctx_len(recipe.original_context or 128)


def _write_latent(writer, recipe):
    rank, rotated, plain, value = recipe.latent
    key = plain + rotated
    writer.add_head_count_kv(recipe.heads if recipe.unpacked else 1)
    writer.add_key_length(key if recipe.unpacked else rank + rotated)
    writer.add_value_length(value if recipe.unpacked else rank)
    writer.add_rope_dimension_count(rotated)
    writer.add_kv_lora_rank(rank)
    writer.add_leading_dense_block_count(recipe.dense_layers)
    writer.add_expert_shared_count(recipe.shared_width // recipe.expert_width)
    writer.add_q_lora_rank(recipe.query_rank)
    if not recipe.unpacked:
        writer.add_key_length_mla(key)
        writer.add_value_length_mla(value)


def _tensors(recipe, n_vocab):  # noqa: C901 – a kind of tensor after the other
    """(name, type, ne, bytes as numpy) of every tensor, in the order of the file."""
    q, kv = recipe.heads * recipe.head_size, recipe.kv_heads * recipe.head_size
    e, f = recipe.embedding, recipe.feed_forward

    def random(name, *shape):
        label = f"{recipe.name}/{name}" + (f"/{recipe.seed}" if recipe.seed else "")
        return np.random.default_rng(zlib.crc32(label.encode())).standard_normal(shape, np.float32)

    def matrix(name, n_in, n_out):
        type = ggml.IDS[recipe.format(name.split(".")[-1])]
        data = ggml.quantize(type, random(name, n_out, n_in) / np.float32(np.sqrt(n_in)))
        if type in ggml.NUMPY:
            data = data.view(ggml.NUMPY[type])
        return name + ".weight", type, (n_in, n_out), data

    def volume(name, n_in, n_out, count=recipe.experts):
        """One matrix for each expert, or for each head, in one tensor."""
        _, type, _, data = matrix(name, n_in, n_out * count)
        return name + ".weight", type, (n_in, n_out, count), data.reshape(count, n_out, -1)

    def vector(name, values):
        return name, ggml.F32, values.shape, values.astype(np.float32)

    def norm(name, n):
        yield vector(name + ".weight", 1 + 0.1 * random(name, n))
        if recipe.mean == "bias":
            yield vector(name + ".bias", 0.1 * random(name + ".bias", n))

    def biased(name, n_in, n_out):
        yield matrix(name, n_in, n_out)
        if recipe.biases == "all" or (recipe.biases == "qkv" and name.split("_")[-1] in ("q", "k", "v", "qkv")):
            yield vector(name + ".bias", 0.3 * random(name + ".bias", n_out))

    def latent(block):
        """Attention whose keys and values are made of one vector, in all heads."""
        rank, rotated, plain, value = recipe.latent
        key = plain + rotated
        if recipe.query_rank:
            yield matrix(block + "attn_q_a", e, recipe.query_rank)
            yield from norm(block + "attn_q_a_norm", recipe.query_rank)
            yield matrix(block + "attn_q_b", recipe.query_rank, recipe.heads * key)
        else:
            yield matrix(block + "attn_q", e, recipe.heads * key)
        yield matrix(block + "attn_kv_a_mqa", e, rank + rotated)
        yield from norm(block + "attn_kv_a_norm", rank)
        if recipe.unpacked:
            yield matrix(block + "attn_kv_b", rank, recipe.heads * (plain + value))
        else:
            yield volume(block + "attn_k_b", plain, rank, recipe.heads)
            yield volume(block + "attn_v_b", rank, value, recipe.heads)
        yield matrix(block + "attn_output", recipe.heads * value, e)

    yield matrix("token_embd", e, n_vocab)
    if recipe.rope_factors:
        yield vector("rope_freqs.weight", np.geomspace(1, 8, recipe.head_size // 2))
    if recipe.long_factors:
        yield vector("rope_factors_long.weight", np.geomspace(2, 9, recipe.head_size // 2))
        yield vector("rope_factors_short.weight", np.geomspace(1, 1.5, recipe.head_size // 2))
    for layer in range(recipe.layers):
        block = f"blk.{layer}."
        if recipe.norms != "after":
            yield from norm(block + "attn_norm", e)
        if recipe.latent:
            yield from latent(block)
        elif recipe.fused_qkv:
            yield from biased(block + "attn_qkv", e, q + 2 * kv)
        else:
            yield from biased(block + "attn_q", e, q)
            yield from biased(block + "attn_k", e, kv)
            yield from biased(block + "attn_v", e, kv)
        if recipe.qk_norm:
            yield from norm(block + "attn_q_norm", q if recipe.qk_norm == "all" else recipe.head_size)
            yield from norm(block + "attn_k_norm", kv if recipe.qk_norm == "all" else recipe.head_size)
        if not recipe.latent:
            yield from biased(block + "attn_output", q, e)
        if recipe.sinks:
            yield vector(block + "attn_sinks.weight", random(block + "attn_sinks", recipe.heads))
        if recipe.norms in ("after", "both", "between"):
            yield from norm(block + "post_attention_norm", e)
        if recipe.norms in ("before", "both"):
            yield from norm(block + "ffn_norm", e)
        if recipe.experts and layer >= recipe.dense_layers:
            if recipe.router_bias:
                yield vector(block + "exp_probs_b.bias", 0.3 * random(block + "exp_probs_b", recipe.experts))
            width = recipe.expert_width or f
            yield matrix(block + "ffn_gate_inp", e, recipe.experts)
            yield volume(block + "ffn_gate_exps", e, width)
            yield volume(block + "ffn_up_exps", e, width)
            yield volume(block + "ffn_down_exps", width, e)
            if recipe.expert_bias:
                yield vector(block + "ffn_gate_inp.bias", 0.3 * random(block + "ffn_gate_inp.bias", recipe.experts))
                for name, rows in (("gate", width), ("up", width), ("down", e)):
                    bias = f"{block}ffn_{name}_exps.bias"
                    yield vector(bias, 0.3 * random(bias, recipe.experts, rows))
            if recipe.shared_gate:
                yield vector(block + "ffn_gate_inp_shexp.weight", random(block + "ffn_gate_inp_shexp", e) / np.sqrt(e))
            if recipe.shared_width:
                yield matrix(block + "ffn_gate_shexp", e, recipe.shared_width)
                yield matrix(block + "ffn_up_shexp", e, recipe.shared_width)
                yield matrix(block + "ffn_down_shexp", recipe.shared_width, e)
        else:
            if recipe.gate == "own":
                yield from biased(block + "ffn_gate", e, f)
            yield from biased(block + "ffn_up", e, 2 * f if recipe.gate == "fused" else f)
            yield from biased(block + "ffn_down", f, e)
        if recipe.norms in ("after", "both"):
            yield from norm(block + "post_ffw_norm", e)
    yield from norm("output_norm", e)
    if recipe.separate_output:
        yield matrix("output", e, n_vocab)


FIXTURES = [
    Recipe("tiny-gqa-q4_1", "Q4_1"),
    Recipe(
        "tiny-bias-f16", "F16", layers=1, embedding=48, feed_forward=80, vocabulary="byte_pair", biases="all",
        separate_output=True, rope_factors=True, rope_scaling="yarn"),
    Recipe(
        "tiny-kquants", "Q2_K", layers=1, embedding=256, kv_heads=1, head_size=64, feed_forward=256,
        formats=(("attn_q", "Q4_K"), ("attn_k", "Q6_K"), ("attn_v", "Q5_K"), ("attn_output", "Q3_K"),
                 ("ffn_up", "Q3_K"), ("ffn_down", "Q4_K"))),
    # Multi-head attention, for the lessons.
    Recipe("lesson-mha-q8_0", "Q8_0", kv_heads=4, vocabulary="byte_pair"),
]

# What tells an architecture, or a kind of its models, from a llama. The fixture is `tiny-` and the name.
ARCHITECTURES = {
    "llama": dict(head_size=12),  # as Mistral's: heads wider than embedding / heads
    "mixtral": dict(architecture="llama", experts=5, feed_forward=24, vocabulary="sentencepiece"),
    "deepseek2": dict(
        layers=3, rope_scaling="yarn", latent=(16, 8, 12, 10), query_rank=24, dense_layers=1, separate_output=True,
        experts=8, expert_width=16, shared_width=16, groups=(4, 2), router_bias=True, keys=(
            ("expert_weights_scale", 2.5), ("expert_weights_norm", True), ("expert_gating_func", 2),
            ("rope.scaling.yarn_log_multiplier", 0.1))),
    "deepseek2-lite": dict(
        architecture="deepseek2", layers=26, embedding=16, heads=2, feed_forward=16, rope_scaling="yarn",
        latent=(8, 4, 6, 6), dense_layers=1, experts=4, expert_width=8, shared_width=16, keys=(
            ("expert_weights_scale", 1.0), ("expert_gating_func", 1), ("rope.scaling.yarn_log_multiplier", 0.0707))),
    "deepseek2-old": dict(
        architecture="deepseek2", layers=3, latent=(16, 8, 12, 10), unpacked=True, dense_layers=1, experts=6,
        expert_width=16, shared_width=16),
    "qwen2": dict(biases="qkv"),
    "qwen2moe": dict(
        biases="qkv", separate_output=True, experts=6, experts_used=3, expert_width=16, shared_width=24,
        shared_gate=True),
    "qwen3": dict(qk_norm="head", head_size=12),
    # More experts than one group of sixteen.
    "qwen3moe": dict(qk_norm="head", head_size=12, experts=19, experts_used=4, expert_width=8),
    "smollm3": dict(layers=4, embedding=24, heads=3, kv_heads=1, feed_forward=32),
    "olmo2": dict(qk_norm="all", norms="after", separate_output=True),
    "granite": dict(keys=(
        ("embedding_scale", 6.0), ("residual_scale", 0.22), ("attention.scale", 0.2), ("logit_scale", 4.0))),
    # Caps low enough to bend, windows shorter than the prompt.
    "gemma2": dict(norms="both", head_size=12, keys=(
        ("attention.sliding_window", 4), ("attn_logit_softcapping", 1.5), ("final_logit_softcapping", 2.0))),
    "gemma3": dict(
        norms="both", qk_norm="head", layers=6, heads=2, kv_heads=1, feed_forward=32,
        keys=(("attention.sliding_window", 5), ("rope.freq_base_swa", 500.0))),
    "phi3": dict(fused_qkv=True, gate="fused", long_factors=True, original_context=400, separate_output=True),
    "command-r": dict(norms="one", mean="weight", keys=(("logit_scale", 0.5),)),
    "starcoder2": dict(mean="bias", gate="none", biases="all"),
    "gpt-oss": dict(
        biases="all", norms="between", sinks=True, separate_output=True, experts=4, expert_width=32, expert_bias=True,
        head_size=8, rope_scaling="yarn", keys=(("attention.sliding_window", 4),)),
    "mistral3": dict(head_size=12, rope_scaling="yarn", original_context=4, keys=(
        ("attention.temperature_scale", 0.4), ("rope.scaling.yarn_beta_fast", 16.0),
        ("rope.scaling.yarn_beta_slow", 1.5), ("rope.scaling.yarn_log_multiplier", 0.7))),
}

FIXTURES += [
    Recipe(f"tiny-{name}", **(dict(
        architecture=name, embedding=32, head_size=8, feed_forward=40, vocabulary="byte_pair",
        formats=(("token_embd", "F16"), ("output", "F16"))) | facts))
    for name, facts in ARCHITECTURES.items() if name != "deepseek2-lite"  # its 26 layers are too many to keep
]

SMALL_BLOCKS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
LARGE_BLOCKS = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]

TABLES = [
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4",
    "NVFP4", "Q1_0", "Q2_0",
]

# Rows of an odd number of blocks of 32, where the format allows; multiples of 256 for all.
SUITE = FIXTURES + [
    Recipe(f"odd-{name.lower()}", name, embedding=160, heads=5, kv_heads=1, head_size=32, feed_forward=224)
    for name in SMALL_BLOCKS + ["IQ4_NL", "MXFP4"]
] + [
    Recipe(f"even-{name.lower()}", name, embedding=256, heads=4, kv_heads=2, head_size=64, feed_forward=512)
    for name in SMALL_BLOCKS + LARGE_BLOCKS + TABLES
] + [
    # An odd number of blocks of 64 and of 128.
    Recipe("odd-nvfp4", "NVFP4", embedding=192, heads=6, kv_heads=2, head_size=32, feed_forward=320),
    Recipe("odd-q2_0", "Q2_0", embedding=192, heads=6, kv_heads=2, head_size=32, feed_forward=320),
    Recipe("odd-q1_0", "Q1_0", embedding=384, heads=6, kv_heads=2, head_size=64, feed_forward=640),
    Recipe("mha-linear", "Q8_0", kv_heads=4, rope_scaling="linear", vocabulary="byte_pair"),
    Recipe("mqa-yarn", "Q5_1", kv_heads=1, rope_scaling="yarn"),
    Recipe("bias-q4_0", "Q4_0", biases="all", separate_output=True),
    Recipe("fused-q5_0", "Q5_0", fused_qkv=True),
    Recipe("fused-bias-f32", "F32", fused_qkv=True, biases="all", rope_factors=True),
    Recipe("wide-heads-bf16", "BF16", head_size=32, separate_output=True),
    Recipe("longrope-f32", "F32", long_factors=True, original_context=128),
    Recipe("shortrope-f16", "F16", long_factors=True, original_context=1024),
    Recipe("llama3-rope-q6_k", "Q6_K", embedding=256, head_size=64, feed_forward=256, rope_factors=True),
]

# For quantize_conformance.py: enough layers for the rules that count them, rows that 256 divides, that only 32 divides,
# and that neither does; two, three, four and five heads a group; one model of eight experts.
QUANTIZE = [
    Recipe("mix-even-f32", "F32", layers=16, embedding=256, heads=8, kv_heads=2, head_size=32, feed_forward=512),
    Recipe("mix-even-f16", "F16", layers=9, embedding=256, head_size=64, feed_forward=512, separate_output=True),
    Recipe("mix-odd-f32", "F32", layers=12, embedding=192, heads=6, kv_heads=2, head_size=32, feed_forward=320),
    Recipe(
        "mix-odd-f16", "F16", layers=10, embedding=160, heads=5, kv_heads=1, head_size=32, feed_forward=256,
        biases="all",
        separate_output=True),
    Recipe("mix-odder-f32", "F32", layers=8, embedding=48, feed_forward=80, separate_output=True),
    Recipe(
        "mix-fused-bf16", "BF16", layers=8, embedding=256, kv_heads=1, head_size=64, feed_forward=256,
        fused_qkv=True),
    Recipe(
        "mix-experts-f16", "F16", layers=8, embedding=256, head_size=64, feed_forward=256, experts=8,
        formats=(("ffn_gate_inp", "F32"),)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixtures", metavar="FOLDER")
    parser.add_argument("--all", metavar="FOLDER")
    options = parser.parse_args()
    for folder, recipes in ((options.fixtures, FIXTURES), (options.all, SUITE)):
        for recipe in recipes if folder else []:
            os.makedirs(folder, exist_ok=True)
            path = write(recipe, folder)
            print(f"{os.path.getsize(path):>9,} bytes  {path}")


if __name__ == "__main__":
    main()
