import Foundation
import Quantization
import Quantizing

/// The result of `quant blocks`: one block, taken apart.
public struct BlockReport: Report {
    struct Field: Encodable {
        let name: String
        let firstByte: Int
        let nBytes: Int
        let bytesHex: String
        let meaning: String
    }

    /// Eight weights of a format with a grid.
    struct Point: Encodable {
        let first: Int
        let indices: [Int]
        let values: [Int]
        let shift: Double
    }

    let file: String
    let tensor: String
    let type: String
    let shape: [Int]
    let row: Int
    let block: Int
    let firstColumn: Int
    let fileOffset: Int
    let bytesHex: String
    let fields: [Field]
    let formula: String
    @OrNull var scale: Float?
    @OrNull var min: Float?
    /// Effective, in the order of the sub-blocks; empty for formats without.
    let subScales: [Float]
    let subMins: [Float]
    /// Of formats with a grid, the values of its points with their signs.
    let codes: [Int]
    let points: [Point]
    let values: [Float]
    let zeroExact: Bool
    /// Sub-blocks, or the block, in which no code stands for zero.
    let zeroNotExact: [Int]
    /// Weights, counted from the start of the block.
    let saturated: [Int]
    let codesUsed: Int
    let codesPossible: Int
    @OrNull var reference: String?
    @OrNull var referenceValues: [Float]?
    @OrNull var mse: Double?
    @OrNull var maxAbs: Float?
    private let description: BlockDescription

    private enum CodingKeys: CodingKey {
        case file, tensor, type, shape, row, block, firstColumn, fileOffset, bytesHex, fields, formula, scale, min
        case subScales, subMins, codes, points, values, zeroExact, zeroNotExact, saturated, codesUsed, codesPossible,
            reference
        case referenceValues, mse, maxAbs
    }

    /// - Parameter reference: a file of higher precision, and the block's weights there.
    public init(_ found: WeightBlock, reference: (path: String, values: [Float])?) {
        let block = found.description
        description = block
        file = found.file
        tensor = found.tensor.name
        type = found.tensor.type.name
        shape = found.tensor.shape.significant
        (row, self.block, firstColumn, fileOffset) = (found.row, found.block, found.firstColumn, found.fileOffset)
        bytesHex = block.bytes.map(\.hex).joined()
        fields = block.fields.map {
            Field(
                name: $0.name, firstByte: $0.range.lowerBound, nBytes: $0.range.count,
                bytesHex: $0.bytes.map(\.hex).joined(), meaning: $0.meaning)
        }
        formula = block.formula
        (scale, min) = (block.scales.scale, block.scales.minimum)
        let hasSubBlocks = block.subBlocks.count > 1
        subScales = hasSubBlocks ? block.scales.subScales : []
        subMins = hasSubBlocks ? block.scales.subMinima : []
        codes = block.elements.map(\.code)
        points = block.points.map { point in
            Point(
                first: point.elements.lowerBound, indices: point.indices.map(\.code),
                values: point.elements.map { block.elements[$0].code },
                shift: point.shift.map { $0.code == 1 ? -0.125 : 0.125 } ?? 0)
        }
        values = block.elements.map(\.value)
        zeroNotExact = block.zeroExact.indices.filter { !block.zeroExact[$0] }
        zeroExact = zeroNotExact.isEmpty
        saturated = block.saturated
        codesUsed = block.codesUsed
        codesPossible = block.book.count
        self.reference = reference?.path
        referenceValues = reference?.values
        if let before = reference?.values {
            let errors = zip(before, block.elements).map { $1.value - $0 }
            mse = errors.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(errors.count)
            maxAbs = errors.reduce(0) { max($0, $1.magnitude) }
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let last = firstColumn + codes.count - 1
        let columns = codes.count == 1 ? "column \(last)" : "columns \(firstColumn) to \(last)"
        var lines = [
            style.bold(tensor) + "  \(type) \(shape.map(String.init).joined(separator: "x"))",
            "row \(row), block \(block): \(columns)",
            "\(description.bytes.count) bytes from byte \(fileOffset) of the file", "",
        ]
        lines += BlockPicture.bytes(description, style)
        lines += ["", "value  " + style.accent(formula)]
        if description.isQuantised { lines += factLines(style) }
        if description.subBlocks.count > 1 { lines += [""] + BlockPicture.subBlocks(description, style) }
        if !description.points.isEmpty { lines += [""] + BlockPicture.points(description, style) }
        if description.isQuantised, description.points.isEmpty {
            lines += [""] + NumberGrid.lines("codes", codes.map(String.init), style)
        }
        lines += [""] + NumberGrid.lines(reference == nil ? "values" : "values after", values, style)
        if let before = referenceValues {
            lines += [""] + NumberGrid.lines("values before", before, style)
            lines += [""] + NumberGrid.lines("error", zip(values, before).map { $0 - $1 }, style)
            lines += [
                "", "rmse \(Numbers.short(mse?.squareRoot())), largest error \(Numbers.short(maxAbs.map(Double.init)))",
            ]
            lines += ["before: \(reference ?? "")".cut(to: style.width)]
        }
        return lines.joined(separator: "\n")
    }

    private func factLines(_ style: Style) -> [String] {
        let subs = description.subBlocks.count
        let zero: String
        switch (zeroExact, subs > 1) {
        case (true, _): zero = "exact: a code stands for it"
        case (false, false): zero = style.warning("not exact") + ": the nearest value is \(nearestToZero)"
        case (false, true): zero = style.warning("not exact") + " in \(zeroNotExact.count) of \(subs) sub-blocks"
        }
        let ends = "\(description.book.ends.lowest) or \(description.book.ends.highest)"
        var lines = [
            "scale  \(scale.map { "\($0)" } ?? "-")" + (min.map { "   min  \($0)" } ?? ""),
            "zero   " + zero,
            "codes  \(codesUsed) of \(codesPossible) used; \(saturated.count) saturated (\(ends))",
        ]
        if !values.contains(where: { $0 != 0 }) { lines.append(style.warning("dead: every value is zero")) }
        return lines
    }

    /// Of all the values that codes could stand for.
    private var nearestToZero: Float {
        let all = description.book.factors.map { description.scales.value($0, sub: 0) }
        return all.min { $0.magnitude < $1.magnitude } ?? 0
    }
}

/// Parts of a block as lines.
enum BlockPicture {
    /// The bytes in hexadecimal: each field in brackets after its name and first byte, with what it means.
    static func bytes(_ block: BlockDescription, _ style: Style) -> [String] {
        let paints = [style.accent, style.warning]
        let label = block.fields.reduce(0) { max($0, $1.name.count) } + 7
        var lines: [String] = []
        for (number, field) in block.fields.enumerated() {
            for start in stride(from: 0, to: field.bytes.count, by: 16) {
                let row = field.bytes[start..<min(start + 16, field.bytes.count)]
                let (isFirst, isLast) = (start == 0, start + 16 >= field.bytes.count)
                let name = (isFirst ? field.name : "").padded(to: label - 6)
                let offset = "\(field.range.lowerBound + start)".leftPadded(to: 4)
                let text = (isFirst ? "[" : " ") + row.map(\.hex).joined(separator: " ") + (isLast ? "]" : "")
                lines.append("\(name) \(offset) \(paints[number % 2](text))")
            }
            let indent = String(repeating: " ", count: label + 1)
            lines += field.meaning
                .wrapped(to: style.width - label - 1, indent: "", paint: style.dim).map { indent + $0 }
        }
        return lines
    }

