import Tensors

/// 256 weights in 4 bits each: 8 sub-blocks of 32 with a 6-bit signed scale in units of the super-block, and the sixteen
/// values of IQ4_NL.
///
///     byte  0    2         4          8                  136
///           | d  | 8 x hi  | 8 x lo   | 128 x (hi, lo)   |     d: F16
///
///     scale of sub-block s: bits 0-3 are nibble s of the 4 bytes (low nibble first), bits 4-5 bits 2s, 2s + 1 of hi
///     code byte j of sub-block s: code j in the low nibble, code j + 16 in the high one
///
/// Value: `x = d * (scale - 32) * T[q]`; T as in `BlockIQ4_NL`. 136 bytes for 256 weights: 4.25 bits per weight.
public struct BlockIQ4_XS: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var highScales: PackedInt16
    public var lowScales: InlineArray<4, UInt8>
    public var codes: InlineArray<8, InlineArray<16, UInt8>>

    /// The scales of the eight sub-blocks, each -32...31.
    @inline(__always)
    public var scales: InlineArray<8, Int16> {
        var scales = InlineArray<8, Int16>(repeating: -32)
        for s in 0..<8 {
            let low = lowScales[s / 2] >> (s % 2 * 4) & 15
            scales[s] += Int16(low) | Int16(highScales.bits >> (2 * s) & 3) << 4
        }
        return scales
    }
}

/// IQ4_XS.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((scale - 32) * sum(T[q_w] * q_a))`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq4_xs`, `ggml_vec_dot_iq4_xs_q8_K`.
public struct FormatIQ4_XS: BlockFormat {
    public typealias Block = BlockIQ4_XS
    public let type = TensorType.iq4_xs
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, scales) = (blocks[i].d.float, blocks[i].scales)
                for s in 0..<8 {
                    let (scale, values) = (d * Float(scales[s]), NonLinear4.decode(blocks[i].codes[s]))
                    for j in 0..<32 { output[256 * i + 32 * s + j] = scale * Float(values[j]) }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let scales = weights[i].scales
                var products = IntegerLanes()
                for s in 0..<8 {
                    products.add(
                        NonLinear4.decode(weights[i].codes[s]), activations[i].codes[s], scales: (scales[s], scales[s]))
                }
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: the search of IQ4_NL in each sub-block (variance of the super-block); the scale of largest magnitude
/// becomes -32, the others are rounded in its units, then codes for the rounded scales. (In units of d before it is
/// rounded to F16, unlike all other formats.) Source: ggml `quantize_iq4_xs`.
extension FormatIQ4_XS: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let steps = NonLinear4.Steps()
        writeBlocks(row, importance, into: &output) { start in
            let variances = Lanes(repeating: row.squares(start, 256) * (2 / 256))
            var scales = InlineArray<8, Float>(repeating: 0)
            for first in stride(from: 0, to: 8, by: Lanes.scalarCount) {
                let x = Columns<32>(row, from: start + 32 * first)
                let w = NonLinear4.weights(x, importance, from: start + 32 * first, variances: variances)
                let found = NonLinear4.scale(x, weights: w, steps)
                for lane in 0..<Lanes.scalarCount { scales[first + lane] = found[lane] }
            }
            let d = -scales.largestMagnitude / 32
            let id = inverse(d)
            var block = Block(
                d: PackedHalf(d), highScales: PackedInt16(0), lowScales: .init(repeating: 0),
                codes: .init(repeating: .init(repeating: 0)))
            var high: UInt16 = 0
            for s in 0..<8 {
                let scale = max(-32, min(31, nearestInteger(id * scales[s])))
                let codes = steps.codes(row, from: start + 32 * s, inverse: inverse(d * Float(scale)))
                block.codes[s] = codes.nibbles
                let bits = UInt16(scale + 32)
                block.lowScales[s / 2] |= UInt8(bits & 15) << (s % 2 * 4)
                high |= (bits >> 4) << (2 * s)
            }
            block.highScales = PackedInt16(Int16(bitPattern: high))
            return block
        }
    }
}

extension FormatIQ4_XS: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        let (d, scales) = (block.d.float, block.scales)
        return BlockScales(d: d, scales: (0..<8).map { d * Float(scales[$0]) })
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes("scales_h", 2, "bits 4-5 of the scales of the sub-blocks, one after the other"),
                    .bytes("scales_l", 4, "bits 0-3 of the scales, two to a byte"),
                    .bytes("qs", 128, "codes of 4 bits, two to a byte, 16 weights apart"),
                ],
                formula: "x = d * (scale - 32) * T[q]", table: (0..<16).map { Int(NonLinear4.values[$0]) },
                code: .init { j in
                    [BitField(8 + j / 32 * 16 + j % 16, shift: j % 32 / 16 * 4, width: 4)]
                },
                subScale: .init(subtracted: 32) { sub in
                    [
                        BitField(4 + sub / 2, shift: sub % 2 * 4, width: 4),
                        BitField(2 + sub / 4, shift: sub % 4 * 2, width: 2, offset: 4),
                    ]
                }))
    }
}
