import Tensors

/// 256 weights, eight at a time one of 1024 points of a grid with eight signs, and a 4-bit scale for 16.
///
///     byte  0    2             34          66             74           82
///           | d  | 32 x index  | 32 x sign | 8 x 4 index  | 16 x scale |     d: F16
///
///     index byte l: bits 0-7 of the point of elements 8l to 8l + 7; bits 8-9 are bits 2(l % 4) and up of byte l / 4
///     sign byte l: bit j is set if element 8l + j is negative
///     scale of sub-block s: nibble s, the low one of each byte first
///
/// Value: `x = d * (0.5 + scale) / 4 * ±g`, g of a point in 8, 25, 43. 82 bytes for 256 weights: 2.5625 bits per weight.
public struct BlockIQ2_S: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var indices: InlineArray<32, UInt8>
    public var signs: InlineArray<32, UInt8>
    public var highIndices: InlineArray<8, UInt8>
    public var scales: InlineArray<8, UInt8>
}

extension BlockIQ2_S: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let index = Int(indices[4 * k + l]) | Int(highIndices[k] >> (2 * l) & 3) << 8
            values.set(l, grid.eight(index), signs: signs[4 * k + l])
        }
        return (values, (scales[k] & 15, scales[k] >> 4))
    }
}

/// IQ2_S.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum(±g * q_a)) / 8`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq2_s`, `ggml_vec_dot_iq2_s_q8_K`.
public struct FormatIQ2_S: GridFormat {
    public typealias Block = BlockIQ2_S
    public let type = TensorType.iq2_s

    static let grid = Grid.iq2s
    static let unit: Float = 0.25

    public init() {}
}

/// Quantisation; see `GridEncoder`. Source: ggml `quantize_iq2_s`.
extension FormatIQ2_S: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let encoder = GridEncoder(
            neighbours: .iq2s, levels: 3, length: 16, tries: 9, step: 0.1, refinement: .eachMoved, evenSigns: false,
            negligible: 1e-8, plainVariance: 0.25, correction: 0.9875)
        writeBlocks(row, importance, into: &output) { start in
            let found = encoder.encode(row, importance, from: start)
            var block = Block(
                d: found.d, indices: .init(repeating: 0), signs: found.signs, highIndices: .init(repeating: 0),
                scales: found.scales.pairedNibbles())
            for l in 0..<32 {
                block.indices[l] = UInt8(truncatingIfNeeded: found.indices[l])
                block.highIndices[l / 4] |= UInt8(found.indices[l] >> 8) << (l % 4 * 2)
            }
            return block
        }
    }
}

extension FormatIQ2_S: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 16) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes("qs", 32, "bits 0-7 of the index of the point of eight weights"),
                    .bytes("qs+32", 32, "signs, a bit per weight"),
                    .bytes("qh", 8, "bits 8-9 of the indices, four to a byte"),
                    .bytes("scales", 8, "a 4-bit scale per sub-block"),
                ],
                formula: "x = d * (0.5 + scale) / 4 * g",
                legend: "g: a value of one of 1024 points of 8 weights, each 8, 25 or 43, with a sign",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [[BitField(2 + l), BitField(66 + l / 4, shift: l % 4 * 2, width: 2, offset: 8)]] },
                    signs: { l in [BitField(34 + l)] }),
                subScale: .init { sub in [BitField(74 + sub / 2, shift: sub % 2 * 4, width: 4)] },
                subScaleTerm: { "(0.5 + \($0.code)) / 4" }))
    }
}
