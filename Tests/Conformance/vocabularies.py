"""Two small but complete vocabularies, so that any text can be tokenised by a model of a few kilobytes."""

# Pieces that a vocabulary of about 300 tokens adds to its letters; each is reachable by pairwise merges in this order.
WORDS = ["the", "and", "once", "upon", "time", "was", "big", "dog", "said", "her", "they", "cat"]


def _pairs(words):
    """The merges, left to right, that build each word from its letters, each pair once."""
    seen, pairs = set(), []
    for word in words:
        left = word[0]
        for right in word[1:]:
            if (left, right) not in seen:
                seen.add((left, right))
                pairs.append((left, right))
            left += right
    return pairs


def sentencepiece(writer):
    """A `llama` (SPM) vocabulary: <unk>, <s>, </s>, the 256 bytes, the space, letters and a few words."""
    space = "\u2581"
    normal = [space] + list("etaoinshrdlucmfwygpbvk") + ["".join(p) for p in _pairs([space + w for w in WORDS[:6]])]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + normal
    types = [2, 3, 3] + [6] * 256 + [1] * len(normal)
    # As in real models, bytes and controls score 0 and earlier pieces score higher.
    scores = [0.0] * 259 + [-float(i) for i in range(len(normal))]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    return len(tokens)


def _byte_characters():
    """GPT-2's map of bytes to printable characters."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def byte_pair(writer, pre="gpt-2", size=0):
    """A `gpt2` (byte-level BPE) vocabulary: <|endoftext|>, the 256 bytes and a few words with and without a space.

    Filled up to `size` tokens with ones that no text leads to.
    """
    space = _byte_characters()[0x20]
    pairs = _pairs(WORDS[:3] + [space + w for w in WORDS[3:6]])
    tokens = ["<|endoftext|>"] + [_byte_characters()[b] for b in range(256)] + ["".join(p) for p in pairs]
    tokens += [f"unreached{i}" for i in range(len(tokens), size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges([" ".join(p) for p in pairs])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    return len(tokens)
