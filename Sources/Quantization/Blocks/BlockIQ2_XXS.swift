import Tensors

/// 256 weights in groups of 32: eight at a time are one of 256 points of a grid, with seven signs (the eighth makes
/// their number even), and a 4-bit scale for the group.
///
///     byte  0    2                     66
///           | d  | 8 x (4 index, word) |     d: F16
///
///     index: the points of elements 8l to 8l + 7 of the group
///     word:  signs of elements 8l to 8l + 6 in bits 7l to 7l + 6, the scale in bits 28-31
///
/// Value: `x = d * (0.5 + scale) / 4 * ±g`, g of a point in 8, 25, 43. 66 bytes for 256 weights: 2.0625 bits per weight.
public struct BlockIQ2_XXS: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var groups: InlineArray<8, InlineArray<8, UInt8>>
}

extension BlockIQ2_XXS: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        let word = groups[k].word(4)
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 { values.set(l, grid.eight(Int(groups[k][l])), signs: evenSigns(word >> (7 * UInt32(l)))) }
        let scale = UInt8(word >> 28)
        return (values, (scale, scale))
    }
}

/// IQ2_XXS.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum(±g * q_a)) / 8`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq2_xxs`, `ggml_vec_dot_iq2_xxs_q8_K`.
public struct FormatIQ2_XXS: GridFormat {
    public typealias Block = BlockIQ2_XXS
    public let type = TensorType.iq2_xxs

    static let grid = Grid.iq2xxs
    static let unit: Float = 0.25

    public init() {}
}

/// Quantisation; see `GridEncoder`. ggml demands an importance matrix. Source: ggml `quantize_iq2_xxs`.
extension FormatIQ2_XXS: EncodableFormat {
    public var importance: ImportanceUse { .required }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        guard let importance else {
            let ones = [Float](repeating: 1, count: row.count)
            return encode(row, importance: ones.span, into: &output)
        }
        let encoder = GridEncoder(
            neighbours: .iq2xxs, levels: 3, length: 32, tries: 6, step: 0.1, refinement: .always, evenSigns: true,
            negligible: negligible, variance: 1)
        writeBlocks(row, importance, into: &output) { start in
            let found = encoder.encode(row, importance, from: start)
            var block = Block(d: found.d, groups: .init(repeating: .init(repeating: 0)))
            if found.isEmpty { return block }
            for k in 0..<8 {
                var word = UInt32(found.scales[k]) << 28
                for l in 0..<4 {
                    block.groups[k][l] = UInt8(found.indices[4 * k + l])
                    word |= UInt32(found.signs[4 * k + l]) << (7 * l)
                }
                for l in 0..<4 { block.groups[k][4 + l] = UInt8(truncatingIfNeeded: word >> (8 * l)) }
            }
            return block
        }
    }
}

extension FormatIQ2_XXS: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 32) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes(
                        "qs", 64,
                        "indices of points and signs and scales: 8 bytes per sub-block, four indices, then 4 times 7 signs and a 4-bit scale"
                    ),
                ],
                formula: "x = d * (0.5 + scale) / 4 * g",
                legend: "g: a value of one of 256 points of 8 weights, each 8, 25 or 43, with a sign",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [[BitField(2 + l / 4 * 8 + l % 4)]] },
                    signs: { l in .bits(l % 4 * 7, 7, ofNumberAt: 6 + l / 4 * 8) }),
                subScale: .init { sub in [BitField(9 + 8 * sub, shift: 4, width: 4)] },
                subScaleTerm: { "(0.5 + \($0.code)) / 4" }))
    }
}
