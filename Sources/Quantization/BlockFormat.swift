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

    /// The dot products of as many rows of weights as `output` has elements with one row of activations.
    ///
    /// - Parameters:
    ///   - weights: the rows, from the first byte of the first to the last of the last.
    ///   - stride: bytes from one row to the next.
    ///   - activations: one row in the type `activationType`.
    ///   - count: values in a row.
    ///   - order: matters to F32 and F16 only.
    ///   - output: one product for each row.
    func dotRows(
        _ weights: RawSpan, stride: Int, _ activations: RawSpan, count: Int, order: SummationOrder,
        into output: inout MutableSpan<Float>)
}

/// The order in which llama.cpp's CPU backend adds up a product of unquantised rows.
///
/// Rounded sums depend on it in their last bits, and one bit can decide how an activation is quantised later on: to
/// agree with llama.cpp to the end of a network, its order is followed. Source: ggml `ggml_vec_dot_f32`,
/// `ggml_vec_dot_f16` and llamafile's `tinyBLAS`, as built for AVX-512.
public struct SummationOrder: Sendable, Hashable {
    /// Several columns are multiplied at once, rather than one.
    public let isTile: Bool
    /// The row goes on with zeros to a multiple of 256, as positions in llama.cpp's KV cache do.
    public let isPadded: Bool

    /// Parameters are the properties of the same names.
    public init(isTile: Bool, isPadded: Bool) {
        self.isTile = isTile
        self.isPadded = isPadded
    }

    /// One row, one column.
    public static let single = SummationOrder(isTile: false, isPadded: false)
}

extension BlockFormat {
    /// Row by row. A requirement with this default, so that each format gets a loop that calls its own `dot` directly.
    public func dotRows(
        _ weights: RawSpan, stride: Int, _ activations: RawSpan, count: Int, order: SummationOrder,
        into output: inout MutableSpan<Float>
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
    /// The blocks of a row of `count` values.
    @inline(__always)
    func withBlocks(_ bytes: RawSpan, count: Int, _ body: (Span<Block>) -> Void) {
        precondition(
            bytes.byteCount == type.rowBytes(count), "\(bytes.byteCount) bytes of \(type) for \(count) values")
        bytes.withElements(of: Block.self, body)
    }

    @inline(__always)
    func checkSizes(_ weights: RawSpan, _ activations: RawSpan, count: Int) {
        precondition(
            weights.byteCount == type.rowBytes(count) && activations.byteCount == activationType.rowBytes(count),
            "\(weights.byteCount) bytes of \(type), \(activations.byteCount) of \(activationType), \(count) values")
    }

    /// The blocks of a row of weights and those of the activations it meets.
    @inline(__always)
    func withBlocks<Activation: BitwiseCopyable>(
        _ weights: RawSpan, _ activations: RawSpan, of activation: Activation.Type, count: Int,
        _ body: (Span<Block>, Span<Activation>) -> Float
    ) -> Float {
        checkSizes(weights, activations, count: count)
        return weights.withElements(of: Block.self) { weights in
            activations.withElements(of: Activation.self) { body(weights, $0) }
        }
    }
}

extension ActivationFormat {
    @inline(__always)
    func checkSize(of output: borrowing MutableRawSpan, for values: Span<Float>) {
        precondition(
            output.byteCount == type.rowBytes(values.count),
            "\(output.byteCount) bytes for \(values.count) values of \(type)")
    }

    /// Converts a row one block at a time.
    @inline(__always)
    func forEachBlock(of values: Span<Float>, into output: inout MutableRawSpan, _ encode: (Span<Float>) -> Block) {
        checkSize(of: output, for: values)
        let length = type.blockElements
        for i in 0..<values.count / length {
            let block = encode(values.extracting(length * i..<length * (i + 1)))
            output.storeBytes(of: block, toByteOffset: i * MemoryLayout<Block>.stride, as: Block.self)
        }
    }
}

/// F32 and F16, whose products depend on the order of summation.
protocol OrderedFormat: ActivationFormat {
    func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int, order: SummationOrder) -> Float
}

extension OrderedFormat {
    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        dot(weights, activations, count: count, order: .single)
    }

    public func dotRows(
        _ weights: RawSpan, stride: Int, _ activations: RawSpan, count: Int, order: SummationOrder,
        into output: inout MutableSpan<Float>
    ) {
        let bytes = type.rowBytes(count)!
        for row in 0..<output.count {
            let start = row * stride
            output[row] = dot(weights.extracting(start..<start + bytes), activations, count: count, order: order)
        }
    }
}
