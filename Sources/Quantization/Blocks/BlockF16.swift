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
public struct FormatF16: OrderedFormat {
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

    func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int, order: SummationOrder) -> Float {
        checkSizes(weights, activations, count: count)
        // A tile takes whole groups of sixteen only; other rows are multiplied one by one.
        let isTile = order.isTile && (order.isPadded || count % 16 == 0)
        let order = SummationOrder(isTile: isTile, isPadded: order.isPadded)
        let (sums, bytes) = sumOfProducts(
            weights, activations, stride: 16, order: order, load: { Floats8(f16: $0.lanes($1)) },
            add: { $0.addProducts($1, $2) })
        guard bytes < weights.byteCount else { return sums.sumOfHalves }
        var sum = Double(sums.sumOfHalves)
        for offset in stride(from: bytes, to: weights.byteCount, by: 2) {
            let left = weights.unsafeLoadUnaligned(fromByteOffset: offset, as: PackedHalf.self)
            let right = activations.unsafeLoadUnaligned(fromByteOffset: offset, as: PackedHalf.self)
            sum += Double(left.float * right.float)
        }
        return Float(sum)
    }
}

/// Weights are made like activations: nearest, ties to even.
extension FormatF16: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        encodeActivations(row, into: &output)
    }
}

extension FormatF16: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { .none }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            plain: block, value: load(block).float, formula: "x = (-1)^s * 2^(e - 15) * 1.m", meaning: "half precision")
    }
}
