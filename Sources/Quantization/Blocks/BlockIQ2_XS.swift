import Tensors

/// 256 weights, eight at a time one of 512 points of a grid with seven signs (the eighth makes their number even), and a
/// 4-bit scale for 16.
///
///     byte  0    2               66           74
///           | d  | 32 x point    | 16 x scale |     d: F16
///
///     point word l: index in bits 0-8, signs of elements 8l to 8l + 6 in bits 9-15
///     scale of sub-block s: nibble s, the low one of each byte first
///
/// Value: `x = d * (0.5 + scale) / 4 * ±g`, g of a point in 8, 25, 43. 74 bytes for 256 weights: 2.3125 bits per weight.
public struct BlockIQ2_XS: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var points: InlineArray<32, PackedInt16>
    public var scales: InlineArray<8, UInt8>
}

extension BlockIQ2_XS: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let point = points[4 * k + l].bits
            values.set(l, grid.eight(Int(point & 511)), signs: evenSigns(UInt32(point >> 9)))
        }
        return (values, (scales[k] & 15, scales[k] >> 4))
    }
}

/// IQ2_XS.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum(±g * q_a)) / 8`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq2_xs`, `ggml_vec_dot_iq2_xs_q8_K`.
public struct FormatIQ2_XS: GridFormat {
    public typealias Block = BlockIQ2_XS
    public let type = TensorType.iq2_xs

    static let grid = Grid.iq2xs
    static let unit: Float = 0.25

    public init() {}
}

/// Quantisation; see `GridEncoder`. ggml demands an importance matrix. Source: ggml `quantize_iq2_xs`.
extension FormatIQ2_XS: EncodableFormat {
    public var importance: ImportanceUse { .required }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        guard let importance else {
            let ones = [Float](repeating: 1, count: row.count)
            return encode(row, importance: ones.span, into: &output)
        }
        let encoder = GridEncoder(
            neighbours: .iq2xs, levels: 3, length: 16, tries: 9, step: 0.1, refinement: .eachMoved, evenSigns: true,
            negligible: negligible, variance: 1)
        writeBlocks(row, importance, into: &output) { start in
            let found = encoder.encode(row, importance, from: start)
            var block = Block(
                d: found.d, points: .init(repeating: PackedInt16(0)), scales: found.scales.pairedNibbles())
            if found.isEmpty { return block }
            for l in 0..<32 {
                block.points[l] = PackedInt16(Int16(bitPattern: found.indices[l] | UInt16(found.signs[l]) << 9))
            }
            return block
        }
    }
}

extension FormatIQ2_XS: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 16) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes(
                        "qs", 64,
                        "indices of points and signs: words of 16 bits, a 9-bit index of a point of eight weights and 7 signs"
                    ),
                    .bytes("scales", 8, "a 4-bit scale per sub-block"),
                ],
                formula: "x = d * (0.5 + scale) / 4 * g",
                legend: "g: a value of one of 512 points of 8 weights, each 8, 25 or 43, with a sign",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [.bits(0, 9, ofNumberAt: 2 + 2 * l)] },
                    signs: { l in [BitField(3 + 2 * l, shift: 1, width: 7)] }),
                subScale: .init { sub in [BitField(66 + sub / 2, shift: sub % 2 * 4, width: 4)] },
                subScaleTerm: { "(0.5 + \($0.code)) / 4" }))
    }
}
