import Tensors

/// Float, as weights and as activations.
///
///     byte  0                                  4
///           | s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm |     1 sign bit, 8 exponent bits (bias 127), 23 mantissa bits
///
/// 32 bits per weight. Product with F32: each product is rounded and added up as `sumOfProducts` says; ggml's AVX2 code
/// does not round the products (fused multiply-add), so last bits differ. Source: ggml `ggml_vec_dot_f32`.
public struct FormatF32: ActivationFormat {
    public typealias Block = PackedFloat
    public let type = TensorType.f32
    public let activationType = TensorType.f32

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { values in
            for i in 0..<values.count { output[i] = values[i].float }
        }
    }

    public func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan) {
        checkSize(of: output, for: values)
        for i in 0..<values.count {
            output.storeBytes(of: PackedFloat(values[i]), toByteOffset: 4 * i, as: PackedFloat.self)
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        checkSizes(weights, activations, count: count)
        return sumOfProducts(weights, activations, stride: 32) {
            Floats8(
                unsafeBitCast($0.lanes($1), to: SIMD4<Float>.self),
                unsafeBitCast($0.lanes($1 + 16), to: SIMD4<Float>.self))
        }.sumOfNeighbours
    }
}
