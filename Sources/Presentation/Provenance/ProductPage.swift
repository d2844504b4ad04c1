import Tracing
import Tensors

/// A product with a quantised matrix as tables: its blocks, the sub-blocks of the largest, the largest single terms.
struct ProductPage {
    private let report: ElementReport
    private let product: ProductTerms
    private let largest: Int?

    init(_ report: ElementReport, _ product: ProductTerms, largest: Int?) {
        (self.report, self.product, self.largest) = (report, product, largest)
    }

    private var hasSubBlocks: Bool { product.blocks[0].pieces.count > 1 }
    private var hasMinimum: Bool { product.blocks[0].pieces[0].minimum != nil }

    private var shown: [ProductBlock] {
        guard let largest else { return product.blocks }
        return Array(product.blocks.sortedWorstFirst { abs($0.contribution) }.prefix(largest))
    }

    /// The blocks whose sub-blocks are shown: all if they are few, else the one that adds most.
    private var detailed: [ProductBlock] {
        if shown.reduce(0, { $0 + $1.pieces.count }) <= 32 { return shown }
        return Array(product.blocks.sortedWorstFirst { abs($0.contribution) }.prefix(1))
    }

    func lines(_ style: Style) -> [String] {
        let length = product.blocks[0].columns.count
        var lines = [
            "The row in \(product.weightType) meets x in \(product.activationType), in blocks of \(length) columns."
        ]
        lines += words(rule).wrapped(to: style.width)
        lines += [""] + blockLines(style)
        for block in hasSubBlocks ? detailed : [] {
            lines += ["", style.bold("The sub-blocks of block \(block.index)"), ""]
            lines += pieceTable(block.pieces.enumerated().map { ("\($0)", $1) }, "sub-block", style)
        }
        return lines + [""] + elementLines(style)
    }

    private func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

    private var rule: String {
        let unit = hasSubBlocks ? "sub-block" : "block"
        let sum = "A \(unit) adds d_w * d_x * Σ q_w q_x; the sum of integers is exact"
        guard hasMinimum else { return sum + "." }
        return product.activationType == .q8_1
            ? sum + ". And min * s, with s the sum of its activations, kept in F16."
            : sum + ". And min * d_x * Σ q_x."
    }

    private func blockLines(_ style: Style) -> [String] {
        guard hasSubBlocks else {
            return pieceTable(shown.map { ("\($0.index)", $0.pieces[0]) }, "block", style) + restLines(style)
        }
        let (hasOffset, hasScale) = (shown[0].fileOffset != nil, shown[0].scale != nil)
        var table = Table(
            [("block", .right), ("columns", .right)] + (hasOffset ? [("file offset", .right)] : [])
                + (hasScale ? [("d", .right)] : []) + (hasMinimum ? [("dmin", .right)] : [])
                + [("d_x", .right), ("adds", .right), ("", .left)])
        let most = product.blocks.map { abs($0.contribution) }.largestNumber() ?? 0
        for block in shown {
            let bar = Bar.horizontal(most > 0 ? abs(block.contribution) / most : 0, width: 12)
            table.add(
                ["\(block.index)", "\(block.columns.lowerBound)-\(block.columns.upperBound - 1)"]
                    + (hasOffset ? ["\(block.fileOffset!)"] : [])
                    + (hasScale ? [Numbers.short(block.scale.map(Double.init))] : [])
                    + (hasMinimum ? [Numbers.short(block.minimum.map(Double.init))] : [])
                    + [Numbers.short(Double(block.pieces[0].activationScale)), Numbers.short(block.contribution), bar])
        }
        return table.lines(style) + restLines(style)
    }

    private func pieceTable(
        _ pieces: [(String, ProductBlock.Piece)], _ first: String, _ style: Style
    ) -> [String] {
        let isStored = pieces.contains { $0.1.storedSum != nil }
        var columns: [(String, Table.Alignment)] = [
            (first, .right), ("Σ q_w q_x", .right), ("d_w", .right), ("d_x", .right),
        ]
        if hasMinimum { columns += [("min", .right), (isStored ? "s" : "Σ q_x", .right)] }
        var table = Table(columns + [("adds", .right), ("", .left)])
        let most = pieces.map { abs($0.1.contribution) }.largestNumber() ?? 0
        for (name, piece) in pieces {
            var cells = [
                name, Numbers.significant(piece.integerSum), Numbers.short(Double(piece.scale)),
                Numbers.short(Double(piece.activationScale)),
            ]
            if let minimum = piece.minimum {
                cells += [
                    Numbers.short(Double(minimum)),
                    piece.storedSum.map { Numbers.short(Double($0)) } ?? "\(piece.activationSum)",
                ]
            }
            let bar = Bar.horizontal(most > 0 ? abs(piece.contribution) / most : 0, width: hasMinimum ? 8 : 16)
            table.add(cells + [Numbers.short(piece.contribution), bar])
        }
        return table.lines(style)
    }

    private func restLines(_ style: Style) -> [String] {
        let count = product.blocks.count - shown.count
        guard count > 0 else { return [] }
        let rest = product.exact - shown.reduce(0) { $0 + $1.contribution }
        return [style.dim("… and \(Numbers.count(count, "block")) more, which add \(Numbers.short(rest))")]
    }

    /// The columns that add most, with the weight's own numbers.
    private func elementLines(_ style: Style) -> [String] {
        let terms = report.element.explanation.terms.sortedWorstFirst { abs($0.contribution) }
        var table = Table([
            ("column", .right), ("code", .right), ("weight", .right), ("activation", .right), ("rounded", .right),
            ("adds", .right),
        ])
        for term in terms.prefix(5) {
            let k = term.index.i0
            table.add(
                "\(k)", "\(product.codes[k])", "\(product.weights[k])",
                Numbers.significant(Double(product.activations[k])),
                Numbers.significant(Double(product.rounded[k])), Numbers.short(Double(term.contribution)))
        }
        return [style.bold("The largest of \(terms.count) single products"), ""] + table.lines(style)
    }
}
