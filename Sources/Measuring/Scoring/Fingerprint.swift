import LlamaModel

/// A number that tells work on one model and text from work on another (FNV-1a): for files that are gone on with.
struct Fingerprint {
    private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    /// Of names, types and shapes of a model's tensors, and of the tokens of a text's chunks.
    init(_ model: Llama, _ text: ScoredText) {
        for tensor in model.file.tensors { add("\(tensor.name) \(tensor.type.name) \(tensor.shape);".utf8) }
        for chunk in text.chunks {
            for token in chunk { add((0..<4).map { UInt8(truncatingIfNeeded: token >> (8 * $0)) }) }
        }
        add("\(text.chunkSize)".utf8)
    }

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    }

    var hexDigits: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
