import GGUF
import Quantization
import Tensors

/// What a file type makes of each tensor of a model: found from names and shapes alone.
public struct QuantizationPlan: Sendable {
    /// What becomes of one tensor.
    public struct Entry: Sendable {
        public let tensor: TensorInfo
        /// The type it gets; its own if it is copied.
        public let type: TensorType
        /// The type that the mix, or the user, meant; another than `type` where the rows' length forbids it.
        public let wanted: TensorType
        /// Whether its type is open to change at all: matrices of weights, but for norms and a few small ones.
        public let isQuantizable: Bool
        /// Whether llama.cpp refuses to write it without an importance matrix.
        public let needsImportance: Bool

        public var isCopied: Bool { type == tensor.type }
        public var isFallback: Bool { type != wanted }
        public var byteCount: Int { type.rowBytes(tensor.shape.ne0)! * tensor.shape.rows }
    }

    /// `nil` if everything is copied.
    public let fileType: GGUFFileType?
    /// In the order of the new file: outside the layers first, then by layer, and by name in each.
    public let entries: [Entry]

    public var byteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }
    /// Overrides whose expressions are found in no tensor's name.
    public let unusedOverrides: [TypeOverride]

    public var fallbacks: Int { entries.count { $0.isFallback } }

    init(fileType: GGUFFileType?, entries: [Entry]) {
        (self.fileType, self.entries, unusedOverrides) = (fileType, entries, [])
    }

    /// Every tensor as it is, in the order that quantising gives.
    public init(copying file: GGUFFile) {
        (fileType, unusedOverrides) = (nil, [])
        entries = Self.order(file.tensors).map {
            Entry(tensor: $0, type: $0.type, wanted: $0.type, isQuantizable: false, needsImportance: false)
        }
    }

    /// - Parameter hasImportance: whether there is an importance matrix; some mixes depend on it.
    /// - Throws: `QuantizeProblem` if the model's metadata does not say what the mix needs, or rows fit no type.
    public init(
        _ file: GGUFFile, as mix: QuantizationMix, _ options: QuantizeOptions = QuantizeOptions(), hasImportance: Bool
    ) throws(QuantizeProblem) {
        let tensors = Self.order(file.tensors)
        let metadata = file.metadata.setting(options.metadata.map(\.entry))
        var chooser = try TypeChooser(
            mix, options, sizes: try ModelSizes(forMixOf: metadata, in: file.path), file: file.path,
            hasImportance: hasImportance,
            names: tensors.map(\.name))
        var entries: [Entry] = []
        for tensor in tensors { entries.append(try chooser.entry(tensor)) }
        fileType = mix.fileType
        self.entries = entries
        unusedOverrides = chooser.unusedOverrides(tensors.map(\.name))
    }

    /// llama.cpp's order of tensors, in which its mixes count them.
    private static func order(_ tensors: [TensorInfo]) -> [TensorInfo] {
        tensors.map { ($0.name.blockNumber ?? -1, $0) }.sorted { left, right in
            left.0 != right.0
                ? left.0 < right.0 : left.1.name.storedBytes.lexicographicallyPrecedes(right.1.name.storedBytes)
        }.map(\.1)
    }
}

extension String {
    /// 12 of `blk.12.attn_q.weight`.
    var blockNumber: Int? {
        guard hasPrefix("blk.") else { return nil }
        return Int(dropFirst(4).prefix { $0.isASCII && $0.isNumber })
    }
}
