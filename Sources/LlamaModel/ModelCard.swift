import GGUF
import Tensors

/// What a trace and a reader want to know of a model file, as plain values.
public struct ModelCard: Sendable {
    public struct Entry: Sendable {
        public let key: String
        /// `u32`, or `arr[str,49152]`.
        public let type: String
        public let value: String
    }

    public struct Weight: Sendable {
        public let name: String
        /// `nil` outside the blocks.
        public let layer: Int?
        /// `attn_q`, `ffn_down`, …; biases end in `.bias`.
        public let role: String
        public let type: TensorType
        public let shape: Shape
        /// Absolute, in bytes, within file `part`.
        public let fileOffset: Int
        public let byteCount: Int
        public let bitsPerWeight: Double
        /// Which file of a split model; 0 for a single file.
        public let part: Int
    }

    public let path: String
    public let name: String?
    public let fileType: String?
    public let sizes: ModelSizes
    public let parameters: Int
    public let bytes: Int
    /// Real bits per weight of all tensors, not a format's name.
    public let bitsPerWeight: Double
    public let isTied: Bool
    public let entries: [Entry]
    public let weights: [Weight]

    public init(_ model: Llama) {
        let file = model.file
        path = file.path
        name = file.metadata["general.name"]?.string
        fileType = file.metadata["general.file_type"]?.integer.flatMap { GGUFFileType(id: $0)?.name }
        sizes = model.configuration.sizes
        parameters = file.parameterCount
        bytes = file.byteCount
        let stored = file.tensors.reduce(0) { $0 + $1.byteCount }
        bitsPerWeight = Double(stored * 8) / Double(max(1, file.parameterCount))
        isTied = model.weights.isTied
        entries = file.metadata.entries.map { Entry(key: $0.key, type: $0.value.typeName, value: $0.value.text()) }
        weights = file.tensors.map(Weight.init)
    }
}

extension ModelCard.Weight {
    init(_ info: TensorInfo) {
        name = info.name
        let parsed = WeightName(info.name)
        (layer, role) = (parsed.layer, parsed.role)
        type = info.type
        shape = info.shape
        fileOffset = info.fileOffset
        byteCount = info.byteCount
        bitsPerWeight = info.bitsPerWeight
        part = info.part
    }
}

extension GGUFValue {
    /// `u32`, or `arr[str,49152]`.
    public var typeName: String {
        if case .array(let array) = self { return "arr[\(array.elementType.name),\(array.count)]" }
        return type.name
    }

    /// The value as text; of a long array only the first `limit` values, followed by `…`.
    public func text(limit: Int = 16) -> String {
        switch self {
        case .uint8(let v): "\(v)"
        case .int8(let v): "\(v)"
        case .uint16(let v): "\(v)"
        case .int16(let v): "\(v)"
        case .uint32(let v): "\(v)"
        case .int32(let v): "\(v)"
        case .uint64(let v): "\(v)"
        case .int64(let v): "\(v)"
        case .float32(let v): "\(v)"
        case .float64(let v): "\(v)"
        case .bool(let v): "\(v)"
        case .string(let v): v
        case .array(let array):
            "[" + array.prefix(limit).map { $0.quotedText }.joined(separator: ", ")
                + (array.count > limit ? ", …]" : "]")
        }
    }

    private var quotedText: String {
        if case .string(let string) = self { return "\"\(string)\"" }
        return text()
    }
}
