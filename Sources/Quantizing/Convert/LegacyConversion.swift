import GGUF
import Tensors

/// A llama of before GGUF as a GGUF file: what it lacks is derived from shapes, or given.
public struct LegacyConversion: Sendable {
    /// What the file does not say.
    public struct Options: Sendable {
        /// Positions that the model was trained for. 2048 for LLaMA, 4096 for Llama 2.
        public var context = 2048
        /// Added to the mean square in norms. 1e-6 for LLaMA, 1e-5 for Llama 2.
        public var epsilon: Float = 1e-6
        /// KV heads; `nil`: as many as the keys' matrices have rows for.
        public var kvHeads: Int?
        /// `general.name`.
        public var name: String?

        public init() {}
    }

    public let file: LegacyFile
    public let metadata: Metadata
    /// Rows of the feed-forward network's matrices.
    public let feedForward: Int
    public let kvHeads: Int
    /// The tensors by their names in GGUF, in the file's order.
    public let tensors: [(name: String, record: LegacyFile.TensorRecord)]

    /// - Throws: `GGUFError` if tensors are missing, unknown, of other shapes than the header says, or in a layout that
    ///   cannot be converted; `ConvertProblem` if `options.kvHeads` does not fit.
    public init(_ file: LegacyFile, _ options: Options) throws {
        self.file = file
        let header = file.header
        let head = header.embedding / header.heads
        tensors = try file.tensors.map { (try Self.name(of: $0, in: file), $0) }
        feedForward = try Self.record("layers.0.feed_forward.w1.weight", in: file).shape.ne1
        let keyRows = try Self.record("layers.0.attention.wk.weight", in: file).shape.ne1
        kvHeads = keyRows / head
        if let asked = options.kvHeads, asked != kvHeads || keyRows % head != 0 {
            throw ConvertProblem.kvHeads(file: file.path, asked: asked, rows: keyRows, head: head)
        }
        guard kvHeads > 0, keyRows % head == 0, header.heads % kvHeads == 0 else {
            throw ConvertProblem.kvHeads(file: file.path, asked: nil, rows: keyRows, head: head)
        }
        try Self.checkShapes(file, feedForward: feedForward, keyRows: keyRows)
        for record in file.tensors where !record.layout.isConvertible { _ = try file.values(of: record) }
        metadata = Metadata(
            Self.sizes(header, options, feedForward: feedForward, kvHeads: kvHeads) + Self.vocabulary(file))
    }

    /// Writes the file, one tensor after the other.
    ///
    /// - Throws: `GGUFError` if it cannot be written, or a scale fits no F16. Nothing is left behind then.
    public func write(to path: String, overwrite: Bool, progress: @escaping @Sendable (Int, Int) throws -> Void) throws
    {
        let count = tensors.count
        let file = file
        let entries = tensors.enumerated().map { index, tensor in
            GGUFWriter.TensorEntry(
                name: tensor.name, type: tensor.record.layout.type!, shape: tensor.record.shape,
                dimensionCount: tensor.record.dimensionCount
            ) {
                try progress(index, count)
                return try file.values(of: tensor.record)
            }
        }
        try GGUFWriter(metadata: metadata, tensors: entries).write(
            to: path, overwrite: overwrite, checking: file.file.checkUnchanged)
    }

    // MARK: names and shapes

    private static let outside = [
        "tok_embeddings.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
        "output.weight": "output.weight",
    ]
    private static let inside = [
        "attention_norm.weight": "attn_norm.weight", "attention.wq.weight": "attn_q.weight",
        "attention.wk.weight": "attn_k.weight", "attention.wv.weight": "attn_v.weight",
        "attention.wo.weight": "attn_output.weight", "ffn_norm.weight": "ffn_norm.weight",
        "feed_forward.w1.weight": "ffn_gate.weight", "feed_forward.w2.weight": "ffn_down.weight",
        "feed_forward.w3.weight": "ffn_up.weight",
    ]

    private static func name(of record: LegacyFile.TensorRecord, in file: LegacyFile) throws -> String {
        if let name = outside[record.name] { return name }
        let parts = record.name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        if parts.count == 3, parts[0] == "layers", let layer = Int(parts[1]), (0..<file.header.layers).contains(layer),
            String(layer) == parts[1], let name = inside[String(parts[2])]
        {
            return "blk.\(layer).\(name)"
        }
        throw GGUFError(file: file.path, offset: record.recordOffset, .legacy(.unknownTensor(record.name)))
    }

    private static func record(_ name: String, in file: LegacyFile) throws -> LegacyFile.TensorRecord {
        guard let record = file.tensor(named: name) else {
            throw GGUFError(file: file.path, .legacy(.missingTensor(name)))
        }
        return record
    }

