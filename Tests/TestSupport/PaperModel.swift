import GGUF
import Tensors

/// A model as mixes see it: names, rows and metadata of a llama model, with two rows per tensor.
package struct PaperModel {
    package var layers = 8
    package var heads = 8
    package var keyValueHeads = 8
    package var experts = 0
    /// Values in each row.
    package var width = 256
    package var isTied = false
    package var architecture = "llama"
    /// Added to the metadata.
    package var entries: [Metadata.Entry] = []

    /// Value `index` of a tensor.
    package var value: @Sendable (_ tensor: String, _ index: Int) -> Float = { name, index in
        // Any that differ from tensor to tensor, with no pattern that a block could make use of.
        Float((index * 7919 + name.utf8.reduce(0) { $0 &* 31 &+ Int($1) }) % 1009) / 504 - 1
    }

    package init(
        layers: Int = 8, heads: Int = 8, keyValueHeads: Int = 8, experts: Int = 0, width: Int = 256,
        isTied: Bool = false, architecture: String = "llama", entries: [Metadata.Entry] = [],
        value: (@Sendable (_ tensor: String, _ index: Int) -> Float)? = nil
    ) {
        (self.layers, self.heads, self.keyValueHeads, self.experts) = (layers, heads, keyValueHeads, experts)
        (self.width, self.isTied, self.architecture, self.entries) = (width, isTied, architecture, entries)
        if let value { self.value = value }
    }

    package static let layerParts = [
        "attn_k.weight", "attn_norm.weight", "attn_output.weight", "attn_q.weight", "attn_v.weight", "ffn_down.weight",
        "ffn_gate.weight", "ffn_norm.weight", "ffn_up.weight",
    ]

    package func write(to path: String, type: TensorType = .f32) throws -> GGUFFile {
        func tensor(_ name: String) -> GGUFWriter.TensorEntry {
            let isVector = name.hasSuffix("_norm.weight")
            let shape = Shape(width, isVector ? 1 : 2, name.contains("_exps") ? experts : 1)
            let values = (0..<shape.count).map { value(name, $0) }
            return .init(name: name, isVector || type == .f32 ? .floats(values, shape) : .halves(values, shape))
        }
        let parts =
            experts == 0
            ? Self.layerParts
            : Self.layerParts.map {
                $0.hasPrefix("ffn_") && $0 != "ffn_norm.weight" ? $0.replacing(".weight", with: "_exps.weight") : $0
            } + ["ffn_gate_inp.weight"]
        // Not in the order in which they will be written.
        var names = ["token_embd.weight", "output_norm.weight"] + (isTied ? [] : ["output.weight"])
        for layer in (0..<layers).reversed() { names += parts.map { "blk.\(layer).\($0)" } }
        try GGUFWriter(metadata: metadata, tensors: names.map(tensor)).write(to: path, overwrite: true)
        return try GGUFFile(path: path)
    }

    private var metadata: Metadata {
        func number(_ key: String, _ value: Int) -> Metadata.Entry {
            .init(key: "\(architecture).\(key)", value: .uint32(UInt32(value)))
        }
        return Metadata(
            [
                .init(key: "general.architecture", value: .string(architecture)),
                .init(key: "general.file_type", value: .uint32(1)), number("block_count", layers),
                number("attention.head_count", heads), number("attention.head_count_kv", keyValueHeads),
            ] + (experts == 0 ? [] : [number("expert_count", experts)]) + entries)
    }
}
