#!/usr/bin/env python3
"""Makes Tests/Fixtures/tokenizer-golden.json: what the real llama.cpp does with small hand-made vocabularies.

    python3 tokenizer_golden.py --llama-cpp DIR > ../Fixtures/tokenizer-golden.json

DIR is the source of llama.cpp as llama-cpp-python 0.3.36 ships it (vendor/llama.cpp). Ids and texts come from
`llama_tokenize` and `llama_detokenize`; the words a text is cut into come from `unicode_regex_split`, which no library
exports: a few lines of C++ are compiled with its two files.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile

import llama_cpp as llama

from tokenizer_conformance import FLAGS, Reference
from tokenizer_random import byte_alphabet, write_vocabulary

SPLIT_TEXTS = [
    "Hello, world", "  Hello   world ", "a\n\nb", "a \n \n b", "\n", " ", "   ", "\t\tx", "x\t ", " \r\n x\r\n", "x  ",
    "I'm you're they'll we've he'd it's isn't", "I'M YOU'RE THEY'LL 'Sx 'sx 't'", "o'clock '' ' 's", "'ſ 'K",
    "12345 1234567 ²³ ½1 १२३४५ 3rd", "x=1.5e-10;", "don't!!!\n\n\nyes", "a...b, c? (d) [e] {f} <g> $5 50% a_b `x`",
    "$+<=>^~|!?", "日本語。テスト「はい」", "naïve café e\u0301a", "😀 👩‍👧 x😀y", "हिन्दी ไทย العربية",
    "a\u00a0b\u2003 c\u2028d\u3000",
    "\u0897\u1c89 \U0001f1e6\U0001f1e8", "a\u0000b\u0001", "def f(x):\n    return x  # no\n",
    "HTTPServer fooBar'S ABCdef'll ABC XMLHttp'Ve éÉÉé ÄÖÜßäö iPhone's",
    "'tis .NET $x /usr/bin//a;\n/b !\r\n/\n",
    "a b c d  e",
    "e\u0301\u0301 \u0301a\u0301 \u0301\u0301 !\u0301 क्षि", "1234567890 12 123 1234 12½345 12345½678 ௧௨௩௪ⅧⅨ",
    "x  123  1234\t\t12 \n 123456 z1234y",
    " " * 7 + "a" + " " * 530 + "\n" + " " * 13 + "b" + " " * 4,
    "\t \t\u3000\u1680x \u2028\u0085\u00a0 \n\n\r \n z ",
    "한국어ㄱㄴ ㄅㄆㄇ——「はい」、カナ；：“x”…",
    "ไทยแลนด์ ລາວ ភាសា ကမ္မ ｶﾅ Ａｂｃ！～ 々〇ꀀ", "漢字𠀀𪜀㐀豈中A文 x漢 漢1字",
    "\ufaff\u2fdf\ua4d0\ue000\ufdd0 \U0010ffff \U0002b73f",
    "IMGIMGABIZ IMGIMGABCDEZ IMGIMGZ <sentinel:12> <sentinel:x>",
    "(a|b) [c]\\{d} `e` ~f ^g <=> ।۔،x y。z", "ςΩж Ⴀ ꙀꜢ 𐐀𐐨 𞤀 ﬀ ǅ ʰ ª º µ", "x \n\n  \n y\n", "a  ", "  ",
]
SPLITTER = r"""
#include "unicode.h"
#include <fstream>
#include <iostream>
#include <iterator>
int main(int argc, char ** argv) {
    std::ifstream file(argv[1], std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<std::string> expressions(argv + 2, argv + argc);
    for (const auto & word : unicode_regex_split(text, expressions, false)) {
        if (!word.empty()) std::cout << word.size() << " ";
    }
}
"""


def pre_tokenizers(source):
    """The expressions of llama.cpp's pre-tokenizers, and all names of each list of expressions."""
    with open(os.path.join(source, "src", "llama-vocab.cpp"), encoding="utf-8") as file:
        text = file.read()
    expressions = {}
    cases = r"((?:(?:case LLAMA_VOCAB_PRE_TYPE_\w+|default):\s*)+)(?:\s*//[^\n]*\n)*\s*regex_exprs = \{(.*?)\n\s*\};"
    for labels, body in re.findall(cases, text, re.DOTALL):
        code = "\n".join(line for line in body.splitlines() if not line.strip().startswith("//"))
        strings = tuple(ast.literal_eval(string) for string in re.findall(r'"(?:[^"\\]|\\.)*"', code))
        for label in re.findall(r"PRE_TYPE_(\w+)|(default)", labels):
            expressions["".join(label).upper()] = strings
    groups, names = {}, []
    chain = text[text.index("if (tokenizer_pre.empty())"):text.index("unknown pre-tokenizer type")]
    for name, kind in re.findall(r'tokenizer_pre == "([^"]+)"|pre_type = LLAMA_VOCAB_PRE_TYPE_(\w+);', chain):
        if name:
            names.append(name)
        elif names:
            groups.setdefault(expressions[kind], []).extend(names)
            names = []
    return groups


def splits(source):
    """For every list of expressions the lengths in bytes of the words that it cuts each text into."""
    with tempfile.TemporaryDirectory() as folder:
        program, main, file = (os.path.join(folder, name) for name in ("split", "main.cpp", "text"))
        with open(main, "w") as stream:
            stream.write(SPLITTER)
        files = [os.path.join(source, "src", name) for name in ("unicode.cpp", "unicode-data.cpp")]
        include = os.path.join(source, "src")
        subprocess.run(["c++", "-O1", "-std=c++17", "-I", include, main, *files, "-o", program], check=True)
        result = []
        for expressions, names in pre_tokenizers(source).items():
            words = []
            for text in SPLIT_TEXTS:
                with open(file, "wb") as stream:
                    stream.write(text.encode())
                output = subprocess.run([program, file, *expressions], capture_output=True, check=True).stdout
                words.append([int(length) for length in output.split()])
            result.append({"names": names, "words": words})
        return result


class Vocabulary:
    """Tokens in order, each with its type and score, and the other keys of a vocabulary."""

    def __init__(self, name, model, keys, pre=None, model_name=None):
        self.name, self.model, self.keys, self.pre, self.model_name = name, model, keys, pre, model_name
        self.tokens, self.kinds, self.scores, self.merges = [], [], [], None

    def add(self, kind, *tokens, score=0.0):
        for token in tokens:
            self.tokens.append(token)
            self.kinds.append(kind)
            self.scores.append(score)
        return self


UNKNOWN, CONTROL, USER, UNUSED, BYTE, NORMAL, UNDEFINED = 2, 3, 4, 5, 6, 1, 0


def sentencepiece(name, model_name=None, **keys):
    keys = {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0, **keys}
    vocabulary = Vocabulary(name, "llama", keys, None, model_name)
    vocabulary.add(UNKNOWN, "<unk>").add(CONTROL, "<s>", "</s>")
    vocabulary.add(BYTE, *[f"<0x{byte:02X}>" for byte in range(256)])
    vocabulary.add(CONTROL, "<|user|>", "<|end|>").add(USER, "<t", "<tab>", "user")
    vocabulary.add(UNUSED, "zz").add(UNDEFINED, "yy")
    vocabulary.add(NORMAL, "", "▁", *"helowrdzyabé", score=-20)
    # "abab": "ab" scores what "ba" scores, so the leftmost goes first; "hello" can be reached one way only.
    vocabulary.add(NORMAL, "ab", "ba", score=-5).add(NORMAL, "aba", score=-4).add(NORMAL, "abab", score=-9)
    vocabulary.add(NORMAL, "he", score=-1).add(NORMAL, "ll", score=-2).add(NORMAL, "llo", score=-3)
    vocabulary.add(NORMAL, "hello", score=-4).add(NORMAL, "▁hello", score=-6).add(NORMAL, "▁w", score=-1)
    vocabulary.add(NORMAL, "or", score=-2).add(NORMAL, "orl", score=-2.5).add(NORMAL, "▁worl", "▁world", score=-3)
    return vocabulary.add(NORMAL, "▁▁", score=-0.5).add(NORMAL, "▁▁▁▁", score=-0.25)


def byte_pairs(name, pre, model_name=None, **keys):
    alphabet = byte_alphabet()
    spell = lambda text: "".join(alphabet[byte] for byte in text.encode())
    vocabulary = Vocabulary(name, "gpt2", keys, pre, model_name)
    vocabulary.add(CONTROL, "<|begin|>", "<|endoftext|>", "<mask>").add(USER, "<tool>").add(NORMAL, "<|im_end|>", "")
    # No "q": a byte without a token. "é" only as two bytes, "日" only as its first two.
    texts = ("abcdehlmnorstuvwxzILMRSTV 0123456789'.,!?<>|_()=\n\t\r", "é", "日本")
    letters = sorted({c for text in texts for c in spell(text)})
    vocabulary.add(NORMAL, *letters)
    vocabulary.merges = [
        "h e", "l l", "he ll", "hell o", "Ġ hello", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld",
        "a b", "b a", "ab a", "a b",  # the second "a b" is never used
        "Ġ Ġ", "ĠĠ ĠĠ", "Ċ Ċ", "1 2", "12 3", "12 34", "3 4", "' s", "' t", "' S", "n 't", "! !", "!! !", "Ġ 1",
        "Ã ©", "æ Ĺ", "c d", "cd e",  # "cd" and "cde" are no tokens
        "Ġ '", "Ġ .", "Ġ ,", "Ġ ?", "s s", "> >",
    ]
    made = dict.fromkeys(merge.replace(" ", "") for merge in vocabulary.merges)
    vocabulary.add(NORMAL, *[token for token in made if token not in ("cd", "cde")])
    # Words that no merges make: they come out whole only if merges are ignored.
    vocabulary.add(NORMAL, "Ġzebra", "zebra", "123", "555") if "123" not in vocabulary.tokens else vocabulary.add(
        NORMAL, "Ġzebra", "zebra", "555")
    return vocabulary.add(UNUSED, "Ġunused").add(NORMAL, "日")


def character_pairs(name, model, pre, **keys):
    """Merges of characters: "▁" for a space, bytes as `<0xE2>`, and no letter "q"."""
    vocabulary = Vocabulary(name, model, {"bos_token_id": 1, "eos_token_id": 2, **keys}, pre)
    vocabulary.add(CONTROL, "<pad>", "<bos>", "<eos>", "<mask>").add(USER, "<tool>", "▁▁▁")
    vocabulary.add(BYTE, *[f"<0x{byte:02X}>" for byte in range(256) if byte != 0x7F])
    vocabulary.add(NORMAL, *"▁helowrdzybé12'.,!", "\n", "\n\n", "\n\n\n\n")
    vocabulary.merges = [
        "h e", "l l", "he ll", "hell o", "▁ hello", "▁ w", "o r", "▁w or", "l d", "▁wor ld", "▁ ▁", "\n \n", "1 2",
        "b e", "be r", "é é", "w 日", ". .",
    ]
    made = dict.fromkeys(merge.replace(" ", "") for merge in vocabulary.merges)
    vocabulary.add(NORMAL, *[token for token in made if token not in ("be", "ber", "\n\n", "w日")])
    return vocabulary.add(NORMAL, "▁zebra", "zebra").add(UNUSED, "zz")


def vocabularies():
    ids = {"bos_token_id": 0, "eos_token_id": 1}
    yield sentencepiece("spm")
    yield sentencepiece("spm-options", add_bos_token=False, add_eos_token=True, add_space_prefix=False)
    yield sentencepiece("spm-phi-3", "My Phi-3 mini").add(CONTROL, "<|endoftext|>")
    for pre in ["default", "gpt-2", "smollm", "llama-bpe"]:
        yield byte_pairs(f"bpe-{pre}", pre, **ids)
    yield byte_pairs("bpe-no-pre", None, **ids, add_bos_token=True, add_eos_token=True)
    yield byte_pairs("bpe-default-ids", "gpt-2", add_bos_token=True)
    yield byte_pairs("bpe-jina", "jina-v2-de", **ids)
    yield byte_pairs("bpe-trillion", "trillion", **ids)
    yield byte_pairs("bpe-glm4", "glm4", eos_token_id=1)
    yield character_pairs("gemma4", "gemma4", None, add_bos_token=False)
    yield character_pairs("bpe-gemma4", "gpt2", "gemma4")
    yield character_pairs("bpe-sarvam-moe", "gpt2", "sarvam-moe", add_eos_token=True)
    yield character_pairs("bpe-whitespace", "gpt2", "whitespace")


SENTENCEPIECE_TEXTS = [
    b"", b" ", b"hello", b"hello world", b" hello  world", b"    hello     world", b"ababab",
    b"babab abab", "héllo 日".encode(),
    b"a\nb\tc", b"<s>hello</s>", b"<|user|> hello<|end|>\n world", b"<|user|>", b"<tab> hello<tab>world <ta",
    b"<0x41>A",
    b"zz yy z", b"<|user|><|user|>  world <s>", "▁hello▁world".encode(), b"\xffh\xc3", b"\xe2\x96",
    b"h\x80\x96e", b"\x00h",
    b"[EMPTY_266]",
]
BYTE_PAIR_TEXTS = [
    b"", b" ", b"hello world", b" hello  world ", b"hello    world\n\n", b"ababab baba", b"zebra zebra zebras",
    b"123 1234 12345 555",
    b"it's isn't It'S", b"wow!!!! !!\n", "é 日本 e\u0301".encode(), b"cde abcde cd", b"q aqa",
    b"<|endoftext|>hello<|begin|>",
    b"hello <mask>  world <tool> <tool>x", b"<|im_end|> <|im", b" unused", b"a\r\n\tb",
    b"hello . world , 's 're ' x ' !",
    b"I 'm a 've d 'll o 't m 'd e 're", b"\xffh\xc3e", b"\xed\xa0\x80 \xc0\x80", b"a\x00b", "[EMPTY_5]日".encode(),
]


CHARACTER_TEXTS = [
    b"", b" ", b"hello world", b" hello world ", b"zebra zebra zebras", b"12 112", b"q\nq", b"\n", b"\n\n", b"\n\n\n",
    b"a\n\n\n\nb", "é éé 日本 w日".encode(), b"be ber",
    b"<mask> <tool>x<eos>", b"hello . world , 's ' !", b"\xffh\xc3e",
    b"\x7f \x00", b"zz", "▁▁▁▁".encode(),
]
SPACED_TEXTS = [b"hello  world   zebra    hello", b"\n\n hello", b"a \n\n b", b"   <tool>   "]
NAME_TEXTS = [
    b"hello world", b"zebra zebra zebras", b" hello . world 's x !", b"123 1234 12345 555", b"It'S isn't",
    "é 日本 e\u0301".encode(),
    b"hellO WorlD's heLLo", b"a\n\nb\r\nc", b"12341234", b"he <mask> <tool> <|endoftext|>",
]


def names(source, folder):
    """What comes with every name: ids and texts of one vocabulary under each."""
    path, result = os.path.join(folder, "vocabulary.gguf"), []
    for pre in [name for group in pre_tokenizers(source).values() for name in group]:
        vocabulary = byte_pairs("", pre)
        write_vocabulary(path, "gpt2", vocabulary.tokens, vocabulary.kinds, merges=vocabulary.merges, pre=pre)
        reference = Reference(path)
        ids = [reference.encode(text, True, True) for text in NAME_TEXTS]
        result.append({
            "pre": pre, "bos": llama.llama_vocab_bos(reference.vocabulary), "ids": ids,
            "shown": [text_of(reference.decode(part, False, True)) for part in ids],
        })
    return result


def text_of(data):
    """Text as it is; bytes that are no text as a list."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)


def golden(vocabulary, folder):
    path = os.path.join(folder, "vocabulary.gguf")
    scores = vocabulary.scores if vocabulary.model == "llama" else None
    write_vocabulary(
        path, vocabulary.model, vocabulary.tokens, vocabulary.kinds, scores, vocabulary.merges, vocabulary.pre,
        vocabulary.model_name, **vocabulary.keys)
    reference = Reference(path)
    handle = reference.vocabulary
    if vocabulary.model == "llama":
        texts = SENTENCEPIECE_TEXTS
    elif vocabulary.name.startswith("bpe-") and vocabulary.tokens[0] != "<pad>":
        texts = BYTE_PAIR_TEXTS
    else:
        # Where two spaces might merge, llama.cpp ends the process.
        texts = CHARACTER_TEXTS + ([] if vocabulary.pre == "whitespace" else SPACED_TEXTS)
    cases = []
    for text in texts:
        for add_special, parse_special in FLAGS:
            ids = reference.encode(text, add_special, parse_special)
            cases.append({
                "text": text_of(text), "add_special": add_special, "parse_special": parse_special, "ids": ids,
                "shown": text_of(reference.decode(ids, False, True)),
                "hidden": text_of(reference.decode(ids, True, False)),
            })
    return {
        "name": vocabulary.name, "model": vocabulary.model, "pre": vocabulary.pre, "model_name": vocabulary.model_name,
        "keys": vocabulary.keys, "tokens": vocabulary.tokens, "kinds": vocabulary.kinds, "scores": scores,
        "merges": vocabulary.merges,
        "bos": llama.llama_vocab_bos(handle), "eos": llama.llama_vocab_eos(handle),
        "adds_bos": llama.llama_vocab_get_add_bos(handle), "adds_eos": llama.llama_vocab_get_add_eos(handle),
        "end_of_generation": [id for id in range(reference.count) if llama.llama_vocab_is_eog(handle, id)],
        "pieces": [text_of(reference.piece(id)) for id in range(reference.count)], "cases": cases,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", required=True, help="the source of llama.cpp")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "vocabularies": [golden(vocabulary, folder) for vocabulary in vocabularies()],
            "splits": splits(options.llama_cpp),
            "names": names(options.llama_cpp, folder),
        }
    texts = {"split_texts": SPLIT_TEXTS, "name_texts": [text_of(text) for text in NAME_TEXTS]}
    sections = [f'"{key}": {json.dumps(value)}' for key, value in texts.items()]
    for key, items in parts.items():
        lines = [json.dumps(item, ensure_ascii=True, separators=(",", ":")) for item in items]
        sections.append(f'"{key}": [\n' + ",\n".join(lines) + "\n]")
    sys.stdout.write("{" + ",\n".join(sections) + "}\n")


if __name__ == "__main__":
    main()
