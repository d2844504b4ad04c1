import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// A GGUF file.
struct ModelRow: TraceRow {
    static let insertion = Insertion(
        into: "model",
        columns: [
            "id", "path", "name", "architecture", "file_type", "n_layer", "n_embd", "n_head", "n_head_kv", "head_dim",
            "n_ff",
            "n_vocab", "n_ctx_train", "n_params", "size_bytes", "bpw", "tied_embeddings",
        ])

    let id: Int
    let card: ModelCard

    func bind(to row: RowBinder) {
        let sizes = card.sizes
        // The trace is read from other directories too.
        row.bind(
            id, URL(fileURLWithPath: card.path).standardizedFileURL.path, card.name, sizes.architecture, card.fileType,
            sizes.layers, sizes.embedding, sizes.heads, sizes.kvHeads, sizes.headSize, sizes.feedForward,
            sizes.vocabulary, sizes.trainedContext, card.parameters, card.bytes, card.bitsPerWeight, card.isTied)
    }
}

/// A metadata key of the file.
struct MetadataRow: TraceRow {
    static let insertion = Insertion(
        into: "metadata", columns: ["model_id", "key", "type", "value"])

    let modelID: Int
    let entry: ModelCard.Entry

    func bind(to row: RowBinder) { row.bind(modelID, entry.key, entry.type, entry.value) }
}

/// A tensor of the file.
struct WeightRow: TraceRow {
    static let insertion = Insertion(
        into: "weight",
        columns: [
            "id", "model_id", "name", "layer", "role", "type", "ne0", "ne1", "ne2", "ne3", "file_offset", "n_bytes",
            "bpw",
            "part",
        ])

    let id: Int
    let modelID: Int
    let weight: ModelCard.Weight

    func bind(to row: RowBinder) {
        let shape = weight.shape
        row.bind(
            id, modelID, weight.name, weight.layer, weight.role, weight.type.name, shape.ne0, shape.ne1, shape.ne2,
            shape.ne3, weight.fileOffset, weight.byteCount, weight.bitsPerWeight, weight.part)
    }
}

/// Which KV head a query head reads.
struct GQAMapRow: TraceRow {
    static let insertion = Insertion(
        into: "gqa_map", columns: ["model_id", "layer", "head", "kv_head", "group_index"])

    let modelID: Int
    let layer: Int
    let head: Int
    let groupSize: Int

    func bind(to row: RowBinder) {
        row.bind(modelID, layer, head, head / groupSize, head % groupSize)
    }
}
