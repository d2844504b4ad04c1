import Tensors

/// 256 weights in groups of 32: four at a time are one of 256 points of a grid; seven signs for eight of them (the
/// eighth makes their number even), and a 4-bit scale for the group.
///
///     byte  0    2             66          98
///           | d  | 64 x index  | 8 x word  |     d: F16
///
///     index byte l: the point of elements 4l to 4l + 3
///     word k: signs of elements 32k + 8l to 32k + 8l + 6 in bits 7l to 7l + 6, the scale of the group in bits 28-31
///
/// Value: `x = d * (0.5 + scale) / 2 * ±g`, g of a point in 4, 12, 20, 28, 36, 44, 52, 62. 98 bytes for 256 weights:
/// 3.0625 bits per weight.
public struct BlockIQ3_XXS: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var indices: InlineArray<64, UInt8>
    public var words: InlineArray<32, UInt8>
}

extension BlockIQ3_XXS: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        let word = words.word(4 * k)
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let point = grid.eight(Int(indices[8 * k + 2 * l]), Int(indices[8 * k + 2 * l + 1]))
            values.set(l, point, signs: evenSigns(word >> (7 * UInt32(l))))
        }
        let scale = UInt8(word >> 28)
        return (values, (scale, scale))
    }
}

/// IQ3_XXS.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum(±g * q_a)) / 4`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq3_xxs`, `ggml_vec_dot_iq3_xxs_q8_K`.
public struct FormatIQ3_XXS: GridFormat {
    public typealias Block = BlockIQ3_XXS
    public let type = TensorType.iq3_xxs

    static let grid = Grid.iq3xxs
    static let unit: Float = 0.5

    public init() {}
}

/// Quantisation; see `GridEncoder`. Source: ggml `quantize_iq3_xxs`.
extension FormatIQ3_XXS: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let encoder = GridEncoder(
            neighbours: .iq3xxs, levels: 8, length: 32, tries: 15, step: 0.2, refinement: .eachMoved, evenSigns: true,
            negligible: 1e-8, correction: 1.0125)
        writeBlocks(row, importance, into: &output) { start in
            let found = encoder.encode(row, importance, from: start)
            var block = Block(d: found.d, indices: .init(repeating: 0), words: .init(repeating: 0))
            if found.isEmpty { return block }
            for l in 0..<64 { block.indices[l] = UInt8(found.indices[l]) }
            for k in 0..<8 {
                var word = UInt32(found.scales[k]) << 28
                for l in 0..<4 { word |= UInt32(found.signs[4 * k + l]) << (7 * l) }
                for l in 0..<4 { block.words[4 * k + l] = UInt8(truncatingIfNeeded: word >> (8 * l)) }
            }
            return block
        }
    }
}

extension FormatIQ3_XXS: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 32) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes("qs", 64, "the index of the point of four weights"),
                    .bytes(
                        "qs+64", 32,
                        "signs and scales: 4 bytes per sub-block, 4 times 7 signs of eight weights and a 4-bit scale"),
                ],
                formula: "x = d * (0.5 + scale) / 2 * g",
                legend:
                    "g: a value of one of 256 points of 4 weights, each 4, 12, 20, 28, 36, 44, 52 or 62, with a sign",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [[BitField(2 + 2 * l)], [BitField(3 + 2 * l)]] },
                    signs: { l in .bits(l % 4 * 7, 7, ofNumberAt: 66 + l / 4 * 4) }),
                subScale: .init { sub in [BitField(69 + 4 * sub, shift: 4, width: 4)] },
                subScaleTerm: { "(0.5 + \($0.code)) / 2" }))
    }
}
