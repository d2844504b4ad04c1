import Tensors

/// What a GGUF file says about one tensor, and where its data lies.
public struct TensorInfo: Hashable, Sendable {
    /// The name, unique in the model, such as `blk.0.attn_q.weight`.
    public let name: String
    /// How the values are stored.
    public let type: TensorType
    /// The four dimensions, `ne0` first.
    public let shape: Shape
    /// Dimensions stored in the file, 0 to 4; the shape's others are 1.
    public let dimensionCount: Int
    /// Bytes from the start of the data section to the data, as stored.
    public let offset: Int
    /// Bytes from the start of the file (the part) to the data.
    public internal(set) var fileOffset: Int
    /// Bytes of the data, without padding.
    public let byteCount: Int
    /// Index of the file of a split model; 0 for a single file.
    public let part: Int
    /// Bytes from the start of the file (the part) to this record in the header.
    public let recordOffset: Int

    /// Stored bits per weight, scales included.
    public var bitsPerWeight: Double { type.bitsPerWeight }
}
