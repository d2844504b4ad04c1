import Tensors

/// 64 weights in 2 bits each with one scale: -1, 0, 1 or 2 times d; zero is always exact.
///
///     byte  0    2              18
///           | d  | 16 x 4 codes |     d: F16 scale; code j in bits 2(j % 4) and up of byte j / 4
///
/// Value: `x = (q - 1) * d`, q in 0...3. 18 bytes for 64 weights: 2.25 bits per weight.
public struct BlockQ2_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var codes: InlineArray<16, UInt8>
}

/// Q2_0.
///
/// Product with Q8_0: `sum over blocks of 32 of d_w * d_a * sum((q_w - 1) * q_a)`. The inner sum is exact; see
/// `FloatLanes` for the order of the outer one. Source: ggml `dequantize_row_q2_0`, `ggml_vec_dot_q2_0_q8_0`.
public struct FormatQ2_0: BlockFormat {
    public typealias Block = BlockQ2_0
    public let type = TensorType.q2_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<64 {
                    output[64 * i + j] = Float(Int32(blocks[i].codes[j / 4] >> (j % 4 * 2) & 3) - 1) * d
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for k in 0..<activations.count {
                let (i, first) = (k / 2, k % 2 * 8)
                var values = InlineArray<32, Int8>(repeating: 0)
                for j in 0..<32 { values[j] = Int8(weights[i].codes[first + j / 4] >> (j % 4 * 2) & 3) - 1 }
                let products = IntegerLanes(values, activations[k].codes)
                sum.add(products, times: weights[i].d.float * activations[k].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: `d` is the largest magnitude, `q = x / d` rounded half away from zero, plus 1: code 3 is never used.
/// Source: ggml `quantize_row_q2_0_ref`.
extension FormatQ2_0: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let d = row.largestMagnitude(start, 64)
            let id = inverse(d)
            var codes = InlineArray<16, UInt8>(repeating: 0)
            for j in 0..<64 {
                let code = max(0, min(3, roundedAway(row[start + j] * id) &+ 1))
                codes[j / 4] |= UInt8(code) << (j % 4 * 2)
            }
            return Block(d: PackedHalf(d), codes: codes)
        }
    }
}

extension FormatQ2_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [.half("d", "scale"), .bytes("qs", 16, "codes of 2 bits, four to a byte")],
                formula: "x = (q - 1) * d", codes: 0...3,
                code: .init(subtracted: 1) { j in
                    [BitField(2 + j / 4, shift: j % 4 * 2, width: 2)]
                }))
    }
}
