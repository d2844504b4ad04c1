import Tensors

/// 64 weights as 4-bit floating point numbers: 4 sub-blocks of 16 with an 8-bit floating point scale; zero is always
/// exact.
///
///     byte  0            4                36
///           | 4 x scale  | 32 x (hi, lo)  |     scale: eeee mmm, UE4M3 (no sign) with exponent bias 7
///
///     code byte j of sub-block s: code j in the low nibble, code j + 8 in the high one; codes as in `BlockMXFP4`
///
/// Value: `x = scale * (-1)^s * T[q]`, T = 0, 0.5, 1, 1.5, 2, 3, 4, 6; scales 0 and 0x7f count as 0. 36 bytes for 64
/// weights: 4.5 bits per weight. A scale for the whole tensor is a tensor of its own, `NAME.scale`.
public struct BlockNVFP4: BitwiseCopyable, Sendable {
    public var scales: InlineArray<4, UInt8>
    public var codes: InlineArray<4, InlineArray<8, UInt8>>

    /// Half of a scale. Source: ggml `ggml_ue4m3_to_fp32`.
    @inline(__always)
    static func half(_ scale: UInt8) -> Float {
        if scale == 0 || scale == 0x7f { return 0 }
        let (exponent, mantissa) = (UInt32(scale >> 3 & 15), UInt32(scale & 7))
        // Subnormals count in 2^-9.
        if exponent == 0 { return Float(mantissa) * 0x1p-10 }
        return Float(bitPattern: (exponent + 119) << 23 | mantissa << 20)
    }

    /// The scale nearest to `value`; 448, the largest, from 248 on. Source: ggml `ggml_fp32_to_ue4m3`.
    static func scale(_ value: Float) -> UInt8 {
        guard value > 0 else { return 0 }
        let bits = min(value, 448).bitPattern
        let exponent = Int(bits >> 23) - 127 + 7
        if exponent <= 0 { return UInt8(min(7, Int(value * 512 + 0.5))) }
        // A carry out of the mantissa becomes the next exponent. From 256 on ggml goes straight to the largest, 448.
        let rounded = exponent << 3 + Int(bits >> 20 & 7) + Int(bits >> 19 & 1)
        return rounded < 15 << 3 ? UInt8(rounded) : 0x7e
    }
}

/// NVFP4.
///
/// Product with Q8_0: `sum over sub-blocks of scale / 2 * d_a * sum(2 T[q_w] * q_a)`. The inner sums are exact; see
/// `FloatLanes` for the order of the outer one. Source: ggml `dequantize_row_nvfp4`, `ggml_vec_dot_nvfp4_q8_0`.
public struct FormatNVFP4: BlockFormat {
    public typealias Block = BlockNVFP4
    public let type = TensorType.nvfp4
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        let table = FourBitFloat.values
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                for s in 0..<4 {
                    let d = Block.half(blocks[i].scales[s])
                    for j in 0..<8 {
                        let code = blocks[i].codes[s][j]
                        output[64 * i + 16 * s + j] = Float(table[Int(code & 15)]) * d
                        output[64 * i + 16 * s + j + 8] = Float(table[Int(code >> 4)]) * d
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        let table = FourBitFloat.values
        return withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for k in 0..<activations.count {
                let (i, first) = (k / 2, k % 2 * 2)
                var values = InlineArray<32, Int8>(repeating: 0)
                for s in 0..<2 {
                    for j in 0..<8 {
                        let code = weights[i].codes[first + s][j]
                        values[16 * s + j] = table[Int(code & 15)]
                        values[16 * s + j + 8] = table[Int(code >> 4)]
                    }
                }
                let d = activations[k].d.float
                let scales = (Block.half(weights[i].scales[first]), Block.half(weights[i].scales[first + 1]))
                sum.add(IntegerLanes(values, activations[k].codes), times: (d * scales.0, d * scales.1))
            }
            return sum.sum
        }
    }
}

/// Quantisation: the scale nearest to amax / 6, amax being the largest magnitude of the sub-block; each weight gets the
/// nearest code. Source: ggml `quantize_row_nvfp4_ref`.
extension FormatNVFP4: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            var block = Block(scales: .init(repeating: 0), codes: .init(repeating: .init(repeating: 0)))
            for s in 0..<4 {
                let first = start + 16 * s
                block.scales[s] = Block.scale(row.largestMagnitude(first, 16) / 6)
                let d = Block.half(block.scales[s])
                for j in 0..<8 {
                    let (low, high) = (FourBitFloat.code(row[first + j], d), FourBitFloat.code(row[first + j + 8], d))
                    block.codes[s][j] = low | high << 4
                }
            }
            return block
        }
    }
}

extension FormatNVFP4: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        return BlockScales(d: nil, scales: (0..<4).map { Block.half(block.scales[$0]) })
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("d", 4, "a scale of 8 bits per sub-block: 4 of exponent, 3 of mantissa, no sign"),
                    .bytes("qs", 32, "codes of 4 bits, two to a byte, 8 weights apart"),
                ],
                formula: "x = T[q] * scale / 2", table: FourBitFloat.list,
                code: .init { j in
                    [BitField(4 + j / 16 * 8 + j % 8, shift: j % 16 / 8 * 4, width: 4)]
                },
                subScale: .init { sub in [BitField(sub)] },
                subScaleTerm: { Block.words(UInt8($0.code)) }))
    }
}

extension BlockNVFP4 {
    /// Half of a scale as arithmetic.
    fileprivate static func words(_ scale: UInt8) -> String {
        let (exponent, mantissa) = (scale >> 3 & 15, scale & 7)
        if scale == 0 || scale == 0x7f { return "0 / 2" }
        if exponent == 0 { return "2^(1 - 7) * \(mantissa) / 8 / 2" }
        return "2^(\(exponent) - 7) * (1 + \(mantissa) / 8) / 2"
    }
}
