import Foundation
import GGUF

/// Small vocabularies and what llama.cpp does with them.
///
/// `Tests/Fixtures/tokenizer-golden.json` was made by `Tests/Conformance/tokenizer_golden.py`, which also says which rule
/// each token and text is there for.
struct Golden: Decodable, Sendable {
    let vocabularies: [GoldenVocabulary]
    let splitTexts: [String]
    let splits: [Split]
    let nameTexts: [Bytes]
    let names: [Name]

    /// How the pre-tokenizers of these names cut the texts into words.
    struct Split: Decodable, Sendable {
        let names: [String]
        /// For each text the words' lengths in bytes.
        let words: [[Int]]
    }

    /// What the vocabulary "bpe-trillion" does under another name of a pre-tokenizer, with default keys.
    struct Name: Decodable, Sendable {
        let pre: String
        let bos: Int
        /// For each text.
        let ids: [[Int]]
        /// The ids detokenized.
        let shown: [Bytes]
    }

    static let shared: Golden = {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let data = try! Data(contentsOf: tests.appending(path: "Fixtures/tokenizer-golden.json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try! decoder.decode(Golden.self, from: data)
    }()

    static func vocabulary(_ name: String) -> GoldenVocabulary { shared.vocabularies.first { $0.name == name }! }
}

struct GoldenVocabulary: Decodable, Sendable {
    let name: String
    let model: String
    let pre: String?
    let modelName: String?
    let keys: [String: Key]
    let tokens: [String]
    let kinds: [Int32]
    let scores: [Float]?
    let merges: [String]?

    let bos: Int
    let eos: Int
    let addsBos: Bool
    let addsEos: Bool
    let endOfGeneration: [Int]
    let pieces: [Bytes]
    let cases: [Case]

    struct Case: Decodable, Sendable {
        let text: Bytes
        let addSpecial: Bool
        let parseSpecial: Bool
        let ids: [Int]
        /// Detokenized with special tokens shown and nothing removed.
        let shown: Bytes
        /// Detokenized without special tokens, the ones that were added removed first.
        let hidden: Bytes
    }

    enum Key: Decodable, Sendable {
        case bool(Bool)
        case id(UInt32)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let bool = try? container.decode(Bool.self) {
                self = .bool(bool)
            } else {
                self = .id(try container.decode(UInt32.self))
            }
        }
    }

    /// The metadata of a file with this vocabulary.
    var metadata: Metadata { Metadata(entries(pre, keys)) }

    /// The same with another pre-tokenizer, and without further keys.
    func metadata(pre: String) -> Metadata { Metadata(entries(pre, [:])) }

    private func entries(_ pre: String?, _ keys: [String: Key]) -> [Metadata.Entry] {
        var entries = VocabularyParts(
            model: model, pre: pre, tokens: tokens, kinds: kinds, scores: scores, merges: merges
        ).entries
        if let modelName { entries.append(.init(key: "general.name", value: .string(modelName))) }
        for (key, value) in keys {
            let value: GGUFValue =
                switch value {
                case .bool(let bool): .bool(bool)
                case .id(let id): .uint32(id)
                }
            entries.append(.init(key: "tokenizer.ggml.\(key)", value: value))
        }
        return entries
    }
}

/// Bytes, written as a string where they are text.
struct Bytes: Decodable, Sendable, Equatable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            bytes = Array(text.utf8)
        } else {
            bytes = try container.decode([UInt8].self)
        }
    }
}

/// The arrays of a vocabulary, to build metadata from.
struct VocabularyParts {
    var model = "llama"
    var pre: String?
    var tokens: [String]
    var kinds: [Int32]?
    var scores: [Float]?
    var merges: [String]?

    var entries: [Metadata.Entry] {
        var entries = [
            Metadata.Entry(key: "tokenizer.ggml.model", value: .string(model)),
            Metadata.Entry(key: "tokenizer.ggml.tokens", value: .array(GGUFArray(.string, tokens.map { .string($0) }))),
        ]
        func add(_ key: String, _ type: GGUFValueType, _ values: [GGUFValue]?) {
            guard let values else { return }
            entries.append(.init(key: "tokenizer.ggml.\(key)", value: .array(GGUFArray(type, values))))
        }
        if let pre { entries.append(.init(key: "tokenizer.ggml.pre", value: .string(pre))) }
        add("token_type", .int32, kinds?.map { .int32($0) })
        add("scores", .float32, scores?.map { .float32($0) })
        add("merges", .string, merges?.map { .string($0) })
        return entries
    }
}
