import Tensors

/// 256 weights, eight at a time one of 2048 points of a grid of -1, 0, 1 with a common shift of an eighth up or down, so
/// that there is no zero; a 3-bit scale for 16. The super-block's scale has no bytes of its own: its four nibbles are
/// the tops of the four words of scales.
///
///     byte  0             32               48          56
///           | 32 x index  | 16 x (hi, lo)  | 4 x word  |
///
///     index byte l: bits 0-7 of the point of elements 8l to 8l + 7
///     nibble l, the low one of each byte first: bits 8-10 of point l; bit 3 is set if its shift is downwards
///     word w: scales of sub-blocks 4w to 4w + 3 in bits 0-2, 3-5, 6-8, 9-11; nibble w of d, an F16, in bits 12-15
///
/// Value: `x = d * (2 scale + 1) * (g ± 1/8)`, g of a point in -1, 0, 1. 56 bytes for 256 weights: 1.75 bits per weight.
public struct BlockIQ1_M: BitwiseCopyable, Sendable {
    public var indices: InlineArray<32, UInt8>
    public var highIndices: InlineArray<16, UInt8>
    public var words: InlineArray<4, PackedInt16>
}

extension BlockIQ1_M: GridBlock {
    var scale: Float {
        var bits: UInt16 = 0
        for w in 0..<4 { bits |= (words[w].bits >> 12) << (4 * w) }
        return Half.float(f16: bits)
    }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let high = highIndices.nibble(4 * k + l)
            let shift = SIMD8<Int8>(repeating: high & 8 == 0 ? 1 : -1)
            values.set(l, grid.eight(Int(indices[4 * k + l]) | Int(high & 7) << 8) &+ shift)
        }
        let scales = words[k / 2].bits >> (k % 2 * 6)
        return (values, (UInt8(scales & 7), UInt8(scales >> 3 & 7)))
    }
}

/// IQ1_M.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum((8g ± 1) * q_a)) / 8`. The integer is exact;
/// see `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq1_m`, `ggml_vec_dot_iq1_m_q8_K`.
public struct FormatIQ1_M: GridFormat {
    public typealias Block = BlockIQ1_M
    public let type = TensorType.iq1_m

    static let grid = Grid.iq1
    static let unit: Float = 0.25

    public init() {}
}

