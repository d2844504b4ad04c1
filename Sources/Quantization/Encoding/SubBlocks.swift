/// What the scale search of a super-block finds: `parts` sub-blocks of 256 / parts elements.
struct SubBlocks<let parts: Int> {
    var scales = InlineArray<parts, Float>(repeating: 0)
    /// Positive: what is subtracted.
    var minima = InlineArray<parts, Float>(repeating: 0)
    /// The sum of the weights of each sub-block.
    var weights = InlineArray<parts, Float>(repeating: 0)
    var codes = InlineArray<256, UInt8>(repeating: 0)

    /// Scales and minima of the sub-blocks from `start` on, each `length` long.
    ///
    /// - Parameter weights: what errors weigh, from the elements of four sub-blocks and the index of their first.
    @inline(__always)
    init<let length: Int>(
        withMinima row: Span<Float>, from start: Int, maximum: Int32, steps: ScaleSteps, absolute: Bool = false,
        weights: (Columns<length>, Int) -> Columns<length>
    ) {
        for first in stride(from: 0, to: parts, by: Lanes.scalarCount) {
            let x = Columns<length>(row, from: start + first * length)
            let w = weights(x, start + first * length)
            var codes = x
            let found = scaleAndMinimum(
                x, weights: w, maximum: maximum, steps: steps, absolute: absolute, codes: &codes)
            store(first, found.scale, found.minimum, w.sum, codes)
        }
    }

    /// Scales only, from a search of signed codes.
    ///
    /// - Parameter search: the scales and the codes of four sub-blocks, and what their elements weigh; `nil` if that
    ///   does not matter.
    @inline(__always)
    init<let length: Int>(
        _ row: Span<Float>, from start: Int,
        search: (Columns<length>, Int) -> (scale: Lanes, codes: Columns<length>, weights: Columns<length>?)
    ) {
        for first in stride(from: 0, to: parts, by: Lanes.scalarCount) {
            let found = search(Columns<length>(row, from: start + first * length), start + first * length)
            store(first, found.scale, Lanes(), found.weights?.sum ?? Lanes(), found.codes)
        }
    }

    @inline(__always)
    private mutating func store<let length: Int>(
        _ first: Int, _ scale: Lanes, _ minimum: Lanes, _ weight: Lanes, _ columns: Columns<length>
    ) {
        columns.store(into: &codes, from: first * length)
        for lane in 0..<Lanes.scalarCount {
            scales[first + lane] = scale[lane]
            minima[first + lane] = minimum[lane]
            weights[first + lane] = weight[lane]
        }
    }
}

extension InlineArray where Element == Float {
    /// The largest element, but at least 0.
    @inline(__always)
    var largest: Float {
        var largest: Float = 0
        for i in 0..<count where self[i] > largest { largest = self[i] }
        return largest
    }

    /// The first element of largest magnitude, with its sign.
    @inline(__always)
    var largestMagnitude: Float { span.largest(0, count) }
}

extension EncodableFormat {
    /// Writes a row of blocks of 32 with importance, four at a time.
    ///
    /// - Parameters:
    ///   - search: scales, minima and codes of four blocks, from their elements and what those weigh.
    ///   - block: one block.
    @inline(__always)
    func writeSearched(
        _ row: Span<Float>, _ importance: Span<Float>, into output: inout MutableRawSpan,
        search: (Columns<32>, Columns<32>) -> (scale: Lanes, minimum: Lanes, codes: Columns<32>),
        block: (_ scale: Float, _ minimum: Float, _ codes: InlineArray<32, UInt8>) -> Block
    ) {
        checkSizes(row, importance, output)
        let variance = row.squares(0, row.count) / Float(row.count)
        let blocks = row.count / 32
        for first in stride(from: 0, to: blocks, by: Lanes.scalarCount) {
            let x = Columns<32>(row, from: 32 * first)
            let w = x.weights(importance: Columns<32>(importance, from: 32 * first), variance: variance)
            let found = search(x, w)
            for lane in 0..<min(Lanes.scalarCount, blocks - first) {
                var codes = InlineArray<32, UInt8>(repeating: 0)
                for i in 0..<32 { codes[i] = UInt8(truncatingIfNeeded: Int32(found.codes[i][lane])) }
                let block = block(found.scale[lane], found.minimum[lane], codes)
                output.storeBytes(
                    of: block, toByteOffset: (first + lane) * MemoryLayout<Block>.stride, as: Block.self)
            }
        }
    }
}
