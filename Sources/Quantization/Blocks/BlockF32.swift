import Tensors

/// Float, as weights and as activations.
///
///     byte  0                                  4
///           | s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm |     1 sign bit, 8 exponent bits (bias 127), 23 mantissa bits
///
/// 32 bits per weight. Product with F32: products are not rounded on their own (fused multiply-add) and added up as
/// `sumOfProducts` says; what is left over at the end is added one by one. Source: ggml `ggml_vec_dot_f32`.
public struct FormatF32: OrderedFormat {
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

    func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int, order: SummationOrder) -> Float {
        checkSizes(weights, activations, count: count)
        // A tile takes whole groups of sixteen only; other rows are multiplied one by one.
        let order = SummationOrder(isTile: order.isTile && count % 16 == 0, isPadded: false)
        let (sums, bytes) = sumOfProducts(
            weights, activations, stride: 32, order: order,
            load: {
                Floats8(
                    unsafeBitCast($0.lanes($1), to: SIMD4<Float>.self),
                    unsafeBitCast($0.lanes($1 + 16), to: SIMD4<Float>.self))
            }, add: { $0.addFusedProducts($1, $2) })
        // Of what is left over, ggml's compiler rounds the products of whole groups of eight, and fuses the last ones.
        let fusedFrom = count - (count - bytes / 4) % 8
        var sum = sums.sumInOrder
        for i in bytes / 4..<count {
            let left = weights.unsafeLoadUnaligned(fromByteOffset: 4 * i, as: PackedFloat.self).float
            let right = activations.unsafeLoadUnaligned(fromByteOffset: 4 * i, as: PackedFloat.self).float
            sum = i < fusedFrom ? sum + left * right : Float(Double(left) * Double(right) + Double(sum))
        }
        return sum
    }
}

/// Weights are made like activations: the Floats as they are.
extension FormatF32: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        encodeActivations(row, into: &output)
    }
}

extension FormatF32: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { .none }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(plain: block, value: load(block).float, formula: "x = (-1)^s * 2^(e - 127) * 1.m", meaning: "Float")
    }
}
