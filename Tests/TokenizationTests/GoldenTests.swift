import Testing
import Tokenization

/// Everything the fixture records of llama.cpp, compared value by value.
@Suite struct GoldenTests {
    static let names = Golden.shared.vocabularies.map(\.name)

    @Test(arguments: names) func idsAreThoseOfLlamaCpp(_ name: String) throws {
        let golden = Golden.vocabulary(name)
        let tokenizer = try Tokenizer(metadata: golden.metadata)
        #expect(!golden.cases.isEmpty)
        for example in golden.cases {
            let ids = tokenizer.encode(
                bytes: example.text.bytes, addSpecial: example.addSpecial, parseSpecial: example.parseSpecial)
            #expect(
                ids == example.ids,
                "\(example.text) special \(example.addSpecial) \(example.parseSpecial): \(ids.map(tokenizer.vocabulary.displayPiece))"
            )
        }
    }

    @Test(arguments: names) func stepsTellHowTheIdsCame(_ name: String) throws {
        let golden = Golden.vocabulary(name)
        let tokenizer = try Tokenizer(metadata: golden.metadata)
        for example in golden.cases {
            let (ids, steps) = tokenizer.encodeWithSteps(
                bytes: example.text.bytes, addSpecial: example.addSpecial, parseSpecial: example.parseSpecial)
            #expect(ids == example.ids)
            #expect(steps.flatMap(\.ids) == example.ids)
            for step in steps where step.origin == .word {
                #expect(step.symbols.joined() == step.text)
                try replay(step)
            }
        }
    }

    /// Makes the merges of a step on its symbols; each must find its two parts side by side at its position.
    private func replay(_ step: TokenizationStep) throws {
        var symbols = step.symbols
        for merge in step.merges {
            let index = try #require(
                symbols.indices.dropLast().first { symbols[$0] == merge.left && symbols[$0 + 1] == merge.right },
                "\(merge) in \(symbols)")
            #expect(merge.result == merge.left + merge.right)
            symbols.replaceSubrange(index...(index + 1), with: [merge.result])
        }
        #expect(symbols.joined() == step.text)
    }

    @Test(arguments: names) func textsAreThoseOfLlamaCpp(_ name: String) throws {
        let golden = Golden.vocabulary(name)
        let tokenizer = try Tokenizer(metadata: golden.metadata)
        for example in golden.cases {
            #expect(tokenizer.vocabulary.decodeBytes(example.ids) == example.shown.bytes, "\(example.ids)")
            #expect(
                tokenizer.vocabulary.decodeBytes(example.ids, special: false, removeSpecial: true)
                    == example.hidden.bytes, "\(example.ids)")
            #expect(
                Array(tokenizer.vocabulary.decode(example.ids).utf8)
                    == Array(String(decoding: example.shown.bytes, as: UTF8.self).utf8))
        }
        for (id, piece) in golden.pieces.enumerated() {
            #expect(tokenizer.vocabulary.piece(id) == piece.bytes, "token \(id)")
        }
    }

    @Test(arguments: names) func rolesAreThoseOfLlamaCpp(_ name: String) throws {
        let golden = Golden.vocabulary(name)
        let vocabulary = try Vocabulary(metadata: golden.metadata)
        #expect(vocabulary.count == golden.tokens.count)
        #expect(vocabulary.bos ?? -1 == golden.bos)
        #expect(vocabulary.eos ?? -1 == golden.eos)
        #expect(vocabulary.addsBOS == golden.addsBos)
        #expect(vocabulary.addsEOS == golden.addsEos)
        #expect(vocabulary.endOfGeneration.sorted() == golden.endOfGeneration)
    }

    static let preTokenizers = Golden.shared.splits.flatMap(\.names)

    @Test(arguments: preTokenizers) func wordsAreThoseOfLlamaCpp(_ pre: String) throws {
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("bpe-trillion").metadata(pre: pre))
        let split = try #require(Golden.shared.splits.first { $0.names.contains(pre) })
        #expect(Golden.shared.splitTexts.count == 46)
        for (text, lengths) in zip(Golden.shared.splitTexts, split.words) {
            let steps = tokenizer.encodeWithSteps(text, addSpecial: false, parseSpecial: false).steps
            let isOfCharacters = ["gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"].contains(pre)
            let found = steps.map { step in
                isOfCharacters
                    ? step.text.utf8.count - 2 * step.text.unicodeScalars.count { $0 == "▁" }
                    : step.text.unicodeScalars.count
            }
            #expect(found == lengths, "\(pre): \(text.debugDescription) is cut into \(steps.map(\.text))")
        }
    }

    @Test(arguments: preTokenizers) func whatComesWithANameIsAsInLlamaCpp(_ pre: String) throws {
        let golden = try #require(Golden.shared.names.first { $0.pre == pre })
        let tokenizer = try Tokenizer(metadata: Golden.vocabulary("bpe-trillion").metadata(pre: pre))
        #expect(tokenizer.vocabulary.bos ?? -1 == golden.bos)
        for (index, text) in Golden.shared.nameTexts.enumerated() {
            let ids = tokenizer.encode(bytes: text.bytes)
            #expect(ids == golden.ids[index], "\(text)")
            #expect(tokenizer.vocabulary.decodeBytes(golden.ids[index]) == golden.shown[index].bytes, "\(text)")
        }
    }

    @Test func allNamesOfLlamaCppAreKnown() throws {
        #expect(Self.preTokenizers.count == 91)
        #expect {
            try Tokenizer(metadata: Golden.vocabulary("bpe-trillion").metadata(pre: "martian"))
        } throws: { error in
            guard case TokenizationError.unknownPreTokenizer("martian", let known) = error else { return false }
            return known == Self.preTokenizers.sorted() && "\(error)".contains("martian")
        }
    }

    /// Counts and FNV-1a hash of the classes (letter 0, number 1, space 2, punctuation 3, mark 4, symbol 5, other 6) of all code points,
    /// computed from llama.cpp's `unicode_cpt_flags_from_cpt`.
    @Test func classesOfAllCodePointsAreThoseOfLlamaCpp() {
        var counts = Array(repeating: 0, count: 7)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for scalar in UInt32(0)..<0x110000 {
            let number = CharacterClass(scalar).rawValue
            counts[Int(number)] += 1
            hash = (hash ^ UInt64(number)) &* 0x100_0000_01b3
        }
        #expect(counts == [136726, 1831, 25, 842, 2450, 7775, 964463])
        #expect(hash == 0x2d01_cef7_d433_93f9)
    }
}
