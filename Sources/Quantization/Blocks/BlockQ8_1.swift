import Tensors

/// 32 activations in 8 bits each with one scale and their sum, which weights with a minimum need.
///
///     byte  0    2    4                                36
///           | d  | s  | 32 signed codes                |     d: F16 scale, s: F16 of d * sum(q)
///
/// Value: `x = q * d`, q in -127...127. 36 bytes for 32 values: 9 bits per value. Never found in files.
public struct BlockQ8_1: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var s: PackedHalf
    public var codes: InlineArray<32, Int8>
}

/// Q8_1, an activation format: Q8_0 and the sum of the block.
///
/// `s` is the product of the sum of the codes and of d before it is rounded to F16. Codes as Q8_0's; see
/// `ActivationCodes`. A product with Q8_1 as weights does not exist in ggml; here it is Q8_0's.
/// Source: ggml `quantize_row_q8_1` of arch/x86.
public struct FormatQ8_1: ActivationFormat {
    public typealias Block = BlockQ8_1
    public let type = TensorType.q8_1
    public let activationType = TensorType.q8_1

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
            return Block(
                d: PackedHalf(encoded.d), s: PackedHalf(encoded.d * Float(encoded.sum)), codes: encoded.codes)
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_1.self, count: count) { weights, activations in
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

/// As weights: Q8_0's codes, `s` the sum of the codes times d. Source: ggml `quantize_row_q8_1_ref`.
extension FormatQ8_1: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let encoded = WeightCodes(row, from: start)
            return Block(
                d: PackedHalf(encoded.d), s: PackedHalf(Float(encoded.sum) * encoded.d), codes: encoded.codes)
        }
    }
}

extension FormatQ8_1: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"), .sums("s", 2, "d times the sum of the codes, an F16, for products"),
                    .bytes("qs", 32, "codes of 8 bits with sign"),
                ],
                formula: "x = q * d", codes: -128...127,
                code: .init(isSigned: true) { j in [BitField(4 + j)] }))
    }
}
