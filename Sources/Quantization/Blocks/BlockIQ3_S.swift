import Tensors

/// 256 weights in groups of 32: four at a time are one of 512 points of a grid; eight signs for eight of them, and a
/// 4-bit scale for the group.
///
///     byte  0    2             66             74          106         110
///           | d  | 64 x index  | 8 x 8 index  | 32 x sign | 8 x scale |     d: F16
///
///     index byte l: bits 0-7 of the point of elements 4l to 4l + 3; bit 8 is bit l % 8 of byte l / 8
///     sign byte l: bit j is set if element 8l + j is negative
///     scale of group k: nibble k, the low one of each byte first
///
/// Value: `x = d * (1 + 2 scale) * ±g`, g of a point in 1, 3, 5, 7, 9, 11, 13, 15. 110 bytes for 256 weights: 3.4375
/// bits per weight.
public struct BlockIQ3_S: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var indices: InlineArray<64, UInt8>
    public var highIndices: InlineArray<8, UInt8>
    public var signs: InlineArray<32, UInt8>
    public var scales: InlineArray<4, UInt8>
}

extension BlockIQ3_S: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let first = Int(indices[8 * k + 2 * l]) | Int(highIndices[k] >> (2 * l) & 1) << 8
            let second = Int(indices[8 * k + 2 * l + 1]) | Int(highIndices[k] >> (2 * l + 1) & 1) << 8
            values.set(l, grid.eight(first, second), signs: signs[4 * k + l])
        }
        return (values, (scales.nibble(k), scales.nibble(k)))
    }
}

/// IQ3_S.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum(±g * q_a))`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq3_s`, `ggml_vec_dot_iq3_s_q8_K`.
public struct FormatIQ3_S: GridFormat {
    public typealias Block = BlockIQ3_S
    public let type = TensorType.iq3_s

    static let grid = Grid.iq3s
    static let unit: Float = 2

    public init() {}
}

/// Quantisation; see `GridEncoder`. Source: ggml `quantize_iq3_s`.
///
/// ggml has a fault that is repeated here, since files are to be the same: it does not step over the indices and signs of
/// a group of zeros, so that those of the groups behind it are stored one group too early, and decoded in the wrong
/// place. (Upper bits of indices and scales stay where they belong.)
extension FormatIQ3_S: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let encoder = GridEncoder(
            neighbours: .iq3s, levels: 8, length: 32, tries: 9, step: 0.2, refinement: .ifAnyMoved, evenSigns: false,
            negligible: 0, correction: 1.033)
        writeBlocks(row, importance, into: &output) { start in
            let found = encoder.encode(row, importance, from: start)
            var block = Block(
                d: found.d, indices: .init(repeating: 0), highIndices: .init(repeating: 0), signs: .init(repeating: 0),
                scales: found.scales.pairedNibbles())
            var target = 0
            for k in 0..<8 where !found.isSkipped[k] {
                for l in 0..<8 {
                    block.indices[8 * target + l] = UInt8(truncatingIfNeeded: found.indices[8 * k + l])
                    block.highIndices[k] |= UInt8(found.indices[8 * k + l] >> 8) << l
                }
                for l in 0..<4 { block.signs[4 * target + l] = found.signs[4 * k + l] }
                target += 1
            }
            return block
        }
    }
}

extension FormatIQ3_S: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 32) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes("qs", 64, "bits 0-7 of the index of the point of four weights"),
                    .bytes("qh", 8, "bit 8 of the indices, eight to a byte"),
                    .bytes("signs", 32, "signs, a bit per weight"),
                    .bytes("scales", 4, "a 4-bit scale per sub-block"),
                ],
                formula: "x = d * (1 + 2 * scale) * g",
                legend: "g: a value of one of 512 points of 4 weights, each odd, 1 to 15, with a sign",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in
                        (2 * l..<2 * l + 2).map {
                            [BitField(2 + $0), BitField(66 + $0 / 8, shift: $0 % 8, width: 1, offset: 8)]
                        }
                    },
                    signs: { l in [BitField(74 + l)] }),
                subScale: .init { sub in [BitField(106 + sub / 2, shift: sub % 2 * 4, width: 4)] },
                subScaleTerm: { "(1 + 2 * \($0.code))" }))
    }
}
