import Recording
import Tensors

/// The result of `show`: a recorded tensor, or a slice of one.
public struct ShowReport: Report {
    let trace: String
    let step: Int
    let name: String
    let kind: String
    let type: String
    /// Of the whole tensor.
    let shape: [Int]
    /// First and last-plus-one index in each dimension.
    let slice: [[Int]]
    let inputs: [String]
    let n: Int
    @OrNull var sum: Double?
    @OrNull var min: Double?
    @OrNull var max: Double?
    @OrNull var mean: Double?
    @OrNull var rms: Double?
    @OrNull var std: Double?
    /// Row-major, ne0 fastest; null where not captured.
    let values: [Float?]

    private let ranges: [Range<Int>]
    private let seq: Int

    private enum CodingKeys: CodingKey {
        case trace, step, name, kind, type, shape, slice, inputs, n, sum, min, max, mean, rms, std, values
    }

    public init(
        trace: String, operation: RecordedOperation, inputs: [RecordedInput], values: RecordedValues,
        ranges: [Range<Int>]
    ) {
        self.trace = trace
        step = operation.step
        name = operation.name
        kind = operation.kind
        type = operation.type.name
        shape = operation.shape.dimensions
        slice = ranges.map { [$0.lowerBound, $0.upperBound] }
        self.inputs = inputs.map(\.name)
        seq = operation.seq
        self.ranges = ranges
        var picked: [Float?] = []
        for i3 in ranges[3] {
            for i2 in ranges[2] {
                for i1 in ranges[1] {
                    for i0 in ranges[0] { picked.append(values[ElementIndex(i0, i1, i2, i3)]) }
                }
            }
        }
        self.values = picked
        let statistics = Statistics(picked.compactMap { $0 })
        n = statistics.count
        sum = statistics.sum
        min = statistics.minimum.map { Double($0) }
        max = statistics.maximum.map { Double($0) }
        mean = statistics.mean
        rms = statistics.rms
        std = statistics.std
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let what = "  \(kind)  \(type) \(Shape(shape))"
        let place = "  op \(seq) of step \(step)"
        // A path that does not fit has a line of its own, so that it can be copied.
        let fits = (name + what + place + ", " + trace).displayWidth <= style.width
        var lines = [style.bold(name) + what + style.dim(fits ? "\(place), \(trace)" : place)]
        if !fits { lines.append(style.dim(trace)) }
        lines += ("from " + inputs.joined(separator: ", ")).wrapped(
            to: style.width)
        if ranges.indices.contains(where: { ranges[$0].count != shape[$0] }) {
            let bounds = ranges.prefix(Shape(shape).significant.count).map { "\($0.lowerBound):\($0.upperBound)" }
            lines.append("slice [\(bounds.joined(separator: ", "))]")
        }
        let statistics = [("sum", sum), ("mean", mean), ("std", std), ("rms", rms), ("min", min), ("max", max)]
        lines += (["n \(n)"] + statistics.map { "\($0) \(Numbers.short($1))" }).wrapped(
            to: style.width, separator: "  ")
        let missing = values.count - n
        if missing > 0 {
            lines.append(style.warning("\(missing) of \(values.count) values were not captured (shown as ?)"))
        }
        let plane = ranges[0].count * ranges[1].count
        let planes = ranges[2].count * ranges[3].count
        let shown = planes <= 4 ? planes : 2
        for number in 0..<shown {
            lines += [""] + planeLines(number, plane: plane, planes: planes, style)
        }
        if shown < planes {
            let next =
                ranges[2].count > shown ? ":,:,\(ranges[2].lowerBound + shown)" : ":,:,:,\(ranges[3].lowerBound + 1)"
            lines += ["", style.dim("… and \(planes - shown) more planes; name one, as in '\(name)[\(next)]'")]
        }
        return lines.joined(separator: "\n")
    }

    private func planeLines(_ number: Int, plane: Int, planes: Int, _ style: Style) -> [String] {
        let part = values[number * plane..<(number + 1) * plane]
        var lines: [String] = []
        if planes > 1 {
            let (i2, i3) = (
                ranges[2].lowerBound + number % ranges[2].count, ranges[3].lowerBound + number / ranges[2].count
            )
            lines.append(style.bold("[:, :, \(i2)\(shape[3] > 1 ? ", \(i3)" : "")]"))
        }
        let map = HeatMap(rows: ranges[1].count, columns: ranges[0].count, values: part.map { $0.map { Double($0) } })
        if plane > 1 {
            lines += map.lines(style, maximumRows: planes > 1 ? 12 : 24, firstRow: ranges[1].lowerBound) + [""]
        }
        return lines + numberLines(Array(part), style)
    }

    /// The first and last numbers of the first and last rows, as llama.cpp's tools print them.
    private func numberLines(_ part: [Float?], _ style: Style) -> [String] {
        let columns = ranges[0].count
        let fitting = Swift.max(2, (style.width - 10) / 11)
        let isCut = columns > fitting
        let head = isCut ? fitting / 2 : columns
        let tail = isCut ? fitting - head - 1 : 0
        let shownColumns = Array(0..<head) + Array(columns - tail..<columns)
        func cell(_ text: String) -> String { text.leftPadded(to: 11) }
        func gap(_ after: Int) -> String { isCut && after == head - 1 ? "  …" : "" }
        var lines = [
            style.dim(
                "      i0" + shownColumns.enumerated().map { cell("\(ranges[0].lowerBound + $1)") + gap($0) }.joined())
        ]
        let rows = ranges[1].count
        let shownRows = rows <= 8 ? Array(0..<rows) : Array(0..<4) + Array(rows - 3..<rows)
        for (order, row) in shownRows.enumerated() {
            if order > 0, row != shownRows[order - 1] + 1 { lines.append(style.dim("       …")) }
            let numbers = shownColumns.enumerated().map { index, column in
                cell(part[row * columns + column].map { Numbers.short(Double($0)) } ?? "?") + gap(index)
            }
            lines.append("i1 " + "\(ranges[1].lowerBound + row)".leftPadded(to: 5) + numbers.joined())
        }
        return lines
    }
}
