import Tensors

/// One way of storing a row of numbers: its block layout, how it is decoded, and its dot product as ggml computes it.
///
/// All of a format is in one file, `Blocks/BlockX.swift`, and one line of `BlockFormats.all`. These Swift versions are
/// the reference that faster kernels are tested against.
public protocol BlockFormat: Sendable {
    /// The bytes of one block, exactly as ggml lays them out.
    associatedtype Block: BitwiseCopyable

    /// The type's id, name, block length and bytes.
    var type: TensorType { get }

    /// The type activations are converted to before a product with weights of this format (ggml's `vec_dot_type`).
    var activationType: TensorType { get }

    /// Writes the values of whole blocks.
    ///
    /// - Precondition: `output.count` is a multiple of the block length and `bytes` holds exactly that many blocks.
    func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>)

    /// The dot product of one row of weights with one row of activations of `activationType`.
    ///
    /// Integer parts are exact; blocks are added up in `Float`, in a fixed order.
    ///
    /// - Precondition: both hold exactly `count` values; `count` is a multiple of both block lengths.
    func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float

    /// The dot products of as many rows of weights as `output` has places with one row of activations.
    ///
    /// - Parameters:
    ///   - weights: the rows, from the first byte of the first to the last of the last.
    ///   - stride: bytes from one row to the next.
    func dotRows(
        _ weights: RawSpan, stride: Int, _ activations: RawSpan, count: Int, into output: inout MutableSpan<Float>)
}

extension BlockFormat {
    /// Row by row. A requirement with this default, so that each format gets a loop that calls its own `dot` directly.
    public func dotRows(
        _ weights: RawSpan, stride: Int, _ activations: RawSpan, count: Int, into output: inout MutableSpan<Float>
    ) {
        let bytes = type.rowBytes(count)!
        for row in 0..<output.count {
            output[row] = dot(weights.extracting(row * stride..<row * stride + bytes), activations, count: count)
        }
    }
}

/// A format that activations are converted to: Q8_0, Q8_1, Q8_K, F16, BF16, F32.
public protocol ActivationFormat: BlockFormat {
    /// Converts whole blocks exactly as ggml's CPU backend does on x86-64.
    ///
    /// - Precondition: `values.count` is a multiple of the block length and `output` holds exactly that many blocks.
    func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan)
}

extension BlockFormat {
    /// Goes through a row of `count` values: `body` gets each block and the index of its first value.
    @inline(__always)
    func forEachBlock(in bytes: RawSpan, count: Int, _ body: (Block, Int) -> Void) {
        precondition(
            bytes.byteCount == type.rowBytes(count), "\(bytes.byteCount) bytes of \(type) for \(count) values")
        bytes.withElements(of: Block.self) { blocks in
            for i in 0..<blocks.count { body(blocks[i], i * type.blockElements) }
        }
    }

    /// The blocks of a row of weights and those of the activations it meets.
    @inline(__always)
    func withBlocks<Activation: BitwiseCopyable>(
        _ weights: RawSpan, _ activations: RawSpan, of activation: Activation.Type, count: Int,
        _ body: (Span<Block>, Span<Activation>) -> Float
    ) -> Float {
        precondition(
            weights.byteCount == type.rowBytes(count) && activations.byteCount == activationType.rowBytes(count),
            "\(weights.byteCount) bytes of \(type), \(activations.byteCount) of \(activationType), \(count) values")
        return weights.withElements(of: Block.self) { weights in
            activations.withElements(of: Activation.self) { body(weights, $0) }
        }
    }
}

extension ActivationFormat {
    /// Converts a row one block at a time.
    @inline(__always)
    func forEachBlock(of values: Span<Float>, into output: inout MutableRawSpan, _ encode: (Span<Float>) -> Block) {
        precondition(
            output.byteCount == type.rowBytes(values.count),
            "\(output.byteCount) bytes for \(values.count) values of \(type)")
        let length = type.blockElements
        for i in 0..<values.count / length {
            let block = encode(values.extracting(length * i..<length * (i + 1)))
            output.storeBytes(of: block, toByteOffset: i * MemoryLayout<Block>.stride, as: Block.self)
        }
    }
}
