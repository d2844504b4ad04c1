import Tensors

/// A format that weights can be quantised to, byte for byte as ggml does.
///
/// Codes, scales and minima come from the same sums, added up in the same order and rounded at the same steps as in
/// ggml's C, which is compiled for baseline x86-64: no product and sum is fused. Any other order would now and then
/// choose another scale.
public protocol EncodableFormat: BlockFormat {
    /// What an importance matrix means to this format.
    var importance: ImportanceUse { get }

    /// Quantises one row of weights, as `ggml_quantize_chunk` does.
    ///
    /// One row at a time, because an importance is weighed against the mean square of the row.
    ///
    /// - Parameters:
    ///   - row: the weights; `row.count` is a multiple of the block length. What becomes of NaN and infinity is not
    ///     defined, only that nothing traps: look for them with `firstNonFinite` before.
    ///   - importance: how much the error of each weight of the row matters: `nil`, or as many numbers as weights. See
    ///     `ImportanceUse`.
    ///   - output: exactly the blocks of the row.
    func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan)
}

/// What a format does with an importance matrix.
public enum ImportanceUse: Sendable {
    /// The bytes are the same with and without.
    case ignored
    /// Another search, which weighs errors by importance; without it ggml's `_ref` algorithm.
    case optional
    /// ggml refuses to make the format without one. Here its absence counts as all ones.
    case required
}

extension EncodableFormat {
    public var importance: ImportanceUse { .ignored }

    @inline(__always)
    func checkSizes(_ row: Span<Float>, _ importance: Span<Float>?, _ output: borrowing MutableRawSpan) {
        precondition(
            output.byteCount == type.rowBytes(row.count) && (importance?.count ?? row.count) == row.count,
            "\(output.byteCount) bytes and \(importance?.count ?? 0) importances for \(row.count) values of \(type)")
    }

    /// Writes a row block by block.
    ///
    /// - Parameter block: makes the block of the weights that start at an index.
    @inline(__always)
    func writeBlocks(
        _ row: Span<Float>, _ importance: Span<Float>?, into output: inout MutableRawSpan, _ block: (Int) -> Block
    ) {
        checkSizes(row, importance, output)
        let length = type.blockElements
        for i in 0..<row.count / length {
            output.storeBytes(of: block(length * i), toByteOffset: i * MemoryLayout<Block>.stride, as: Block.self)
        }
    }
}

/// The index of the first NaN or infinity; `nil` if there is none.
public func firstNonFinite(_ values: Span<Float>) -> Int? {
    for i in 0..<values.count where values[i].bitPattern & 0x7f80_0000 == 0x7f80_0000 { return i }
    return nil
}

extension BlockFormats {
    /// The encoder of a tensor type; `nil` if weights cannot be quantised to it.
    public static func encodableFormat(for type: TensorType) -> (any EncodableFormat)? {
        format(for: type) as? any EncodableFormat
    }
}
