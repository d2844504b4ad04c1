"""The model as a GGUF file, written and read back with PyPI's gguf."""

import json

import gguf
import numpy as np
import torch
from gguf import quants

import batches
import micro_world
import model

TYPES = gguf.GGMLQuantizationType
FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
              "Q2_K": gguf.LlamaFileType.MOSTLY_Q2_K}
DESCRIPTION = ("Short stories about who has what and who is where; retellings and questions. "
               "Made for teaching: trained on generated text by models/train_micro_world.py.")


def write(path, network, tokenizer, format="F16", encode=None, name="Micro World"):
    """Matrices in `format`, norms in F32. `encode` turns an array into the format's bytes, [rows, bytes of a row]."""
    writer = gguf.GGUFWriter(path, "llama")
    shape = network.shape
    writer.add_name(name)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_file_type(FILE_TYPES[format])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)
    _write_tokenizer(writer, tokenizer)
    for tensor, parameter in network.state_dict().items():
        values = parameter.float().numpy()
        if values.ndim == 1:
            writer.add_tensor(tensor, values)
        elif format == "F16":
            writer.add_tensor(tensor, values.astype(np.float16))
        else:
            writer.add_tensor(tensor, encode(values), raw_dtype=TYPES[format])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokenizer(writer, tokenizer):
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = {micro_world.BOS, micro_world.EOS}
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(vocabulary[micro_world.BOS])
    writer.add_eos_token_id(vocabulary[micro_world.EOS])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def read(path):
    """The network, its weights decoded to float32, and the text encoder of its tokenizer."""
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.get_field(key).contents()
    shape = model.Shape(
        vocabulary=field("llama.vocab_size"), embedding=field("llama.embedding_length"),
        layers=field("llama.block_count"), feed_forward=field("llama.feed_forward_length"),
        heads=field("llama.attention.head_count"), kv_heads=field("llama.attention.head_count_kv"),
        head_size=field("llama.rope.dimension_count"), context=field("llama.context_length"),
        rope_base=field("llama.rope.freq_base"), epsilon=field("llama.attention.layer_norm_rms_epsilon"))
    network = model.Llama(shape)
    weights = {t.name: torch.from_numpy(quants.dequantize(t.data, t.tensor_type).astype(np.float32).copy())
               for t in reader.tensors}
    network.load_state_dict(weights)
    return network.eval(), batches.Text(_read_tokenizer(field))


def _read_tokenizer(field):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokens = field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges))
    tokenizer.add_special_tokens([micro_world.BOS, micro_world.EOS])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
