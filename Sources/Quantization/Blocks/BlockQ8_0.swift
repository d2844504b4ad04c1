import Tensors

/// 32 values in 8 bits each with one scale; zero is always exact.
///
///     byte  0    2                                34
///           | d  | 32 signed codes                |     d: F16 scale
///
/// Value: `x = q * d`, q in -127...127. 34 bytes for 32 values: 8.5 bits per weight.
public struct BlockQ8_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var codes: InlineArray<32, Int8>
}

/// Q8_0, as weights and as activations.
///
/// Product with Q8_0: `sum over blocks of d_w * d_a * sum(q_w * q_a)`. The inner sum is exact; see `FloatLanes` for the
/// order of the outer one.
/// Activations: `d = amax / 127` with amax the largest magnitude of the block, `q = x * (127 / amax)` rounded half to
/// even; see `ActivationCodes`. Source: ggml `dequantize_row_q8_0`, `ggml_vec_dot_q8_0_q8_0`, and `quantize_row_q8_0`
/// of arch/x86 (ggml's portable `_ref` rounds differently).
public struct FormatQ8_0: ActivationFormat {
    public typealias Block = BlockQ8_0
    public let type = TensorType.q8_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<32 { output[32 * i + j] = Float(blocks[i].codes[j]) * d }
            }
        }
    }

    public func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan) {
        forEachBlock(of: values, into: &output) { values in
            let encoded = ActivationCodes(values)
            return Block(d: PackedHalf(encoded.d), codes: encoded.codes)
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let low = Codes16(signed: weights[i].codes.words(0))
                let high = Codes16(signed: weights[i].codes.words(16))
                let products = IntegerLanes(low, high, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation of weights: `d = amax / 127`, `q = x * (1 / d)` rounded half away from zero. Activations are rounded
/// otherwise. Source: ggml `quantize_row_q8_0_ref`.
extension FormatQ8_0: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let encoded = WeightCodes(row, from: start)
            return Block(d: PackedHalf(encoded.d), codes: encoded.codes)
        }
    }
}

/// The codes of one block of 32 as ggml's portable code makes them for Q8_0 and Q8_1.
struct WeightCodes {
    let d: Float
    var codes = InlineArray<32, Int8>(repeating: 0)
    /// The sum of the codes.
    var sum: Int32 = 0

    @inline(__always)
    init(_ row: Span<Float>, from start: Int) {
        d = row.largestMagnitude(start, 32) / 127
        let id = inverse(d)
        for j in 0..<32 {
            codes[j] = Int8(truncatingIfNeeded: roundedAway(row[start + j] * id))
            sum += Int32(codes[j])
        }
    }
}

extension FormatQ8_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [.half("d", "scale"), .bytes("qs", 32, "codes of 8 bits with sign")],
                formula: "x = q * d", codes: -128...127,
                code: .init(isSigned: true) { j in [BitField(2 + j)] }))
    }
}
