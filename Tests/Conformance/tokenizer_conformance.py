#!/usr/bin/env python3
"""Compares the tokenizer with the real llama.cpp, id for id.

    pip install -r requirements.txt -r requirements-whole-pass.txt
    python3 tokenizer_conformance.py --quipu ../../.build/release/quipu --cache ~/.cache/quipu [--model M.gguf …]

1. The vectors llama.cpp ships (46 texts for each vocabulary; vocabularies and vectors come with the source package of
   llama-cpp-python, which pip downloads into the cache once).
2. Random documents on these vocabularies and on every --model: ordinary text, white space, digits, emoji, rare scripts,
   invalid UTF-8, special tokens, with and without --no-add-special and --no-parse-special.
3. Every supported name of a pre-tokenizer, on GPT-2's vocabulary.
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
import subprocess
import sys
import tarfile
import tempfile
import unicodedata

import gguf
import llama_cpp as llama

PACKAGE = "llama-cpp-python==0.3.36"
SEPARATOR = "\n__ggml_vocab_test__\n"
VOCABULARIES = [
    "gpt-2", "llama-bpe", "llama-spm", "phi-3", "mpt", "refact", "starcoder", "command-r", "aquila", "gpt-neox", "baichuan",
]
PRE_TOKENIZERS = [
    None, "default", "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
    "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "exaone4", "trillion",
    "granite-docling", "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2",
    "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "dbrx",
    "smaug-bpe", "chatglm-bpe", "glm4", "glm5",
]
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
        attributes = llama.LLAMA_TOKEN_ATTR_UNKNOWN | llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
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


# What random documents are made of.
WHITE = " \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000"
ODD = (
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽 ☺️ é e\u0301 ﬁ Ⅷ ² ½ ௧ ٣ ǅ ˢ 。 ， ¿ « € ß 中文 日本語 ไทย हिन्दी العربية עִברִית \uabae \u0897 \u1c89"
).split(" ")
CONTRACTIONS = ["'s", "'T", "'Re", "'ve", "'LL", "'d", "'m", "' s ", "'", "''", "'l", "'r", "’s"]
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


class Writer:
    """Writes random texts."""

    def __init__(self, seed, special, prose):
        self.random, self.special, self.prose = random.Random(seed), special or ["<x>"], prose

    def document(self, n_fragments):
        text = "".join(self._fragment() + self._choice(["", "", " "]) for _ in range(n_fragments)).encode()
        if self.random.random() < 0.5:
            text = self._damaged(text)
        return self.document(n_fragments) if ends_llama_cpp(text) else text

    def _choice(self, items):
        return self.random.choice(items)

    def _some(self, items, most):
        return "".join(self._choice(items) for _ in range(self.random.randint(1, most)))

    def _fragment(self):
        def prose():
            start = self.random.randrange(len(self.prose))
            return self.prose[start:start + self.random.randint(1, 60)]

        return self._choice([
            prose, prose, prose,
            lambda: "".join(self._character() for _ in range(self.random.randint(1, 7))),
            lambda: self._some(WHITE, 7),
            lambda: " " * self.random.randint(1, 6),
            lambda: self._some("0123456789", 9),
            lambda: self._some("²³¼१२3٣6", 5),
            lambda: self._some(ODD, 3),
            lambda: self._choice(CONTRACTIONS),
            lambda: self._some(PUNCTUATION, 6),
            lambda: self._choice(self.special),
            lambda: self._choice(self.special)[: self.random.randint(1, 9)],
        ])()

    def _character(self):
        low, high = self._choice([(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)])
        return chr(self.random.randrange(low, high))

    def _damaged(self, text):
        text = bytearray(text)
        for _ in range(self.random.randint(1, 12)):
            position = self.random.randrange(len(text) + 1)
            text[position:position + self.random.randint(0, 1)] = bytes(
                self.random.choices([0x00, 0x80, 0xA0, 0xBF, 0xC0, 0xC1, 0xE2, 0xED, 0xF0, 0xF4, 0xF8, 0xFF], k=1))
        return bytes(text)


def ends_llama_cpp(text):
    """Whether a text holds a spelling beyond U+10FFFF, at which llama.cpp throws."""
    for first, *others in zip(text, text[1:], text[2:], text[3:]):
        if 0xF4 <= first <= 0xF7 and all(0x80 <= byte < 0xC0 for byte in others) and (first > 0xF4 or others[0] >= 0x90):
            return True
    return False


def write_vocabulary(path, model, tokens, kinds=None, scores=None, merges=None, pre=None, name=None, **keys):
    """Writes a GGUF file that holds nothing but a vocabulary; `keys` are `tokenizer.ggml.*`."""
    writer = gguf.GGUFWriter(path, "llama")
    if name:
        writer.add_name(name)
    # llama.cpp wants these to load any file.
    writer.add_context_length(256)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    if kinds:
        writer.add_token_types(kinds)
    if scores:
        writer.add_token_scores([float(score) for score in scores])
    if merges is not None:
        writer.add_token_merges(merges)
    for key, value in keys.items():
        add = writer.add_bool if isinstance(value, bool) else writer.add_uint32
        add("tokenizer.ggml." + key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def byte_alphabet():
    """The 256 characters in which byte-level vocabularies spell bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


