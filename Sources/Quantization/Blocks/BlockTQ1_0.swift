import Tensors

/// 256 weights of -1, 0 or 1 times d, five to a byte; zero is always exact.
///
///     byte  0                32               48          52   54
///           | 32 x 5 trits   | 16 x 5 trits   | 4 x 4     | d  |     d: F16
///
///     byte m of the first 32: elements m, m + 32, ... m + 128; of the next 16: elements 160 + m, + 16, ... + 64; of the
///     last 4: elements 240 + m, + 4, + 8, + 12
///
/// Trits t of a byte are the digits of `v = 81 t0 + 27 t1 + 9 t2 + 3 t3 + t4`, and the byte is `ceil(v * 256 / 243)`:
/// a fixed-point fraction of which each multiplication by 3 brings the next digit to the front.
/// Value: `x = (t - 1) * d`. 54 bytes for 256 weights: 1.6875 bits per weight.
public struct BlockTQ1_0: BitwiseCopyable, Sendable {
    public var codes: InlineArray<48, UInt8>
    public var last: InlineArray<4, UInt8>
    public var d: PackedHalf

    /// The five trits of a byte, each -1, 0 or 1.
    @inline(__always)
    private static func trit(_ byte: UInt8, _ position: Int) -> Int8 {
        let powers: InlineArray<5, UInt8> = [1, 3, 9, 27, 81]
        return Int8(truncatingIfNeeded: (UInt16(byte &* powers[position]) * 3) >> 8) - 1
    }

    /// All elements in groups of 32, each -1, 0 or 1.
    @inline(__always)
    var values: InlineArray<8, InlineArray<32, Int8>> {
        var values = InlineArray<8, InlineArray<32, Int8>>(repeating: .init(repeating: 0))
        for n in 0..<5 {
            for m in 0..<32 { values[n][m] = Self.trit(codes[m], n) }
            for m in 0..<16 { values[5 + n / 2][n % 2 * 16 + m] = Self.trit(codes[32 + m], n) }
        }
        for n in 0..<4 {
            for m in 0..<4 { values[7][16 + 4 * n + m] = Self.trit(last[m], n) }
        }
        return values
    }
}

/// TQ1_0.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((t - 1) * q_a)`. The integer is exact; see `FloatLanes` for the
/// order of the outer sum. Source: ggml `dequantize_row_tq1_0`, `ggml_vec_dot_tq1_0_q8_K`.
public struct FormatTQ1_0: BlockFormat {
    public typealias Block = BlockTQ1_0
    public let type = TensorType.tq1_0
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, values) = (blocks[i].d.float, blocks[i].values)
                for j in 0..<256 { output[256 * i + j] = Float(values[j / 32][j % 32]) * d }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let values = weights[i].values
                var products = IntegerLanes()
                for k in 0..<8 { products.add(values[k], activations[i].codes[k], scales: (1, 1)) }
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: `d` is the largest magnitude, `t = x / d` rounded half away from zero, plus 1.
/// Source: ggml `quantize_row_tq1_0_ref`.
extension FormatTQ1_0: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            let d = row.largestMagnitude(start, 256)
            let id = inverse(d)
            /// The byte of `count` elements, `stride` apart; a missing fifth is a zero digit.
            func byte(_ first: Int, _ stride: Int, _ count: Int) -> UInt8 {
                var number = 0
                for n in 0..<5 {
                    number *= 3
                    if n < count { number += ternaryCode(row[start + first + n * stride] * id) }
                }
                return UInt8(truncatingIfNeeded: (number * 256 + 242) / 243)
            }
            var block = Block(codes: .init(repeating: 0), last: .init(repeating: 0), d: PackedHalf(d))
            for m in 0..<32 { block.codes[m] = byte(m, 32, 5) }
            for m in 0..<16 { block.codes[32 + m] = byte(160 + m, 16, 5) }
            for m in 0..<4 { block.last[m] = byte(240 + m, 4, 4) }
            return block
        }
    }
}

/// A number of -1...1 rounded half away from zero, plus 1; 1 for what is not finite.
@inline(__always)
func ternaryCode(_ value: Float) -> Int {
    value.isFinite ? Int(roundedAway(value) &+ 1) : 1
}

extension FormatTQ1_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("qs", 48, "five codes to a byte as digits to base 3, 32 weights apart, from byte 32 on 16"),
                    .bytes("qh", 4, "the last 16 codes, four to a byte, 4 weights apart"), .half("d", "scale"),
                ],
                formula: "x = (q - 1) * d", codes: 0...2,
                code: .init(subtracted: 1, digit: { Self.location($0).digit }) { [BitField(Self.location($0).byte)] }))
    }

    /// The byte of a weight's code, and which of its digits it is.
    private static func location(_ j: Int) -> (byte: Int, digit: Int) {
        if j < 160 { return (j % 32, j / 32) }
        if j < 240 { return (32 + (j - 160) % 16, (j - 160) / 16) }
        return (48 + (j - 240) % 4, (j - 240) / 4)
    }
}
