import Tensors

/// One way of storing a row of numbers: its block layout, how it is decoded, and its dot product as ggml computes it.
///
/// All of a format is in one file, `Blocks/BlockX.swift`, and one line of `BlockFormats.all`. These Swift versions are
/// the reference that faster kernels are tested against.
public protocol BlockFormat: Sendable {
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
    /// Integer parts are exact; blocks are added up in `Float`, in order.
    ///
    /// - Precondition: both hold exactly `count` values; `count` is a multiple of both block lengths.
    func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float
}

/// A format that activations are converted to: Q8_0, Q8_1, Q8_K, F16, BF16, F32.
public protocol ActivationFormat: BlockFormat {
    /// Converts whole blocks exactly as ggml's CPU backend does on x86-64.
    ///
    /// - Precondition: `values.count` is a multiple of the block length and `output` holds exactly that many blocks.
    func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan)
}
