import GGUF
import Testing
import Tokenization

/// What `encodeWithSteps` tells, spelled out.
@Suite struct StepTests {
    @Test func bytePairMergesGoByRank() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("bpe-gpt-2").metadata)
        let steps = tokenizer.encodeWithSteps("<tool> hello", addSpecial: false).steps
        #expect(steps.map(\.origin) == [.special, .word])
        #expect(steps[0].text == "<tool>")
        let word = steps[1]
        #expect(word.text == "Ġhello")
        #expect(word.symbols == ["Ġ", "h", "e", "l", "l", "o"])
        #expect(word.merges.map(\.result) == ["he", "ll", "hell", "hello", "Ġhello"])
        #expect(word.merges.map(\.position) == [1, 3, 1, 1, 0])
        #expect(word.merges.map(\.reason) == (0...4).map { .rank($0) })
        #expect(word.ids == [try #require(tokenizer.vocabulary.id(of: "Ġhello"))])
    }

    @Test func sentencePieceMergesGoByScore() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("spm").metadata)
        let steps = tokenizer.encodeWithSteps("hello").steps
        #expect(steps.map(\.origin) == [.added, .word])
        #expect(steps[0].ids == [1])
        let word = steps[1]
        #expect(word.text == "▁hello")
        #expect(word.symbols == ["▁", "h", "e", "l", "l", "o"])
        #expect(word.merges.map(\.result) == ["he", "ll", "llo", "hello", "▁hello"])
        #expect(word.merges.map(\.reason) == [.score(-1), .score(-2), .score(-3), .score(-4), .score(-6)])
        // "▁" takes three bytes.
        #expect(word.merges.map(\.position) == [3, 5, 5, 3, 0])
    }

    @Test func wholeWordsHaveNoMerges() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("bpe-llama-bpe").metadata)
        let steps = tokenizer.encodeWithSteps("zebra", addSpecial: false).steps
        #expect(steps.count == 1)
        #expect(steps[0].isTakenWhole)
        #expect(steps[0].merges.isEmpty)
        #expect(steps[0].symbols == ["zebra"])
    }

    @Test func bytesWithoutTextAreShownAsBytes() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("spm").metadata)
        let steps = tokenizer.encodeWithSteps(bytes: [0xff, 0x68], addSpecial: false).steps
        #expect(steps[0].text == "▁<0xFF>h")
        #expect(tokenizer.vocabulary.displayPiece(3 + 0xff) == "<0xFF>")
        #expect(tokenizer.vocabulary.displayPiece(3 + 0x0a) == "\\n")
        #expect(tokenizer.vocabulary.displayPiece(3 + 0x1b) == "\\u{1b}")
    }
}

@Suite struct DetokenizerTests {
    /// Tokens 3 to 258 are the bytes 0 to 255.
    private func pieces(_ bytes: [UInt8]) throws -> [String] {
        var detokenizer = Detokenizer(try Vocabulary(metadata: Golden.vocabulary("spm").metadata))
        return bytes.map { detokenizer.append(Int($0) + 3) } + [detokenizer.finish()]
    }

    @Test func charactersAreNeverSplit() throws {
        #expect(try pieces(Array("aé😀b".utf8)) == ["a", "", "é", "", "", "", "😀", "b", ""])
    }

    @Test func whatCannotBecomeACharacterIsReplacedAtOnce() throws {
        #expect(try pieces([0xff, 0x61]) == ["\u{fffd}", "a", ""])
        #expect(try pieces([0xe2, 0x61]) == ["", "\u{fffd}a", ""])
        #expect(try pieces([0xc0, 0x80]) == ["\u{fffd}", "\u{fffd}", ""])
    }

    @Test func whatIsIncompleteIsReplacedAtTheEnd() throws {
        #expect(try pieces([0x61, 0xf0, 0x9f, 0x98]) == ["a", "", "", "", "\u{fffd}"])
    }

    /// Every sequence of up to four bytes from those that begin, continue or break characters.
    @Test func theStreamIsTheWholeDecoded() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("spm").metadata)
        let bytes: [UInt8] = [0x41, 0x80, 0x8f, 0x9f, 0xa0, 0xc1, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xf5]
        var sequences: [[UInt8]] = [[]]
        for _ in 0..<4 {
            sequences = sequences.flatMap { sequence in bytes.map { sequence + [$0] } }
            for sequence in sequences {
                var detokenizer = Detokenizer(tokenizer.vocabulary)
                var text = ""
                for byte in sequence { text += detokenizer.append(Int(byte) + 3) }
                text += detokenizer.finish()
                #expect(Array(text.utf8) == Array(String(decoding: sequence, as: UTF8.self).utf8), "\(sequence)")
            }
        }
    }

    @Test func controlTokensCanBeHidden() throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("spm").metadata)
        var detokenizer = Detokenizer(tokenizer.vocabulary, special: false)
        #expect(detokenizer.append(1) == "")
        #expect(detokenizer.append(try #require(tokenizer.vocabulary.id(of: "▁hello"))) == " hello")
        #expect(detokenizer.append(try #require(tokenizer.vocabulary.id(of: "<tab>"))) == "<tab>")
    }

    /// One word of 100,000 letters: with quadratic work this would take hours.
    @Test(.timeLimit(.minutes(5)), arguments: ["spm", "bpe-gpt-2", "bpe-llama-bpe"])
    func longWordsAreNoTrap(_ name: String) throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary(name).metadata)
        let text = String(repeating: "hello", count: 20_000)
        let ids = tokenizer.encode(text, addSpecial: false)
        #expect(
            ids.suffix(19_999)
                == Array(repeating: try #require(tokenizer.vocabulary.id(of: "hello")), count: 19_999)[...])
        #expect(tokenizer.vocabulary.decode(ids) == text)
    }
}
