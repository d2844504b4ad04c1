"""Random texts and random vocabularies for tokenizer_conformance.py; the same seed gives the same ones."""

import random

import gguf

# What random documents are made of.
WHITE = " \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000"
ODD = (
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽 ☺️ é e\u0301 ﬁ Ⅷ ² ½ ௧ ٣ ǅ ˢ 。 ， ¿ « € ß 中文 日本語 ไทย हिन्दी العربية עִברִית "
    "\uabae \u0897 \u1c89"
).split(" ")
CONTRACTIONS = ["'s", "'T", "'Re", "'ve", "'LL", "'d", "'m", "' s ", "'", "''", "'l", "'r", "’s"]
# What single pre-tokenizers look for.
MARKERS = (
    "<sentinel:12> <sentinel:> IMGIMGABIZ IMGIMGABCDEZ IMGIMGZ HTTPServer's iPhone'LL Ünïcode'd ǅabc ABC "
    "abcDEF 'tis .NET $x //path/to, a/b; ——「はい」、 ㄅㄆㄇ ㄱㄴ 한국어 ไทยแลนด์ ລາວ ភាសា ကမ္မ ｶﾅ Ａｂｃ！ “x” "
    "… ।۔، (a|b) e\u0301\u0302a \u0301 \u0301a "
    "ςΩж Ⴀ ꙀꙁꜢ 𐐀𐐨 𞤀 ﬀﬓ \u1680\u2028 𠀀𪜀𫝀𫠠𬺰 豈﨑 﫿 々〇 ሀ ꀀ \ue000 \ufdd0 \U0010ffff \u0378 \U000e0041 \U0001f9ff"
).split(" ")
# Blocks in which letters, marks, numbers and unassigned code points alternate.
BLOCKS = [
    (0x20, 0x7F), (0x80, 0x180), (0x2B0, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0xE00, 0x1100),
    (0x1100, 0x1200), (0x1680, 0x1A00), (0x1AB0, 0x1B80), (0x1C80, 0x1D00), (0x1DC0, 0x2000), (0x2000, 0x2100),
    (0x2100, 0x2200), (0x2460, 0x2500), (0x2C00, 0x2E80), (0x2E80, 0x3400), (0x4DB0, 0x4E10), (0x9F90, 0xA000),
    (0xA600, 0xA900), (0xA980, 0xABFF), (0xD790, 0xD800), (0xF8F0, 0xFB60), (0xFE00, 0x10000), (0x10100, 0x10200),
    (0x104B0, 0x10500), (0x10C80, 0x10D40), (0x11000, 0x11080), (0x1D7C0, 0x1D800), (0x1E900, 0x1E960),
    (0x1F000, 0x1FB00), (0x2A6D0, 0x2A710), (0x2B730, 0x2B830), (0x2CE90, 0x2CEC0), (0x2EBE0, 0x2EE60),
    (0x2FA10, 0x30010), (0x323A0, 0x323C0), (0xE0000, 0xE0200),
]
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
            lambda: self._some(WHITE + "     \n", 12),
            lambda: " " * self.random.choice([1, 2, 3, 4, 6, 8, 33, 700]),
            lambda: self._some("0123456789", 9),
            lambda: self._some("0123456789", 24),
            lambda: self._some(MARKERS, 3),
            lambda: self._some("abAB ÄäΩω'/", 12),
            lambda: self._of_blocks([self._choice(BLOCKS) for _ in range(self.random.randint(1, 5))]),
            lambda: self._of_blocks([self._choice(BLOCKS)] * 8),
            lambda: self._some("²³¼१२3٣6", 5),
            lambda: self._some(ODD, 3),
            lambda: self._choice(CONTRACTIONS),
            lambda: self._some(PUNCTUATION, 6),
            lambda: self._choice(self.special),
            lambda: self._choice(self.special)[: self.random.randint(1, 9)],
        ])()

    def _of_blocks(self, blocks):
        return "".join(chr(self.random.randrange(*block)) for block in blocks)

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
    for first, *others in zip(text, text[1:], text[2:], text[3:], strict=False):
        beyond = 0xF4 < first <= 0xF7 or (first == 0xF4 and others[0] >= 0x90)
        if beyond and all(0x80 <= byte < 0xC0 for byte in others):
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

    BITS = (
        "a", "b", "ab", "ba", "aba", " ", "  ", "é", "日", "😀", "\n", "1", "12", ".", "'s", "x y", "\t", "<", "<s",
        ">",
    )
    SPECIAL = (
        "<|im_end|>", "<|endoftext|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|channel|>",
        "<|start|>", "<|tool_response>", "<|fim_pad|>", "<PRE>", "<|file_sep|>", "<|eom_id|>", "<mask>", "[MASK]",
        "<|fim_suffix|>", "ab", "aba", "<x>", "\n\n", "日本", "<|eot_id|>", "<eos>", "<reponame>",
    )

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
