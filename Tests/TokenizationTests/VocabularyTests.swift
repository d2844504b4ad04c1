import GGUF
import Testing
import Tokenization

/// Files that are wrong, each refused with its own error, and files that are only careless.
@Suite struct VocabularyTests {
    private static let tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab"]

    /// The metadata of a small vocabulary, some keys replaced or, by `nil`, removed.
    private func metadata(_ changes: [String: GGUFValue?], bytePairs: Bool = false) -> Metadata {
        let parts = VocabularyParts(
            model: bytePairs ? "gpt2" : "llama", pre: bytePairs ? "gpt-2" : nil, tokens: Self.tokens,
            kinds: [2, 3, 3, 1, 1, 1], scores: [0, 0, 0, -1, -2, -3], merges: bytePairs ? ["a b"] : nil)
        var entries = parts.entries.filter { !changes.keys.contains($0.key) }
        for (key, value) in changes { if let value { entries.append(.init(key: key, value: value)) } }
        return Metadata(entries)
    }

    private func strings(_ values: [String]) -> GGUFValue { .array(GGUFArray(.string, values.map { .string($0) })) }

    private func expect(
        _ error: TokenizationError, bytePairs: Bool = false, _ changes: [String: GGUFValue?],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: error, sourceLocation: sourceLocation) {
            try Tokenizer(metadata: metadata(changes, bytePairs: bytePairs))
        }
    }

    @Test func missingKeys() {
        expect(.missingKey("tokenizer.ggml.model"), ["tokenizer.ggml.model": nil])
        expect(.missingKey("tokenizer.ggml.tokens"), ["tokenizer.ggml.tokens": nil])
        expect(.missingKey("tokenizer.ggml.merges"), bytePairs: true, ["tokenizer.ggml.merges": nil])
        #expect(throws: TokenizationError.missingKey("tokenizer.ggml.model")) { try Tokenizer(metadata: Metadata([])) }
    }

    @Test func wrongTypes() {
        func wrong(_ key: String, _ value: GGUFValue, _ found: String, _ expected: String) {
            expect(.wrongType(key: key, found: found, expected: expected), bytePairs: true, [key: value])
        }
        wrong("tokenizer.ggml.model", .uint32(1), "of type u32", "a string")
        wrong("tokenizer.ggml.pre", .bool(true), "of type bool", "a string")
        wrong("tokenizer.ggml.tokens", .string("a"), "of type str", "an array of str")
        wrong("tokenizer.ggml.tokens", .array(GGUFArray(.int32, [])), "an array of i32", "an array of str")
        wrong("tokenizer.ggml.merges", .array(GGUFArray(.bool, [])), "an array of bool", "an array of str")
        wrong("tokenizer.ggml.scores", .array(GGUFArray(.float64, [])), "an array of f64", "an array of f32 or i32")
        wrong("tokenizer.ggml.token_type", .array(GGUFArray(.uint32, [])), "an array of u32", "an array of i32")
        wrong("tokenizer.ggml.bos_token_id", .string("1"), "of type str", "an integer")
        wrong("tokenizer.ggml.add_bos_token", .uint32(1), "of type u32", "a bool")
    }

    @Test func arraysOfWrongLength() {
        let key = "tokenizer.ggml.scores"
        expect(
            .tooFew(key: key, found: 5, expected: 6),
            [key: .array(GGUFArray(.float32, Array(repeating: .float32(0), count: 5)))])
        let kinds = "tokenizer.ggml.token_type"
        expect(.tooFew(key: kinds, found: 0, expected: 6), [kinds: .array(GGUFArray(.int32, []))])
        expect(
            .tooFew(key: "tokenizer.ggml.tokens", found: 0, expected: 1),
            ["tokenizer.ggml.tokens": strings([])])
    }

    @Test func unknownNames() throws {
        for model in ["bert", "t5", "rwkv", "plamo2", "none", ""] {
            expect(.unknownModel(model, known: ["llama", "gpt2", "gemma4"]), ["tokenizer.ggml.model": .string(model)])
        }
        // SentencePiece vocabularies have no pre-tokenizer, whatever the file says.
        let warnings = try Vocabulary(metadata: metadata(["tokenizer.ggml.pre": .string("martian")])).warnings
        #expect(!warnings.contains { $0.contains("martian") }, "\(warnings)")
    }

    @Test func idsThatDoNotExist() throws {
        for name in ["bos", "eos", "eot", "eom", "unknown", "fim_pad", "prefix"] {
            let key = "tokenizer.ggml.\(name)_token_id"
            expect(.idOutOfRange(key: key, id: 6, count: 6), [key: .uint32(6)])
            expect(.idOutOfRange(key: key, id: -2, count: 6), [key: .int32(-2)])
        }
        // "None" as files write it, and an id that nothing here uses.
        let none = metadata([
            "tokenizer.ggml.bos_token_id": .uint32(.max), "tokenizer.ggml.padding_token_id": .uint32(999),
        ])
        #expect(try Vocabulary(metadata: none).bos == 1)
    }

    @Test func tokensToAddThatDoNotExist() {
        let (flag, key) = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id")
        // The default id, 11, is beyond this vocabulary.
        expect(.missingSpecialToken(flag: flag, key: key), bytePairs: true, [flag: .bool(true)])
        let eos = "tokenizer.ggml.add_eos_token"
        expect(
            .missingSpecialToken(flag: eos, key: "tokenizer.ggml.eos_token_id"), bytePairs: true, [eos: .bool(true)])
    }

    @Test func malformedContents() {
        for merge in ["ab", "a ", "", " b", " "] {
            expect(
                .malformedMerge(index: 1, text: merge), bytePairs: true,
                ["tokenizer.ggml.merges": strings(["a b", merge])])
        }
        expect(
            .duplicateToken(text: "a", first: 0, second: 2), ["tokenizer.ggml.tokens": strings(["a", "b", "a"])])
        expect(
            .malformedByteToken(id: 3, text: "a"),
            ["tokenizer.ggml.token_type": .array(GGUFArray(.int32, [2, 3, 3, 6, 1, 1].map { .int32($0) }))])
        expect(
            .scoreNotANumber(id: 0),
            ["tokenizer.ggml.scores": .array(GGUFArray(.float32, Array(repeating: .float32(.nan), count: 6)))])
    }

    /// Equal to Swift's `==`, different as bytes: two tokens.
    @Test func tokensAreComparedByBytes() throws {
        let parts = VocabularyParts(tokens: ["<unk>", "<s>", "</s>", "\u{e9}", "e\u{301}"])
        let vocabulary = try Vocabulary(metadata: Metadata(parts.entries))
        #expect(vocabulary.id(of: "\u{e9}") == 3)
        #expect(vocabulary.id(of: "e\u{301}") == 4)
    }

    @Test func missingPreTokenizerIsWarnedOf() throws {
        for value in [nil, GGUFValue.string("")] {
            let vocabulary = try Vocabulary(metadata: metadata(["tokenizer.ggml.pre": value], bytePairs: true))
            #expect(vocabulary.warnings.count { $0.contains("tokenizer.ggml.pre") && $0.contains("default") } == 1)
        }
        #expect(try Vocabulary(metadata: metadata([:], bytePairs: true)).warnings.isEmpty)
    }

    @Test func controlTokensOfTheWrongKindAreCorrected() throws {
        let parts = VocabularyParts(tokens: ["<unk>", "<s>", "</s>", "<|im_end|>"], kinds: [2, 3, 3, 1])
        let vocabulary = try Vocabulary(metadata: Metadata(parts.entries))
        #expect(vocabulary.kind(3) == .control)
        #expect(vocabulary.eot == 3)
        #expect(vocabulary.endOfGeneration == [2, 3])
        #expect(vocabulary.warnings.count { $0.contains("<|im_end|>") } == 1)
    }

    @Test func emptyTextsGetNames() throws {
        let vocabulary = Golden.vocabulary("spm")
        #expect(vocabulary.tokens[266].isEmpty)
        #expect(try Vocabulary(metadata: vocabulary.metadata).text(266) == "[EMPTY_266]")
    }
}
