import Tensors

/// IEEE half precision, as weights, activations and in the KV cache.
///
///     byte  0                2
///           | s eeeee mmmmmmmmmm |     1 sign bit, 5 exponent bits (bias 15), 10 mantissa bits
///
/// Value: `x = (-1)^s * 2^(e - 15) * 1.m`; e = 0 is subnormal, `2^-14 * 0.m`. 16 bits per weight.
///
/// Product with F16: both are converted to Float, products are exact, and added up as `sumOfProducts` says.
/// Activations: rounded to nearest, ties to even. Source: ggml `ggml_vec_dot_f16`, `ggml_cpu_fp32_to_fp16`.
public struct FormatF16: ActivationFormat {
    public typealias Block = PackedHalf
    public let type = TensorType.f16
    public let activationType = TensorType.f16

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { halves in
            for i in 0..<halves.count { output[i] = halves[i].float }
        }
    }

    public func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan) {
        checkSize(of: output, for: values)
        for i in 0..<values.count {
            output.storeBytes(of: PackedHalf(values[i]), toByteOffset: 2 * i, as: PackedHalf.self)
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        checkSizes(weights, activations, count: count)
        return sumOfProducts(weights, activations, stride: 16) { Floats8(f16: $0.lanes($1)) }.sumOfNeighbours
    }
}
