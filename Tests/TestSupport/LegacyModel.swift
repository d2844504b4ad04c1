import Foundation
import GGUF
import Tensors

/// Files from before GGUF, made of the weights of a llama in GGUF with SentencePiece tokens.
public struct LegacyModel: Sendable {
    /// `nil` for ggml, which has no version.
    public let magic: String
    public let version: UInt32?

    public static let ggml = LegacyModel(magic: "lmgg", version: nil)
    public static let ggmf = LegacyModel(magic: "fmgg", version: 1)
    public static func ggjt(_ version: UInt32) -> LegacyModel { LegacyModel(magic: "tjgg", version: version) }
    public static let all = [ggml, ggmf, ggjt(1), ggjt(2), ggjt(3)]

    private static let names: [(String, String)] = [
        ("attn_norm", "attention_norm"), ("attn_q", "attention.wq"), ("attn_k", "attention.wk"),
        ("attn_v", "attention.wv"), ("attn_output", "attention.wo"), ("ffn_norm", "ffn_norm"),
        ("ffn_gate", "feed_forward.w1"), ("ffn_down", "feed_forward.w2"), ("ffn_up", "feed_forward.w3"),
    ]

    /// The file, with F32 or F16 weights as the model has them.
    public func bytes(of file: GGUFFile) -> [UInt8] {
        func number(_ key: String) -> Int { file.metadata[key]!.integer! }
        var bytes = Array(magic.utf8) + (version.map(Self.little) ?? [])
        let (width, heads) = (number("llama.embedding_length"), number("llama.attention.head_count"))
        let layers = number("llama.block_count")
        let tokens = file.metadata["tokenizer.ggml.tokens"]!.array!.strings!
        let scores = file.metadata["tokenizer.ggml.scores"]!.array!.values.map { Float($0.number!) }
        let isF16 = file.tensor(named: "blk.0.attn_q.weight")!.type == .f16
        for value in [tokens.count, width, 32, heads, layers, width / heads, isF16 ? 1 : 0] {
            bytes += Self.little(UInt32(value))
        }
        for (token, score) in zip(tokens, scores) {
            var raw = token.storedBytes
            if token.hasPrefix("<0x"), raw.count == 6 { raw = [UInt8(token.dropFirst(3).prefix(2), radix: 16)!] }
            raw = Array(token.hasPrefix("<0x") ? raw : Array(token.replacingOccurrences(of: "▁", with: " ").utf8))
            bytes += Self.little(UInt32(raw.count)) + raw
            if version != nil { bytes += Self.little(score.bitPattern) }
        }
        func add(_ old: String, _ new: String) {
            guard let info = file.tensor(named: new) ?? file.tensor(named: "token_embd.weight") else { return }
            let dimensions = Array(info.shape.dimensions.prefix(info.dimensionCount))
            bytes += Self.little(UInt32(dimensions.count)) + Self.little(UInt32(old.utf8.count))
            bytes += Self.little(info.type.rawValue)
            for dimension in dimensions { bytes += Self.little(UInt32(dimension)) }
            bytes += Array(old.utf8)
            if magic == "tjgg" { bytes += Array(repeating: 0, count: -bytes.count & 31) }
            file.values(of: info).withBytes { bytes += $0.withUnsafeBytes { Array($0) } }
        }
        add("tok_embeddings.weight", "token_embd.weight")
        add("norm.weight", "output_norm.weight")
        add("output.weight", "output.weight")
        for layer in 0..<layers {
            for (new, old) in Self.names { add("layers.\(layer).\(old).weight", "blk.\(layer).\(new).weight") }
        }
        return bytes
    }

    public static func little(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension GGUFFile {
    /// A copy with a chat template, and with control tokens in place of the last ones.
    public func write(chatTemplate: String, tokens added: [String] = [], to path: String) throws {
        var entries = metadata.entries.filter { $0.key != "tokenizer.chat_template" }
        entries.append(.init(key: "tokenizer.chat_template", value: .string(chatTemplate)))
        func replace(_ key: String, _ change: (inout [GGUFValue]) -> Void) {
            guard let index = entries.firstIndex(where: { $0.key == key }), let array = entries[index].value.array
            else {
                return
            }
            var values = array.values
            change(&values)
            entries[index] = .init(key: key, value: .array(GGUFArray(array.elementType, values)))
        }
        replace("tokenizer.ggml.tokens") { values in
            for (offset, token) in added.enumerated() { values[values.count - added.count + offset] = .string(token) }
        }
        replace("tokenizer.ggml.token_type") { values in
            for offset in added.indices { values[values.count - added.count + offset] = .int32(3) }
        }
        try GGUFWriter(
            metadata: Metadata(entries), tensors: tensors.map { GGUFWriter.TensorEntry($0, of: self) }, version: version
        ).write(to: path, overwrite: true)
    }
}
