#!/usr/bin/env python3
"""Compares the tokenizer with the real llama.cpp, id for id.

    pip install -r requirements.txt && ../../scripts/build_llama.py package python3
    python3 tokenizer_conformance.py --quipu ../../.build/release/quipu --cache ~/.cache/quipu [--model M.gguf …]

1. The vectors llama.cpp ships (46 texts for each vocabulary; vocabularies and vectors come with the source package of
   llama-cpp-python, which pip downloads into the cache once).
2. Random documents on these vocabularies and on every --model: ordinary text, white space, digits, emoji, rare scripts,
   invalid UTF-8, special tokens, with and without --no-add-special and --no-parse-special.
3. Every name of a pre-tokenizer that llama.cpp knows, on a vocabulary in which any two bytes merge, so that a cut in
   another place gives other ids; four names, whose merges start from characters, on Gemma 4's. An unknown name is
   refused.
4. Small random vocabularies: odd token types, merges without tokens, well-known special tokens in any state.
5. The piece of every id that occurs.

The program is run as `quipu tokenize MODEL --file F --json`. Exit status 0 if everything is equal, 1 if not.
"""

import argparse
import ctypes
import glob
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata

import gguf
import llama_cpp as llama

from tokenizer_random import RandomVocabulary, Writer, byte_alphabet, write_vocabulary

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements-whole-pass.txt")) as file:
    PACKAGE = next(line.strip() for line in file if line.startswith("llama-cpp-python"))
SEPARATOR = "\n__ggml_vocab_test__\n"
VOCABULARIES = [
    "gpt-2", "llama-bpe", "llama-spm", "phi-3", "mpt", "refact", "starcoder", "command-r", "aquila", "gpt-neox",
    "baichuan", "deepseek-coder", "deepseek-llm", "falcon", "qwen2", "qwen35", "gemma-4",
]
# Names whose merges start from characters, for which another vocabulary is needed.
OF_CHARACTERS = ["gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"]
FLAGS = list(itertools.product([True, False], repeat=2))  # add_special, parse_special


class Reference:
    """llama.cpp's vocabulary of a file."""

    _silent = llama.llama_log_callback(lambda *_: None)

    def __init__(self, path):
        llama.llama_log_set(self._silent, ctypes.c_void_p(0))
        parameters = llama.llama_model_default_params()
        parameters.vocab_only = True
        self.model = llama.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        self.count = llama.llama_vocab_n_tokens(self.vocabulary)

    def close(self):
        llama.llama_model_free(self.model)

    def encode(self, text, add_special, parse_special):
        capacity = 4 * len(text) + 16
        ids = (llama.llama_token * capacity)()
        count = llama.llama_tokenize(self.vocabulary, text, len(text), ids, capacity, add_special, parse_special)
        return list(ids[:count])

    def decode(self, ids, remove_special, special):
        capacity = 1 << 16
        text = ctypes.create_string_buffer(capacity)
        array = (llama.llama_token * max(1, len(ids)))(*ids)
        count = llama.llama_detokenize(self.vocabulary, array, len(ids), text, capacity, remove_special, special)
        return text.raw[:count]

    def piece(self, id):
        piece = ctypes.create_string_buffer(1 << 12)
        count = llama.llama_token_to_piece(self.vocabulary, id, piece, 1 << 12, 0, True)
        return piece.raw[:count]

    def text(self, id):
        return llama.llama_vocab_get_text(self.vocabulary, id).decode()

    def is_special(self, id):
        attributes = llama.LLAMA_TOKEN_ATTR_UNKNOWN | llama.LLAMA_TOKEN_ATTR_CONTROL
        attributes |= llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        return llama.llama_vocab_get_attr(self.vocabulary, id) & attributes != 0


def display(piece):
    """A piece as `quipu tokenize` prints it: control characters escaped, bytes that are no text as <0xE2>."""
    result, rest = "", piece
    names = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    while rest:
        length = next((n for n, top in ((4, 0xF), (3, 0xE), (2, 0xC), (2, 0xD)) if rest[0] >> 4 == top), 1)
        try:
            character = rest[:length].decode()
        except UnicodeDecodeError:
            result, rest = result + f"<0x{rest[0]:02X}>", rest[1:]
            continue
        if character in names:
            result += names[character]
        elif unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp"):
            result += f"\\u{{{ord(character):x}}}"
        else:
            result += character
        rest = rest[length:]
    return result