    private static func checkShapes(_ file: LegacyFile, feedForward: Int, keyRows: Int) throws {
        let (width, vocabulary) = (file.header.embedding, file.header.vocabulary)
        let records = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
        func check(_ name: String, _ shape: [Int]) throws {
            guard let record = records[name] else { throw GGUFError(file: file.path, .legacy(.missingTensor(name))) }
            let found = Array(record.shape.dimensions.prefix(record.dimensionCount))
            guard found == shape else {
                throw GGUFError(
                    file: file.path, offset: record.recordOffset,
                    .legacy(.tensorShape(tensor: name, found: found, expected: shape)))
            }
        }
        try check("tok_embeddings.weight", [width, vocabulary])
        try check("norm.weight", [width])
        try check("output.weight", [width, vocabulary])
        for layer in 0..<file.header.layers {
            let start = "layers.\(layer)."
            try check(start + "attention_norm.weight", [width])
            try check(start + "ffn_norm.weight", [width])
            for part in ["wq", "wo"] { try check("\(start)attention.\(part).weight", [width, width]) }
            for part in ["wk", "wv"] { try check("\(start)attention.\(part).weight", [width, keyRows]) }
            for part in ["w1", "w3"] { try check("\(start)feed_forward.\(part).weight", [width, feedForward]) }
            try check(start + "feed_forward.w2.weight", [feedForward, width])
        }
    }

    // MARK: metadata

    private static func sizes(
        _ header: LegacyFile.Header, _ options: Options, feedForward: Int, kvHeads: Int
    ) -> [Metadata.Entry] {
        func number(_ key: String, _ value: Int) -> Metadata.Entry { .init(key: key, value: .uint32(UInt32(value))) }
        let type = GGUFFileType(id: header.fileType).map { [number("general.file_type", Int($0.rawValue))] } ?? []
        return [.init(key: Metadata.architectureKey, value: .string("llama"))]
            + (options.name.map { [.init(key: "general.name", value: .string($0))] } ?? []) + type + [
                number("llama.vocab_size", header.vocabulary), number("llama.context_length", options.context),
                number("llama.embedding_length", header.embedding), number("llama.block_count", header.layers),
                number("llama.feed_forward_length", feedForward),
                number("llama.rope.dimension_count", header.rotation),
                number("llama.attention.head_count", header.heads),
                number("llama.attention.head_count_kv", kvHeads),
                .init(key: "llama.attention.layer_norm_rms_epsilon", value: .float32(options.epsilon)),
            ]
    }

    /// LLaMA's vocabulary: 0 to 2 are unknown, beginning and end, 3 to 258 the bytes.
    private static func vocabulary(_ file: LegacyFile) -> [Metadata.Entry] {
        var texts: [GGUFValue] = []
        var kinds: [GGUFValue] = []
        var scores: [GGUFValue] = []
        for (id, token) in file.tokens.enumerated() {
            let (text, kind) = entry(id, token.bytes)
            texts.append(.string(String(storedBytes: text)))
            kinds.append(.int32(kind))
            // Without scores: LLaMA's fall with the ids, and only their order counts for merging.
            scores.append(.float32(file.format.hasScores ? token.score : id < 259 ? 0 : -Float(id - 259)))
        }
        return [
            .init(key: "tokenizer.ggml.model", value: .string("llama")),
            .init(key: "tokenizer.ggml.pre", value: .string("default")),
            .init(key: "tokenizer.ggml.tokens", value: .array(GGUFArray(.string, texts))),
            .init(key: "tokenizer.ggml.scores", value: .array(GGUFArray(.float32, scores))),
            .init(key: "tokenizer.ggml.token_type", value: .array(GGUFArray(.int32, kinds))),
            .init(key: "tokenizer.ggml.bos_token_id", value: .uint32(1)),
            .init(key: "tokenizer.ggml.eos_token_id", value: .uint32(2)),
            .init(key: "tokenizer.ggml.unknown_token_id", value: .uint32(0)),
            .init(key: "tokenizer.ggml.add_bos_token", value: .bool(true)),
            .init(key: "tokenizer.ggml.add_eos_token", value: .bool(false)),
        ]
    }

    /// A token's text in GGUF, and its kind.
    private static func entry(_ id: Int, _ bytes: [UInt8]) -> (text: [UInt8], kind: Int32) {
        switch id {
        case 0: return (Array("<unk>".utf8), 2)
        case 1: return (Array("<s>".utf8), 3)
        case 2: return (Array("</s>".utf8), 3)
        case _ where bytes.isEmpty: return ([], 3)
        case 3...258 where bytes.count == 1:
            let digits = String(bytes[0], radix: 16, uppercase: true)
            return (Array("<0x\(digits.count < 2 ? "0" : "")\(digits)>".utf8), 6)
        default: return (bytes.flatMap { $0 == 0x20 ? [0xE2, 0x96, 0x81] : [$0] }, 1)
        }
    }
}

/// Why a file from before GGUF cannot be converted as asked.
public enum ConvertProblem: InputProblem, Sendable, Equatable {
    /// `asked` is `nil` if the rows fit no number of heads.
    case kvHeads(file: String, asked: Int?, rows: Int, head: Int)

    public var description: String {
        switch self {
        case .kvHeads(let file, let asked?, let rows, let head):
            "\(file): --kv-heads \(asked): the keys' matrices have \(rows) rows, which is \(rows / head) heads of \(head). "
                + "Leave the option out."
        case .kvHeads(let file, nil, let rows, let head):
            "\(file): the keys' matrices have \(rows) rows, expected a number of heads of \(head) that divides the query "
                + "heads. The file is damaged: download or convert it again."
        }
    }
}
