import Tracing

/// A weight of the file, as far down as it goes.
struct WeightLine: Encodable {
    let tensor: String
    let type: String
    let row: Int
    let column: Int
    let value: Float
    let code: Int
    @OrNull var scale: Float?
    @OrNull var min: Float?
    let block: Int
    let blockOffset: Int
    let byteOffset: Int
    /// `bits 4-7 of byte`: where the lowest bits of the code are in their byte.
    let bits: String

    private enum CodingKeys: CodingKey {
        case tensor, type, row, column, value, code, scale, min, block, blockOffset, byteOffset
    }

    init(_ weight: StoredWeight) {
        (tensor, type) = (weight.block.tensor.name, weight.block.tensor.type.name)
        (row, column, value, code) = (weight.block.row, weight.column, weight.element.value, weight.element.code)
        (scale, min) = (weight.subBlock.scale, weight.subBlock.minimum)
        (block, blockOffset, byteOffset) = (weight.block.block, weight.block.fileOffset, weight.byteOffset)
        let part = weight.element.stored.parts[0]
        bits = part.width == 8 ? "in byte" : "in bits \(part.shift)-\(part.shift + part.width - 1) of byte"
    }

    /// `blk.3.ffn_down.weight[563,12] = 0.0017`
    var name: String { "\(tensor)[\(column),\(row)]" }

    /// `code 3, scale 0.0011, byte 81234567`
    var words: String {
        guard let scale else { return "\(type), byte \(byteOffset)" }
        return "\(type) code \(code), scale \(Numbers.short(Double(scale)))"
            + (min.map { ", min \(Numbers.short(Double($0)))" } ?? "") + ", byte \(byteOffset)"
    }
}

/// Where an element comes from, as a tree.
struct TreeReport: Encodable {
    let source: String
    let value: Float
    /// `operation`, `weight`, `input`, `cache`.
    let origin: String
    @OrNull var kind: String?
    /// Of the run: where an earlier pass wrote a cell of the cache.
    @OrNull var position: Int?
    @OrNull var contribution: Double?
    @OrNull var factor: WeightLine?
    @OrNull var weight: WeightLine?
    let via: [String]
    let factorTree: [TreeReport]
    let children: [TreeReport]
    @OrNull var restCount: Int?
    @OrNull var restContribution: Double?

    init(_ tree: ProvenanceTree) {
        (source, value, contribution, via) = (tree.address, tree.value, tree.contribution, tree.via)
        factor = tree.factor.map(WeightLine.init)
        switch tree.origin {
        case .operation(let name): (origin, kind) = ("operation", name)
        case .weight(let stored): (origin, weight) = ("weight", WeightLine(stored))
        case .input: origin = "input"
        case .cache(let cachePosition): (origin, position) = ("cache", cachePosition)
        }
        factorTree = tree.factorTree.map(TreeReport.init)
        children = tree.children.map(TreeReport.init)
        (restCount, restContribution) = (tree.rest?.count, tree.rest?.contribution)
    }

    func lines(_ style: Style) -> [String] {
        [style.bold("Where it comes from, largest first"), "", style.bold(label(style))] + below("", style)
    }

    /// `+0.0123  ffn_swiglu-3[563,4] = 3.1  SWIGLU`
    private func label(_ style: Style) -> String {
        let sum = contribution.map { ($0 < 0 ? "" : "+") + Numbers.short($0) + "  " } ?? ""
        let what =
            switch origin {
            case "operation": kind ?? ""
            case "cache": "position \(position!), from an earlier pass"
            case "input": "given"
            default: weight!.words
            }
        return sum + "\(source) = \(Numbers.short(Double(value)))  \(what)"
    }

    private func below(_ indent: String, _ style: Style) -> [String] {
        var entries: [(String, TreeReport?)] = []
        for other in factorTree { entries.append(("× " + other.label(style), other)) }
        for child in children { entries.append((child.label(style), child)) }
        if let restCount, let restContribution {
            let sum = restContribution == 0 ? "" : ", together \(Numbers.short(restContribution))"
            entries.append((style.dim("… \(restCount) more\(sum)"), nil))
        }
        return entries.enumerated().flatMap { index, entry in
            let isLast = index == entries.count - 1
            let deeper = indent + (isLast ? "   " : "│  ")
            var lines = [(indent + (isLast ? "└─ " : "├─ ") + entry.0).cut(to: style.width)]
            if let factor = entry.1?.factor {
                lines += wrapped("× \(factor.name) = \(factor.value) (\(factor.words))", deeper, style)
            }
            return lines + (entry.1?.below(deeper, style) ?? [])
        }
    }

    private func wrapped(_ text: String, _ indent: String, _ style: Style) -> [String] {
        text.wrapped(to: max(40, style.width - indent.count), paint: style.dim)
            .map { indent + $0 }
    }
}
