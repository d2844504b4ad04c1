import Tensors

/// 256 weights of -1, 0 or 1 times d in 2 bits each; zero is always exact.
///
///     byte  0              64   66
///           | 64 x 4 codes | d  |     d: F16
///
///     code byte l of part n: codes of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///
/// Value: `x = (q - 1) * d`, q in 0...3. 66 bytes for 256 weights: 2.0625 bits per weight.
public struct BlockTQ2_0: BitwiseCopyable, Sendable {
    public var codes: InlineArray<2, InlineArray<32, UInt8>>
    public var d: PackedHalf
}

/// TQ2_0.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((q_w - 1) * q_a)`. The integer is exact; see `FloatLanes` for the
/// order of the outer sum. Source: ggml `dequantize_row_tq2_0`, `ggml_vec_dot_tq2_0_q8_K`.
public struct FormatTQ2_0: BlockFormat {
    public typealias Block = BlockTQ2_0
    public let type = TensorType.tq2_0
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for k in 0..<8 {
                    for l in 0..<32 {
                        let code = blocks[i].codes[k / 4][l] >> (k % 4 * 2) & 3
                        output[256 * i + 32 * k + l] = Float(Int32(code) - 1) * d
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, shift) = (k / 4, Int16(k % 4 * 2))
                    products.add(
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 3) &- 1,
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 3) &- 1,
                        activations[i].codes[k], scales: (1, 1))
                }
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: `d` is the largest magnitude, `q = x / d` rounded half away from zero, plus 1: code 3 is never used.
/// Source: ggml `quantize_row_tq2_0_ref`.
extension FormatTQ2_0: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let d = row.largestMagnitude(start, 256)
            let id = inverse(d)
            var codes = InlineArray<256, UInt8>(repeating: 0)
            for j in 0..<256 { codes[j] = UInt8(ternaryCode(row[start + j] * id) & 3) }
            return Block(codes: codes.pairs, d: PackedHalf(d))
        }
    }
}

extension FormatTQ2_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("qs", 64, "codes of 2 bits, four to a byte, 32 weights apart"), .half("d", "scale"),
                ],
                formula: "x = (q - 1) * d", codes: 0...3,
                code: .init(subtracted: 1) { j in
                    [BitField(j / 128 * 32 + j % 32, shift: j % 128 / 32 * 2, width: 2)]
                }))
    }
}
