import Tensors

/// 256 activations in 8 bits each with one scale, and their sums in groups of 16, which weights with minima need.
///
///     byte  0    4                   260                  292
///           | d  | 256 signed codes  | 16 x Int16 sums    |     d: Float scale
///
/// Value: `x = q * d`, q in -127...127. 292 bytes for 256 values: 9.125 bits per value. Never found in files.
public struct BlockQ8_K: BitwiseCopyable, Sendable {
    public var d: PackedFloat
    public var codes: InlineArray<8, InlineArray<32, Int8>>
    public var sums: InlineArray<16, PackedInt16>
}

/// Q8_K, the activations of all formats with super-blocks.
///
/// `d = -max / 127`, with max the first value of largest magnitude and its sign, so that max becomes -127;
/// `q = x * (-127 / max)` rounded half to even. A block of zeros has zero sums; ggml leaves them as they were.
/// A NaN makes d NaN, so that it shows in every product; ggml may lose it. A product with Q8_K as weights does not
/// exist in ggml; here its codes are multiplied exactly and blocks added up in order.
/// Source: ggml `quantize_row_q8_K_ref`.
public struct FormatQ8_K: ActivationFormat {
    public typealias Block = BlockQ8_K
    public let type = TensorType.q8_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<256 { output[256 * i + j] = d * Float(blocks[i].codes[j / 32][j % 32]) }
            }
        }
    }

    public func encodeActivations(_ values: Span<Float>, into output: inout MutableRawSpan) {
        forEachBlock(of: values, into: &output) { values in
            var block = Block(
                d: PackedFloat(0), codes: .init(repeating: .init(repeating: 0)), sums: .init(repeating: PackedInt16(0)))
            let largest = largestMagnitude(values)
            if largest == 0 { return block }
            let inverse = -127 / largest
            block.d = PackedFloat(1 / inverse)
            for group in 0..<16 {
                var sum: Int32 = 0
                for j in 16 * group..<16 * group + 16 {
                    let code = Int8(truncatingIfNeeded: min(127, nearestInteger(inverse * values[j])))
                    block.codes[j / 32][j % 32] = code
                    sum &+= Int32(code)
                }
                block.sums[group] = PackedInt16(Int16(truncatingIfNeeded: sum))
            }
            return block
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum: Float = 0
            for i in 0..<weights.count {
                var products: Int32 = 0
                for k in 0..<8 {
                    for j in 0..<32 {
                        products &+= Int32(weights[i].codes[k][j]) &* Int32(activations[i].codes[k][j])
                    }
                }
                sum += weights[i].d.float * activations[i].d.float * Float(products)
            }
            return sum
        }
    }
}

/// The first value of largest magnitude; NaN if there is one.
@inline(__always)
private func largestMagnitude(_ values: Span<Float>) -> Float {
    // As integers, magnitudes compare like the Floats they are, and NaN is the largest.
    var largest: UInt32 = 0
    for j in 0..<256 { largest = max(largest, values[j].bitPattern & 0x7fff_ffff) }
    for j in 0..<256 where values[j].bitPattern & 0x7fff_ffff == largest { return values[j] }
    return 0
}

/// Weights are made like activations: as activations.
extension FormatQ8_K: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        encodeActivations(row, into: &output)
    }
}

extension FormatQ8_K: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .number("d", 4, "scale, F32 = \(load(block).d.float)"),
                    .bytes("qs", 256, "codes of 8 bits with sign"),
                    .sums("bsums", 32, "sums of every 16 codes, integers of 16 bits, for products"),
                ],
                formula: "x = d * q", codes: -128...127,
                code: .init(isSigned: true) { j in [BitField(4 + j)] }))
    }
}
