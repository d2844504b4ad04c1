import Tensors

extension BlockFormat {
    /// The values of whole blocks, in an array of their own.
    ///
    /// - Precondition: `blocks` is a whole number of blocks, as `TensorType.rowBytes` gives it.
    /// - Returns: `type.blockElements` values for each block of `type.blockBytes` bytes.
    public func values(of blocks: RawSpan) -> [Float] {
        precondition(
            blocks.byteCount % type.blockBytes == 0, "\(blocks.byteCount) bytes are no whole blocks of \(type)")
        var values = [Float](repeating: 0, count: blocks.byteCount / type.blockBytes * type.blockElements)
        var span = values.mutableSpan
        decode(blocks, into: &span)
        return values
    }
}

extension EncodableFormat {
    /// The blocks that one row of weights is stored as, in an array of their own.
    ///
    /// - Parameters:
    ///   - row: the weights, all finite. See `encode(_:importance:into:)`.
    ///   - importance: how much the error of each weight matters; `nil`, or as many numbers as weights.
    /// - Precondition: `row.count` is a multiple of `type.blockElements`.
    public func blocks(of row: [Float], importance: [Float]? = nil) -> [UInt8] {
        guard let byteCount = type.rowBytes(row.count) else {
            preconditionFailure("\(row.count) weights are no whole blocks of \(type)")
        }
        var blocks = [UInt8](repeating: 0, count: byteCount)
        var bytes = blocks.mutableSpan
        var output = bytes.mutableBytes
        encode(row.span, importance: importance?.span, into: &output)
        return blocks
    }
}