class Comparison:
    def __init__(self, quipu, folder, seed, n_documents, n_vocabularies):
        self.quipu, self.folder, self.seed = os.path.abspath(quipu), folder, seed
        self.n_documents, self.n_vocabularies = n_documents, n_vocabularies
        self.n_texts = self.n_ids = self.n_different = 0
        with open(__file__, encoding="utf-8") as file:
            self.prose = file.read()

    def vectors(self, path):
        with open(path + ".inp", encoding="utf-8", newline="") as file:
            texts = file.read().split(SEPARATOR)[:-1]  # every text is followed by a separator
        with open(path + ".out", encoding="utf-8") as file:
            expected = [[int(id) for id in line.split()] for line in file.read().splitlines()]
        for text, ids in zip(texts, expected, strict=True):
            self._compare(path, None, text.encode(), False, False, ids)
        return f"{len(texts)} vectors"

    def documents(self, path, n_documents, pre=None):
        reference = Reference(path)
        special = [reference.text(id) for id in range(reference.count) if reference.is_special(id)]
        writer = Writer(f"{self.seed} {os.path.basename(path)} {pre}", special, self.prose)
        for number in range(n_documents):
            text = writer.document(200)
            if pre == "whitespace":
                text = text.replace(b" ", b"\t")  # llama.cpp ends the process where two spaces might merge
            for flags in FLAGS if number % 4 == 0 else [FLAGS[number % 4]]:
                self._compare(f"{path} {pre or ''}", reference, text, *flags, path=path)
        reference.close()
        return f"{n_documents} documents"

    def pre_tokenizers(self, names, gemma):
        fields = gguf.GGUFReader(gemma).fields
        characters = {key: fields["tokenizer.ggml." + key].contents() for key in ("tokens", "token_type", "merges")}
        for pre in names:
            patched = os.path.join(self.folder, "pre.gguf")
            if pre in OF_CHARACTERS:
                tokens, kinds, merges = (characters[key] for key in ("tokens", "token_type", "merges"))
                write_vocabulary(patched, "gpt2", tokens, kinds, merges=merges, pre=pre, bos_token_id=2)
            else:
                write_vocabulary(patched, "gpt2", *pairs_vocabulary(self.seed), pre=pre)
            self.documents(patched, 4, pre)
        with open(patched, "rb") as file:
            unknown = file.read().replace(names[-1].encode(), b"x" * len(names[-1]))
        with open(patched, "wb") as file:
            file.write(unknown)
        result = subprocess.run([self.quipu, "tokenize", patched, "a"], capture_output=True, text=True)
        if result.returncode != 1 or "x" * len(names[-1]) not in result.stderr:
            raise SystemExit(f"an unknown pre-tokenizer: exit status {result.returncode}, {result.stderr}")
        return f"{len(names)} names"

    def random_vocabularies(self):
        path = os.path.join(self.folder, "random.gguf")
        for number in range(self.n_vocabularies):
            vocabulary = RandomVocabulary(f"{self.seed} {number}")
            vocabulary.write(path)
            reference = Reference(path)
            for flags in FLAGS:
                self._compare(f"random vocabulary {number}", reference, vocabulary.text(), *flags, None, path)
            reference.close()
        return f"{self.n_vocabularies} vocabularies"

    def _compare(self, name, reference, text, add_special, parse_special, expected=None, path=None):
        if expected is None:
            expected = reference.encode(text, add_special, parse_special)
        output = self._tokenize(path or name, text, add_special, parse_special)
        self.n_texts += 1
        self.n_ids += len(expected)
        problem = None
        if output["ids"] != expected:
            problem = "ids", output["ids"], expected
        elif reference:
            pieces = [display(reference.piece(id)) for id in expected]
            if output["pieces"] != pieces:
                problem = "pieces", output["pieces"], pieces
        if problem:
            self.n_different += 1
            what, ours, theirs = problem
            shorter = min(len(ours), len(theirs))
            index = next((i for i in range(shorter) if ours[i] != theirs[i]), shorter)
            print(f"DIFFERENT {name} add_special={add_special} parse_special={parse_special}: {what} from {index} on")
            around = slice(max(0, index - 3), index + 6)
            print(f"  expected … {theirs[around]}\n  got      … {ours[around]}")
            if len(text) < 200:
                print(f"  text {text!r}")

    def _tokenize(self, path, text, add_special, parse_special):
        file = os.path.join(self.folder, "text")
        with open(file, "wb") as stream:
            stream.write(text)
        command = [self.quipu, "tokenize", path, "--file", file, "--json"]
        command += [] if add_special else ["--no-add-special"]
        command += [] if parse_special else ["--no-parse-special"]
        result = subprocess.run(command, capture_output=True)
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit status {result.returncode}\n{result.stderr.decode()}")
        return json.loads(result.stdout)