/// Quantisation; see `ShiftedGrid`. An error weighs x^2, or `importance * sqrt(twice the mean of the super-block's squares
/// + x^2)`; d is the least squares scale of all 256 in the end. Source: ggml `quantize_iq1_m`.
extension FormatIQ1_M: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    private typealias Part = InlineArray<16, Float>

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let neighbours = GridNeighbours.iq1
        writeBlocks(row, importance, into: &output) { start in
            let variance = 2 * row.squares(start, 256) / 256
            func part(_ s: Int) -> (x: Part, w: Part) {
                var (x, w) = (Part(repeating: 0), Part(repeating: 0))
                for i in 0..<16 {
                    x[i] = row[start + 16 * s + i]
                    w[i] = ShiftedGrid.weight(x[i], importance, start + 16 * s + i, variance: variance)
                }
                return (x, w)
            }
            var scales = Part(repeating: 0)
            var (points, isDown) = (InlineArray<32, Int>(repeating: 0), InlineArray<32, Bool>(repeating: false))
            for s in 0..<16 where !(row.largest(start + 16 * s, 16).magnitude < 1e-7) {
                let (x, w) = part(s)
                guard let found = Self.subBlock(x, w, neighbours) else { continue }
                scales[s] = found.scale
                (points[2 * s], points[2 * s + 1]) = found.points
                (isDown[2 * s], isDown[2 * s + 1]) = found.isDown
            }
            var block = Block(
                indices: .init(repeating: 0), highIndices: .init(repeating: 0),
                words: .init(repeating: PackedInt16(0)))
            var words = InlineArray<4, UInt16>(repeating: 0)
            let largest = scales.largest
            var d = largest / 15
            var sums: (qx: Float, qq: Float) = (0, 0)
            for s in 0..<16 {
                let scale = largest != 0 ? ShiftedGrid.scaleCode(scales[s], inverse: 1 / d) : 0
                words[s / 4] |= scale << (s % 4 * 3)
                let (x, w) = part(s)
                for l in 0..<2 {
                    let point = 2 * s + l
                    ShiftedGrid.add(
                        &sums, x, w, from: 8 * l, point: points[point],
                        values: isDown[point] ? ShiftedGrid.down : ShiftedGrid.up, times: Float(2 * scale + 1),
                        neighbours: neighbours)
                    block.indices[point] = UInt8(truncatingIfNeeded: points[point])
                    // Without any scale ggml leaves the shifts out too.
                    let shift: UInt8 = isDown[point] && largest != 0 ? 8 : 0
                    block.highIndices[s] |= (UInt8(points[point] >> 8) | shift) << (4 * l)
                }
            }
            if largest != 0 {
                if sums.qq > 0 { d = sums.qx / sums.qq }
                let bits = Half.f16(d * 1.1125)
                for k in 0..<4 { words[k] |= (bits >> (4 * k) & 15) << 12 }
            }
            for k in 0..<4 { block.words[k] = PackedInt16(Int16(bitPattern: words[k])) }
            return block
        }
    }

    /// The best split of a sub-block, its halves shifted on their own, and its points; `nil` if there is none.
    private static func subBlock(
        _ x: Part, _ w: Part, _ neighbours: GridNeighbours
    ) -> (scale: Float, isDown: (Bool, Bool), points: (Int, Int))? {
        let order = ShiftedGrid.order(x)
        guard let best = bestSplit(x, w, order) else { return nil }
        let codes = ShiftedGrid.codes(order, best.first, best.second, isReversed: best.scale < 0)
        var scale = best.scale.magnitude
        // Shifts in bits: 2 for the first half downwards, 1 for the second.
        let shifts = best.scale < 0 ? 3 - best.shifts : best.shifts
        let values = (
            shifts & 2 == 0 ? ShiftedGrid.up : ShiftedGrid.down, shifts & 1 == 0 ? ShiftedGrid.up : ShiftedGrid.down
        )
        let first = ShiftedGrid.point(codes, x, w, from: 0, scale: scale, values: values.0, neighbours: neighbours)
        let second = ShiftedGrid.point(codes, x, w, from: 8, scale: scale, values: values.1, neighbours: neighbours)
        if first.isMoved || second.isMoved {
            var sums: (qx: Float, qq: Float) = (0, 0)
            ShiftedGrid.add(&sums, x, w, from: 0, point: first.index, values: values.0, neighbours: neighbours)
            ShiftedGrid.add(&sums, x, w, from: 8, point: second.index, values: values.1, neighbours: neighbours)
            if sums.qx > 0, sums.qq > 0 { scale = sums.qx / sums.qq }
        }
        return (scale, (shifts & 2 != 0, shifts & 1 != 0), (first.index, second.index))
    }

    /// The sums over a sorted sub-block up to each index, of one half's elements only.
    private struct Prefix {
        var x = InlineArray<17, Float>(repeating: 0)
        var w = InlineArray<17, Float>(repeating: 0)

        init(_ values: Part, _ weights: Part, _ order: InlineArray<16, Int>, isSecond: Bool) {
            for j in 0..<16 {
                let i = order[j]
                let isIn = (i >= 8) == isSecond
                x[j + 1] = isIn ? x[j] + weights[i] * values[i] : x[j]
                w[j + 1] = isIn ? w[j] + weights[i] : w[j]
            }
        }

        /// Weighted sums of value * x and of value^2 if the sorted sub-block is split at two indices.
        @inline(__always)
        func sums(_ first: Int, _ second: Int, _ v: InlineArray<3, Float>) -> (qx: Float, qq: Float) {
            let (a, b) = (v[0] * v[0] - v[1] * v[1], v[1] * v[1] - v[2] * v[2])
            // Values one apart: the sums of three ranges are the total times the largest, less the lower ranges.
            return (x[16] * v[2] - (x[first] + x[second]), w[16] * v[2] * v[2] + w[first] * a + w[second] * b)
        }
    }

    private static func bestSplit(
        _ x: Part, _ w: Part, _ order: InlineArray<16, Int>
    ) -> (first: Int, second: Int, shifts: Int, scale: Float)? {
        let halves = (Prefix(x, w, order, isSecond: false), Prefix(x, w, order, isSecond: true))
        var best = -Float.greatestFiniteMagnitude
        var found: (first: Int, second: Int, shifts: Int, scale: Float)?
        for first in 0...16 {
            for second in first...16 {
                for shifts in 0..<4 {
                    let a = halves.0.sums(first, second, shifts & 2 == 0 ? ShiftedGrid.up : ShiftedGrid.down)
                    let b = halves.1.sums(first, second, shifts & 1 == 0 ? ShiftedGrid.up : ShiftedGrid.down)
                    let (qx, qq) = (a.qx + b.qx, a.qq + b.qq)
                    if qq > 0, qx * qx > best * qq {
                        found = (first, second, shifts, qx / qq)
                        best = qx / qq * qx
                    }
                }
            }
        }
        return found
    }
}

extension FormatIQ1_M: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { scales(block, length: 16, values: 0.125) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("qs", 32, "bits 0-7 of the index of the point of eight weights"),
                    .bytes(
                        "qh", 16, "bits 8-10 of the indices and a shift each: half a byte a point, the low one first"),
                    .bytes(
                        "scales", 8,
                        "scales and d itself: four words of 16 bits, each four 3-bit scales and in the upper 4 bits a quarter of d"
                    ),
                ],
                formula: "x = d * (2 * scale + 1) * (g ± 1/8)",
                legend: "g: a value of one of 2048 points of 8 weights, each -1, 0 or 1",
                grid: GridLayout(
                    grid: Self.grid,
                    indices: { l in [[BitField(l), BitField(32 + l / 2, shift: l % 2 * 4, width: 3, offset: 8)]] },
                    shift: { l in [BitField(32 + l / 2, shift: l % 2 * 4 + 3, width: 1)] }),
                scale: (0..<4).map { BitField(49 + 2 * $0, shift: 4, width: 4, offset: 4 * $0) },
                subScale: .init { sub in .bits(sub % 4 * 3, 3, ofNumberAt: 48 + sub / 4 * 2) },
                subScaleTerm: { "(2 * \($0.code) + 1)" }))
    }
}
