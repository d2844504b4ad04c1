import Tensors

/// 32 weights as 4-bit floating point numbers with one power of two; zero is always exact.
///
///     byte  0   1                17
///           | e | 16 x (hi, lo)  |     e: exponent, E8M0
///                                      byte j: code j in the low nibble, code j + 16 in the high one
///                                      code: s ee m, E2M1 with exponent bias 1
///
/// Value: `x = 2^(e - 127) * (-1)^s * T[q]`, T = 0, 0.5, 1, 1.5, 2, 3, 4, 6. 17 bytes for 32 weights: 4.25 bits per
/// weight. The standard is OCP Microscaling; ggml stores the values doubled and halves the power.
public struct BlockMXFP4: BitwiseCopyable, Sendable {
    public var e: UInt8
    public var codes: InlineArray<16, UInt8>
}

/// The sixteen values of E2M1, doubled. Source: ggml `kvalues_mxfp4`.
enum FourBitFloat {
    static let values: InlineArray<16, Int8> = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

    static var list: [Int] { (0..<16).map { Int(values[$0]) } }

    /// The code whose value times `d` is nearest; half-way the first in the order of codes.
    @inline(__always)
    static func code(_ x: Float, _ d: Float) -> UInt8 {
        let table = values
        var (code, best): (UInt8, Float) = (0, (Float(table[0]) * d - x).magnitude)
        for k in 1..<16 {
            let error = (Float(table[k]) * d - x).magnitude
            if error < best { (code, best) = (UInt8(k), error) }
        }
        return code
    }

    /// 2^(e - 128). Source: ggml `ggml_e8m0_to_fp32_half`.
    @inline(__always)
    static func halfPower(_ e: UInt8) -> Float {
        Float(bitPattern: e < 2 ? 0x0020_0000 << UInt32(e) : UInt32(e - 1) << 23)
    }

    /// `floor(log2(x))` for x > 0 as ggml computes it: log2 is a Float and may round up to the next integer.
    static func floorOfLog2(_ x: Float) -> Int {
        let exponent = Int(x.exponent)
        // 1 - log2(significand) / log2(2) for significands just below 2, to second order.
        let gap = Double(2 - x.significand)
        guard gap < 0x1p-12 else { return exponent }
        let distance = (gap / 2 + gap * gap / 8) * 1.4426950408889634
        return Float(Double(exponent + 1) - distance) >= Float(exponent + 1) ? exponent + 1 : exponent
    }
}

/// MXFP4.
///
/// Product with Q8_0: `sum over blocks of 2^(e - 128) * d_a * sum(2 T[q_w] * q_a)`. The inner sum is exact; see
/// `FloatLanes` for the order of the outer one. Source: ggml `dequantize_row_mxfp4`, `ggml_vec_dot_mxfp4_q8_0`.
public struct FormatMXFP4: BlockFormat {
    public typealias Block = BlockMXFP4
    public let type = TensorType.mxfp4
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        let table = FourBitFloat.values
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = FourBitFloat.halfPower(blocks[i].e)
                for j in 0..<16 {
                    output[32 * i + j] = Float(table[Int(blocks[i].codes[j] & 15)]) * d
                    output[32 * i + j + 16] = Float(table[Int(blocks[i].codes[j] >> 4)]) * d
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        let table = FourBitFloat.values
        return withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                var values = InlineArray<32, Int8>(repeating: 0)
                for j in 0..<16 {
                    values[j] = table[Int(weights[i].codes[j] & 15)]
                    values[j + 16] = table[Int(weights[i].codes[j] >> 4)]
                }
                let products = IntegerLanes(values, activations[i].codes)
                sum.add(products, times: activations[i].d.float * FourBitFloat.halfPower(weights[i].e))
            }
            return sum.sum
        }
    }
}

/// Quantisation: `e = floor(log2(amax)) - 2 + 127` with amax the largest magnitude, which then becomes 4 to 8 times the
/// power (more than 6 is cut off); each weight gets the nearest code. Source: ggml `quantize_row_mxfp4_ref`.
extension FormatMXFP4: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let amax = row.largestMagnitude(start, 32)
            let e = amax > 0 && amax.isFinite ? FourBitFloat.floorOfLog2(amax) - 2 + 127 : 0
            let d = FourBitFloat.halfPower(UInt8(truncatingIfNeeded: e))
            var codes = InlineArray<32, UInt8>(repeating: 0)
            for j in 0..<32 { codes[j] = FourBitFloat.code(row[start + j], d) }
            return Block(e: UInt8(truncatingIfNeeded: e), codes: codes.nibbles)
        }
    }
}

extension FormatMXFP4: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: FourBitFloat.halfPower(load(block).e)) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        let e = load(block).e
        let exponent = "power of two, 2^(\(e) - 128) = \(FourBitFloat.halfPower(e))"
        return describe(
            block,
            BlockLayout(
                fields: [
                    .number("e", 1, exponent),
                    .bytes("qs", 16, "codes of 4 bits, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = T[q] * 2^(e - 128)", table: FourBitFloat.list,
                code: .init { j in
                    [BitField(1 + j % 16, shift: j / 16 * 4, width: 4)]
                }))
    }
}