    /// What each sub-block makes of its integers.
    static func subBlocks(_ block: BlockDescription, _ style: Style) -> [String] {
        let hasMinima = !block.scales.subMinima.isEmpty
        var columns: [(String, Table.Alignment)] = [
            ("sub-block", .right), ("weights", .right), ("scale code", .right), ("scale", .right),
        ]
        columns += hasMinima ? [("min code", .right), ("min", .right)] : []
        var table = Table(columns + [("zero", .left)])
        for (index, sub) in block.subBlocks.enumerated() {
            var cells = [
                "\(index)", "\(sub.elements.lowerBound)-\(sub.elements.upperBound - 1)",
                sub.scaleCode.map { "\($0.factor)" } ?? "-", Numbers.short(sub.scale.map(Double.init)),
            ]
            if hasMinima {
                cells += [sub.minimumCode.map { "\($0.factor)" } ?? "-", Numbers.short(sub.minimum.map(Double.init))]
            }
            table.add(cells + [block.zeroExact[index] ? "exact" : "not exact"])
        }
        return table.lines(style)
    }
}

extension BlockPicture {
    /// The points of a grid, eight weights a line.
    static func points(_ block: BlockDescription, _ style: Style) -> [String] {
        let isShifted = block.points[0].shift != nil
        var table = Table(
            [("weights", .right), ("grid index", .right), ("values g of the point, with their signs", .left)]
                + (isShifted ? [("shift", .right)] : []))
        for point in block.points {
            let values = point.elements.map { "\(block.elements[$0].code)".leftPadded(to: 4) }.joined()
            table.add(
                [
                    "\(point.elements.lowerBound)-\(point.elements.upperBound - 1)",
                    point.indices.map { "\($0.code)" }.joined(separator: " "), values,
                ] + (point.shift.map { [$0.code == 1 ? "-1/8" : "+1/8"] } ?? []))
        }
        return table.lines(style)
    }
}

/// Numbers in lines of eight or sixteen, each line with the index of its first.
enum NumberGrid {
    static func lines(_ title: String, _ cells: [String], _ style: Style, perLine: Int = 16) -> [String] {
        let width = max((style.width - 6) / perLine - 1, 3)
        return [style.bold(title)]
            + stride(from: 0, to: cells.count, by: perLine).map { start in
                let row = cells[start..<min(start + perLine, cells.count)]
                return style.dim("\(start)".leftPadded(to: 4)) + " "
                    + row.map { " " + $0.leftPadded(to: min(width, 8)) }.joined()
            }
    }

    static func lines(_ title: String, _ values: [Float], _ style: Style) -> [String] {
        let largest = values.filter(\.isFinite).reduce(0) { max($0, $1.magnitude) }
        let isPlain = largest == 0 || (0.02..<100).contains(largest)
        let format = isPlain ? (largest < 10 ? "%.5f" : "%.4f") : "%.2e"
        return lines(title, values.map { String(format: format, $0) }, style, perLine: isPlain ? 8 : 4)
    }
}

extension UInt8 {
    var hex: String { (self < 16 ? "0" : "") + String(self, radix: 16) }
}
