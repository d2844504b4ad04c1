import Tensors

/// 256 weights in groups of 32: eight at a time are one of 2048 points of a grid of -1, 0, 1; a 3-bit scale and a common
/// shift of an eighth up or down for the group, so that there is no zero.
///
///     byte  0    2             34          50
///           | d  | 32 x index  | 8 x word  |     d: F16
///
///     index byte l: bits 0-7 of the point of elements 8l to 8l + 7
///     word k: bits 8-10 of the four points of the group in bits 0-2, 3-5, 6-8, 9-11; its scale in bits 12-14; bit 15 is
///     set if the shift is downwards
///
/// Value: `x = d * (2 scale + 1) * (g ± 1/8)`, g of a point in -1, 0, 1. 50 bytes for 256 weights: 1.5625 bits per
/// weight.
public struct BlockIQ1_S: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var indices: InlineArray<32, UInt8>
    public var words: InlineArray<8, PackedInt16>
}

extension BlockIQ1_S: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        let word = words[k].bits
        let shift = SIMD8<Int8>(repeating: word & 0x8000 == 0 ? 1 : -1)
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            values.set(l, grid.eight(Int(indices[4 * k + l]) | Int(word >> (3 * l) & 7) << 8) &+ shift)
        }
        let scale = UInt8(word >> 12 & 7)
        return (values, (scale, scale))
    }
}

/// IQ1_S.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum((8g ± 1) * q_a)) / 8`. The integer is exact;
/// see `FloatLanes` for the order of the outer sum. (ggml adds up the shifts on their own, with the stored sums of the
/// activations.) Source: ggml `dequantize_row_iq1_s`, `ggml_vec_dot_iq1_s_q8_K`.
public struct FormatIQ1_S: GridFormat {
    public typealias Block = BlockIQ1_S
    public let type = TensorType.iq1_s

    static let grid = Grid.iq1
    static let unit: Float = 0.25

    public init() {}
}

/// Quantisation; see `ShiftedGrid`. ggml demands an importance matrix. An error weighs `importance * sqrt(twice the mean
/// of the super-block's squares + x^2)`. Source: ggml `quantize_iq1_s`.
extension FormatIQ1_S: EncodableFormat {
    public var importance: ImportanceUse { .required }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        guard let importance else {
            let ones = [Float](repeating: 1, count: row.count)
            return encode(row, importance: ones.span, into: &output)
        }
        writeBlocks(row, importance, into: &output) { start in
            let variance = 2 * row.squares(start, 256) / 256
            var block = Block(
                d: PackedHalf(0), indices: .init(repeating: 0), words: .init(repeating: PackedInt16(0)))
            var (scales, words) = (InlineArray<8, Float>(repeating: 0), InlineArray<8, UInt16>(repeating: 0))
            for k in 0..<8 {
                let first = start + 32 * k
                var (x, w) = (InlineArray<32, Float>(repeating: 0), InlineArray<32, Float>(repeating: 0))
                for i in 0..<32 {
                    x[i] = row[first + i]
                    w[i] = ShiftedGrid.weight(x[i], importance, first + i, variance: variance)
                }
                guard !(row.largest(first, 32).magnitude < 1e-12), let found = Self.group(x, w) else { continue }
                scales[k] = found.scale
                words[k] = found.isDown ? 0x8000 : 0
                for l in 0..<4 {
                    block.indices[4 * k + l] = UInt8(truncatingIfNeeded: found.points[l])
                    words[k] |= UInt16(found.points[l] >> 8) << (3 * l)
                }
            }
            let largest = scales.largest
            let d = largest / 15
            if largest != 0 { block.d = PackedHalf(d * 1.125) }
            for k in 0..<8 {
                let scale = ShiftedGrid.scaleCode(scales[k], inverse: 1 / d)
                // Without any scale ggml leaves the shifts out too.
                let word = largest != 0 ? words[k] | scale << 12 : words[k] & 0x0fff
                block.words[k] = PackedInt16(Int16(bitPattern: word))
            }
            return block
        }
    }

    /// The best split of a group and its points; `nil` if there is none.
    private static func group(
        _ x: InlineArray<32, Float>, _ w: InlineArray<32, Float>
    ) -> (scale: Float, isDown: Bool, points: InlineArray<4, Int>)? {
        let order = ShiftedGrid.order(x)
        var (sumX, sumW) = (InlineArray<33, Float>(repeating: 0), InlineArray<33, Float>(repeating: 0))
        for j in 0..<32 {
            sumX[j + 1] = sumX[j] + w[order[j]] * x[order[j]]
            sumW[j + 1] = sumW[j] + w[order[j]]
        }
        var best = -Float.greatestFiniteMagnitude
        var found: (first: Int, second: Int, isDown: Bool, scale: Float)?
        let (up, down) = (ShiftedGrid.up, ShiftedGrid.down)
        for first in 0...32 {
            for second in first...32 {
                let xs = (sumX[first] - sumX[0], sumX[second] - sumX[first], sumX[32] - sumX[second])
                let ws = (sumW[first] - sumW[0], sumW[second] - sumW[first], sumW[32] - sumW[second])
                for isDown in [false, true] {
                    let v = isDown ? down : up
                    let qx = xs.0 * v[0] + xs.1 * v[1] + xs.2 * v[2]
                    let qq = ws.0 * v[0] * v[0] + ws.1 * v[1] * v[1] + ws.2 * v[2] * v[2]
                    if qq > 0, qx * qx > best * qq {
                        found = (first, second, isDown, qx / qq)
                        best = qx / qq * qx
                    }
                }
            }
        }
        guard let found else { return nil }
        let codes = ShiftedGrid.codes(order, found.first, found.second, isReversed: found.scale < 0)
        var scale = found.scale.magnitude
        let isDown = found.scale < 0 ? !found.isDown : found.isDown
        let values = isDown ? down : up
        let neighbours = GridNeighbours.iq1
        var (points, isAnyMoved) = (InlineArray<4, Int>(repeating: 0), false)
        for l in 0..<4 {
            let point = ShiftedGrid.point(
                codes, x, w, from: 8 * l, scale: scale, values: values, neighbours: neighbours)
            points[l] = point.index
            if point.isMoved { isAnyMoved = true }
        }
        if isAnyMoved {
            var sums: (qx: Float, qq: Float) = (0, 0)
            for l in 0..<4 {
                ShiftedGrid.add(&sums, x, w, from: 8 * l, point: points[l], values: values, neighbours: neighbours)
            }
            if sums.qx > 0, sums.qq > 0 { scale = sums.qx / sums.qq }
        }
        return (scale, isDown, points)
    }
}

extension FormatIQ1_S: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 32, values: 0.125) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"),
                    .bytes("qs", 32, "bits 0-7 of the index of the point of eight weights"),
                    .bytes(
                        "qh", 16,
                        "bits 8-10 of the indices and scales and shifts: a word of 16 bits per sub-block, four times 3 bits, a 3-bit scale, a bit"
                    ),
                ],
                formula: "x = d * (2 * scale + 1) * (g ± 1/8)",
                legend: "g: a value of one of 2048 points of 8 weights, each -1, 0 or 1",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [[BitField(2 + l)] + .bits(l % 4 * 3, 3, ofNumberAt: 34 + l / 4 * 2, offset: 8)] },
                    shift: { l in [BitField(35 + l / 4 * 2, shift: 7, width: 1)] }),
                subScale: .init { sub in [BitField(35 + 2 * sub, shift: 4, width: 3)] },
                subScaleTerm: { "(2 * \($0.code) + 1)" }))
    }
}
