import Tensors

/// A bfloat16 stored as two bytes, low byte first: the upper half of a Float.
public struct PackedBrainFloat: BitwiseCopyable, Sendable {
    private var word: PackedInt16

    /// The BF16 nearest to `value`.
    @inline(__always)
    public init(_ value: Float) { word = PackedInt16(Int16(bitPattern: Half.bf16(value))) }

    /// The value, exactly.
    @inline(__always)
    public var float: Float { Half.float(bf16: word.bits) }
}

/// bfloat16: a Float cut after 16 bits.
///
///     byte  0                2
///           | s eeeeeeee mmmmmmm |     1 sign bit, 8 exponent bits (bias 127), 7 mantissa bits
///
/// Value: `x = (-1)^s * 2^(e - 127) * 1.m`. 16 bits per weight.
///
/// Product with BF16: products are exact in Float and added up as `sumOfProducts` says.
/// Activations: rounded to nearest, ties to even. Source: ggml `ggml_vec_dot_bf16`, `ggml_cpu_fp32_to_bf16`.
public struct FormatBF16: ActivationFormat {
    public typealias Block = PackedBrainFloat
    public let type = TensorType.bf16
    public let activationType = TensorType.bf16

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { numbers in
            for i in 0..<numbers.count { output[i] = numbers[i].float }
        }
    }

    public func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan) {
        checkSize(of: output, for: values)
        for i in 0..<values.count {
            output.storeBytes(of: PackedBrainFloat(values[i]), toByteOffset: 2 * i, as: PackedBrainFloat.self)
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        checkSizes(weights, activations, count: count)
        return sumOfProducts(
            weights, activations, stride: 16, order: SummationOrder(isTile: false, isPadded: true),
            load: { Floats8(bf16: $0.lanes($1)) }, add: { $0.addProducts($1, $2) }
        ).sums.sumOfHalves
    }
}

/// Weights are made like activations: nearest, ties to even.
extension FormatBF16: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        encodeActivations(row, into: &output)
    }
}

extension FormatBF16: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { .none }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            plain: block, value: load(block).float, formula: "x = (-1)^s * 2^(e - 127) * 1.m",
            meaning: "upper half of a Float")
    }
}
