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
        withBlocks(weights, activations, of: PackedFloat.self, count: count) { left, right in
            let (leftBytes, rightBytes) = (left.bytes, right.bytes)
            return sumOfProducts(count: count) { i, sum in
                let low = leftBytes.floats(4 * i) * rightBytes.floats(4 * i)
                let high = leftBytes.floats(4 * i + 16) * rightBytes.floats(4 * i + 16)
                sum.even += SIMD4(lowHalf: low.evenHalf, highHalf: high.evenHalf)
                sum.odd += SIMD4(lowHalf: low.oddHalf, highHalf: high.oddHalf)
            } rest: { i in
                left[i].float * right[i].float
            }
        }
    }
}
