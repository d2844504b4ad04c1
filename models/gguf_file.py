"""The model as a GGUF file, written and read back with PyPI's gguf."""

import json

import gguf
import numpy as np
import torch
from gguf import quants

import batches
import deepseek2
import micro_world
import model

TYPES = gguf.GGMLQuantizationType
FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
              "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
              "Q2_K": gguf.LlamaFileType.MOSTLY_Q2_K}
DESCRIPTION = ("Short stories about who has what and who is where; retellings and questions. "
               "Made for teaching: trained on generated text by models/train_micro_world.py.")
NETWORKS = {network.architecture: network for network in (model.Llama, deepseek2.DeepSeek2)}
NOT_ROUNDED = ("ffn_gate_inp.weight",)  # besides vectors: few, and each decides
Q8_0_BLOCK = 32  # weights


def write(path, network, tokenizer, format="F16", encode=None, name="Micro World"):
    """Matrices in `format`, norms in F32. `encode` turns an array into the format's bytes, [rows, bytes of a row]; for
    Q8_0 it may be left out. Rows that do not fit Q8_0 stay F16."""
    writer = gguf.GGUFWriter(path, network.architecture)
    writer.add_name(name)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_file_type(FILE_TYPES[format])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _write_keys(writer, network)
    _write_tokenizer(writer, tokenizer)
    for tensor, parameter in network.state_dict().items():
        values = parameter.float().numpy()
        if values.ndim == 1 or tensor.endswith(NOT_ROUNDED):
            writer.add_tensor(tensor, values)
        elif format == "F16" or (format == "Q8_0" and values.shape[-1] % Q8_0_BLOCK):
            writer.add_tensor(tensor, values.astype(np.float16))
        else:
            writer.add_tensor(tensor, (encode or encode_q8_0)(values), raw_dtype=TYPES[format])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def encode_q8_0(values):
    return quants.quantize(values, TYPES.Q8_0)


def _write_keys(writer, network):
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    keys = {key: getattr(network.shape, field) for key, field in network.keys.items()} | network.other_keys()
    for key, value in keys.items():
        add[type(value)](f"{network.architecture}.{key}", value)


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
    kind = NETWORKS[field("general.architecture")]
    network = kind(kind.shape_type(**{name: field(f"{kind.architecture}.{key}") for key, name in kind.keys.items()}))
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