def pairs_vocabulary(seed):
    """Tokens, kinds and merges of a vocabulary of all bytes and all pairs of bytes, merged in a random order.

    Further tokens are words of which no merges are made; they tell whether words that are tokens are taken whole.
    """
    alphabet = byte_alphabet()
    pairs = [(left, right) for left in alphabet for right in alphabet]
    random.Random(seed).shuffle(pairs)
    words = ["qzx", "Ġqzx", "ĊĊĊ", "123", "Ġthe", "ing", "èª", "æĹ¥æľ¬"]
    tokens = ["<|endoftext|>", "<mask>", *alphabet, *(left + right for left, right in pairs)]
    tokens += [word for word in words if len(word) > 2]
    merges = [f"{left} {right}" for left, right in pairs]
    return tokens, [3, 3] + [1] * (len(tokens) - 2), None, merges


def pre_tokenizer_names(cache):
    """The names of pre-tokenizers in llama.cpp's source."""
    with open(os.path.join(vocabularies(cache), "llama-vocab.cpp"), encoding="utf-8") as file:
        names = re.findall(r'tokenizer_pre == "([^"]+)"', file.read())
    return list(dict.fromkeys(names))


def vocabularies(cache):
    """The folder with llama.cpp's vocabularies; the first call downloads them with pip."""
    folder = os.path.join(cache, "llama.cpp-vocabularies")
    if os.path.exists(os.path.join(folder, "llama-vocab.cpp")):
        return folder
    os.makedirs(folder, exist_ok=True)
    archives = os.path.join(cache, "llama_cpp_python-*.tar.gz")
    if not glob.glob(archives):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python"]
        if subprocess.run([*command, "--dest", cache, PACKAGE]).returncode != 0:
            raise SystemExit(f"pip could not download {PACKAGE}; is there a connection to the package index?")
    with tarfile.open(glob.glob(archives)[0]) as archive:
        for member in archive:
            if re.search("/llama.cpp/(models/ggml-vocab-|src/llama-vocab.cpp)", member.name):
                member.name = os.path.basename(member.name)
                archive.extract(member, folder, filter="data")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quipu", required=True, help="the program")
    parser.add_argument("--cache", required=True, help="a folder for downloads")
    parser.add_argument("--model", action="append", default=[], help="another GGUF file to compare on; repeatable")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=12, help="random documents for each vocabulary (12)")
    parser.add_argument("--vocabularies", type=int, default=150, help="random vocabularies (150)")
    options = parser.parse_args()

    os.makedirs(options.cache, exist_ok=True)
    folder = vocabularies(options.cache)
    with tempfile.TemporaryDirectory() as scratch:
        comparison = Comparison(options.quipu, scratch, options.seed, options.documents, options.vocabularies)
        paths = [os.path.join(folder, f"ggml-vocab-{name}.gguf") for name in VOCABULARIES]
        for path in paths + options.model:
            done = [comparison.vectors(path)] if os.path.exists(path + ".inp") else []
            done.append(comparison.documents(path, options.documents))
            print(f"{os.path.basename(path)}: {', '.join(done)}", flush=True)
        names = [None, *pre_tokenizer_names(options.cache)]
        print(f"pre-tokenizers: {comparison.pre_tokenizers(names, paths[-1])}", flush=True)
        print(f"random: {comparison.random_vocabularies()}", flush=True)
    print(f"{comparison.n_texts} texts, {comparison.n_ids} ids, {comparison.n_different} texts different")
    sys.exit(1 if comparison.n_different else 0)


if __name__ == "__main__":
    main()