class RandomVocabulary:
    """A vocabulary nobody would train, within what llama.cpp determines.

    Not in it: two tokens for one role and special tokens of equal length that overlap. Which one llama.cpp prefers
    depends on its hash table and sorting algorithm.
    """

    BITS = ["a", "b", "ab", "ba", "aba", " ", "  ", "é", "日", "😀", "\n", "1", "12", ".", "'s", "x y", "\t", "<", "<s", ">"]
    SPECIAL = [
        "<|im_end|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|channel|>",
        "<|start|>", "<|tool_response>", "<|fim_pad|>", "<PRE>", "<|file_sep|>", "<|eom_id|>", "<mask>", "[MASK]",
        "<|fim_suffix|>", "ab", "aba", "<x>", "\n\n", "日本", "<|eot_id|>", "<eos>", "<reponame>",
    ]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tokens, self.kinds, self.scores = [], [], []
        self.merges = None
        for token in ["<unk>", "<s>", "</s>"]:
            self._add(token, self._choice([2, 3, 3, 4, 1]))
        for token in self.random.sample(self.SPECIAL, self.random.randrange(14)):
            self._add(token, self._choice([3, 3, 4, 4, 1, 2, 5, 0]))
        if self._chance(0.3):
            self.tokens += ["", ""]
            self.kinds += [self._choice([1, 3, 4, 5]), 1]
            self.scores += [0.0, 0.0]
        self.model = self._choice(["llama", "gpt2"])
        self.pre = None
        if self.model == "llama":
            self._sentencepiece()
        else:
            self._byte_pairs()
        self.name = self._choice([None, "x", "A modern-bert", "My Phi-3 mini"])
        if self.name == "My Phi-3 mini":
            self._add("<|endoftext|>", 3)  # without it llama.cpp throws
        self.keys = {"bos_token_id": 1, "eos_token_id": 2}
        for key in ["add_bos_token", "add_eos_token", "add_space_prefix"]:
            if self._chance(0.4):
                self.keys[key] = self._chance(0.5)

    def text(self):
        parts = [
            self._choice(self._choice([self.BITS, self.BITS, self.SPECIAL, self.tokens])).replace("▁", " ")
            + self._choice(["", "", " ", "\n "])
            for _ in range(150)
        ]
        return "".join(parts).encode()

    def write(self, path):
        scores = self.scores if self.model == "llama" else None
        write_vocabulary(
            path, self.model, self.tokens, self.kinds, scores, self.merges, self.pre, self.name, **self.keys)

    def _choice(self, items):
        return self.random.choice(items)

    def _chance(self, probability):
        return self.random.random() < probability

    def _add(self, token, kind, score=0.0):
        if token not in self.tokens:
            self.tokens.append(token)
            self.kinds.append(kind)
            self.scores.append(score)

    def _sentencepiece(self):
        for byte in range(256):
            self._add(f"<0x{byte:02X}>", 6)
        parts = self.random.sample("▁abé日x.1<>s\ne", self.random.randrange(4, 13))
        for part in parts:
            self._add(part, 1, self._choice([-1, -2, 0, -3.5]))
        for _ in range(self.random.randrange(5, 60)):
            token = self._choice(self.tokens[-40:]) + self._choice(self.tokens[-40:])
            if len(token) < 12 and "<0x" not in token:
                self._add(token, self._choice([1] * 9 + [5, 0]), self.random.randrange(-12, 3))

    def _byte_pairs(self):
        alphabet = byte_alphabet()
        spell = lambda text: "".join(alphabet[byte] for byte in text.encode())
        self.pre = self._choice(["default", "gpt-2", "smollm", "llama-bpe", "jina-v2-de", "glm4", "command-r"])
        parts = sorted(set(spell("".join(self.BITS))))
        for part in parts:
            if self._chance(0.9):
                self._add(part, 1)
        self.merges = []
        while len(self.merges) < self.random.randrange(3, 60):
            left, right = self._choice(parts), self._choice(parts)
            if len(left + right) < 10:
                self.merges.append(f"{left} {right}")
                parts.append(left + right)
                if self._chance(0.85):
                    self._add(left + right, self._choice([1] * 12 + [5]))
        for _ in range(5):
            self._add(spell(self._choice(self.BITS) + self._choice(self.BITS)), 1)


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

    def documents(self, path, n_documents):
        reference = Reference(path)
        special = [reference.text(id) for id in range(reference.count) if reference.is_special(id)]
        writer = Writer(f"{self.seed} {os.path.basename(path)}", special, self.prose)
        for number in range(n_documents):
            text = writer.document(200)
            for flags in FLAGS if number % 4 == 0 else [FLAGS[number % 4]]:
                self._compare(path, reference, text, *flags)
        reference.close()
        return f"{n_documents} documents"

    def pre_tokenizers(self, path):
        fields = gguf.GGUFReader(path).fields
        tokens, merges = (fields["tokenizer.ggml." + key].contents() for key in ("tokens", "merges"))
        # "qzx" tells whether a word that no merges make is taken whole.
        tokens, kinds = tokens + ["qzx", "Ġqzx"], [1] * (len(tokens) - 1) + [3, 1, 1]
        for pre in PRE_TOKENIZERS:
            patched = os.path.join(self.folder, "pre.gguf")
            write_vocabulary(patched, "gpt2", tokens, kinds, merges=merges, pre=pre)
            self.documents(patched, 2)
            reference = Reference(patched)
            self._compare(f"{patched} ({pre})", reference, b"qzx qzx's 12345 (qzx) \n", True, True, None, patched)
            reference.close()
        return f"{len(PRE_TOKENIZERS)} names"

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
            place = next((i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
            print(f"DIFFERENT {name} add_special={add_special} parse_special={parse_special}: {what} from {place} on")
            print(f"  expected … {theirs[max(0, place - 3):place + 6]}\n  got      … {ours[max(0, place - 3):place + 6]}")
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


def vocabularies(cache):
    """The folder with llama.cpp's vocabularies; the first call downloads them with pip."""
    folder = os.path.join(cache, "llama.cpp-vocabularies")
    if glob.glob(os.path.join(folder, "*.gguf")):
        return folder
    os.makedirs(folder, exist_ok=True)
    archives = os.path.join(cache, "llama_cpp_python-*.tar.gz")
    if not glob.glob(archives):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python"]
        if subprocess.run([*command, "--dest", cache, PACKAGE]).returncode != 0:
            raise SystemExit(f"pip could not download {PACKAGE}; is there a connection to the package index?")
    with tarfile.open(glob.glob(archives)[0]) as archive:
        for member in archive:
            if "/llama.cpp/models/ggml-vocab-" in member.name:
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
        print(f"pre-tokenizers: {comparison.pre_tokenizers(paths[0])}", flush=True)
        print(f"random: {comparison.random_vocabularies()}", flush=True)
    print(f"{comparison.n_texts} texts, {comparison.n_ids} ids, {comparison.n_different} texts different")
    sys.exit(1 if comparison.n_different else 0)


if __name__ == "__main__":
    main()
