import ComputeGraph
import Measuring
import Tensors
import Tracing

/// The result of `explain element`: what one number is made of.
public struct ElementReport: Report {
    struct Term: Encodable {
        /// The element, as it is addressed; of a block its columns, as a slice.
        let source: String
        /// What the term adds; of a softmax its exponential.
        let value: Float
        /// What the source element is, and what it is multiplied by; `null` for blocks.
        @OrNull var sourceValue: Float?
        @OrNull var coefficient: Float?
        /// `null` for anything but a product with a quantised matrix.
        @OrNull var block: Block?
    }

    struct Block: Encodable {
        let index: Int
        let columns: [Int]
        @OrNull var fileOffset: Int?
        @OrNull var scale: Float?
        @OrNull var min: Float?
        let subBlocks: [Piece]
    }

    struct Piece: Encodable {
        let columns: [Int]
        let integerSum: Double
        let scale: Float
        @OrNull var min: Float?
        let activationScale: Float
        let activationSum: Int
        /// Of Q8_1, in F16.
        @OrNull var storedSum: Float?
        let codeTerm: Double
        let minTerm: Double
        let value: Double
    }

    struct Quantity: Encodable {
        let name: String
        let value: Double
    }

    struct Residual: Encodable {
        @OrNull var weights: Double?
        let activations: Double
        @OrNull var blockSums: Double?
        let order: Double
    }

    /// A score of latent attention beside that of keys unpacked.
    struct Absorbed: Encodable {
        let position: Int
        let head: Int
        let latent: Double
        let rotated: Double
        let unpacked: Double
        let difference: Double
        let productsAbsorbed: Int
        let productsUnpacked: Int

        init(_ score: AbsorbedScore) {
            (position, head) = (score.position, score.head)
            (latent, rotated, unpacked) = (score.latent, score.rotated, score.unpacked)
            difference = score.absorbedScore - score.unpackedScore
            (productsAbsorbed, productsUnpacked) = (score.absorbedProducts, score.unpackedProducts)
        }
    }

    let trace: String
    let step: Int
    @OrNull var position: Int?
    let op: String
    let kind: String
    @OrNull var layer: Int?
    @OrNull var head: Int?
    @OrNull var kvHead: Int?
    let address: String
    let index: [Int]
    let recorded: Float
    /// Whether `recorded` is in the trace; otherwise it was computed again.
    let captured: Bool
    /// What the graph gives now; differs from `recorded` only if the trace was changed.
    let evaluated: Float
    let recomputed: Float
    /// The terms added up in Double.
    let sum: Double
    let reproduced: Bool
    /// Options of `trace` that changed this element after it was computed; `recomputed` is without them.
    let changedBy: [String]
    /// Of `magnitude`, the sum of the terms' magnitudes.
    let tolerance: Double
    let magnitude: Double
    let formula: String
    /// What operations of this kind compute, in words.
    let summary: String
    let steps: [String]
    let quantities: [Quantity]
    let terms: [Term]
    @OrNull var dequantised: Float?
    @OrNull var residual: Residual?
    @OrNull var base: String?
    @OrNull var baseValue: Double?
    @OrNull var tree: TreeReport?
    /// `null` for anything but a score of latent attention.
    @OrNull var absorbed: Absorbed?

    let element: ElementProvenance
    let sources: [String]
    let shapes: [String]
    private let largest: Int?
    private let piece: String?
    private let further: String

    private enum CodingKeys: CodingKey {
        case trace, step, position, op, kind, layer, head, kvHead, address, index, recorded, captured, evaluated
        case recomputed, sum, reproduced, changedBy, tolerance, magnitude, formula, summary, steps, quantities, terms
        case dequantised, residual, base, baseValue, tree, absorbed
    }

    /// - Parameters:
    ///   - largest: terms to show, largest first; `nil`: in order.
    ///   - base: the path of the file in higher precision.
    ///   - isInStepper: whether the reader can go on with `why`, and has no options.
    public init(
        _ element: ElementProvenance, in provenance: Provenance, trace: String, largest: Int? = nil,
        base: String? = nil, tree: ProvenanceTree? = nil, isInStepper: Bool = false
    ) {
        let (node, target) = (element.node, element.element)
        self.element = element
        self.trace = trace
        self.largest = largest
        self.base = base
        step = element.step
        let position = provenance.position(of: node, at: target)
        piece = position.map {
            provenance.model.vocabulary.displayPiece(provenance.tokens[$0 - provenance.firstPosition])
        }
        self.position = position
        op = provenance.name(of: .node(node.index))
        (kind, layer, address) = (node.kind, node.layer, element.address)
        let head = provenance.head(of: node, at: target)
        (self.head, kvHead) = (head, head.map(provenance.model.configuration.kvHead(ofQueryHead:)))
        index = Array([target.i0, target.i1, target.i2, target.i3].prefix(node.layout.shape.significant.count))
        (recorded, captured, evaluated) = (element.recorded, element.isCaptured, element.evaluated)
        (recomputed, sum) = (element.recomputed, element.sum)
        reproduced = element.isReproduced
        changedBy = element.changes.map(\.option)
        (tolerance, magnitude) = (ElementProvenance.tolerance, element.magnitude)
        formula = element.explanation.formula
        summary = type(of: node.operation).summary
        steps = element.explanation.steps
        quantities = element.explanation.quantities.map { Quantity(name: $0.name, value: $0.value) }
        sources = node.inputs.map(provenance.name(of:))
        shapes = node.inputs.map { "\(provenance.graph.layout(of: $0))" }
        dequantised = element.product.map { Float($0.dequantised) }
        residual = element.residual.map {
            Residual(weights: $0.weights, activations: $0.activations, blockSums: $0.blockSums, order: $0.order)
        }
        baseValue = element.residual?.base
        let terms = Self.terms(element, in: provenance)
        self.terms = largest.map { Array(terms.sortedWorstFirst { abs($0.value) }.prefix($0)) } ?? terms
        self.tree = tree.map(TreeReport.init)
        absorbed = AbsorbedScore(node, at: target, in: provenance).map(Absorbed.init)
        further = isInStepper ? Self.nextCommand(element, in: provenance) : Self.depthHint
    }

    private static let depthHint = "--depth 3 follows the largest terms further, down to the weights' bytes."

    /// The stepper's command that goes on from the largest term; none where all that is left is the file.
    private static func nextCommand(_ element: ElementProvenance, in provenance: Provenance) -> String {
        let made = element.explanation.terms.filter { term in
            if case .node = element.node.inputs[term.slot] { true } else { false }
        }
        guard let term = made.max(by: { abs($1.contribution).isWorse(than: abs($0.contribution)) }) else { return "" }
        let address = provenance.address(of: element.node.inputs[term.slot], at: term.index)
        return "`why \(address)` goes on from the largest term."
    }

    private static func terms(_ element: ElementProvenance, in provenance: Provenance) -> [Term] {
        let node = element.node
        if let blocks = element.product?.blocks, !blocks.isEmpty {
            let activation = provenance.name(of: node.inputs[1])
            return blocks.map { block in
                Term(
                    source: activation + Self.slice(block.columns, of: element, in: provenance),
                    value: Float(block.contribution), sourceValue: nil, coefficient: nil, block: Block(block))
            }
        }
        return element.explanation.terms.map { term in
            Term(
                source: provenance.address(of: node.inputs[term.slot], at: term.index), value: term.contribution,
                sourceValue: term.value, coefficient: term.coefficient, block: nil)
        }
    }

    /// `[32:64,4]`: the activations that a block of weights meets.
    private static func slice(
        _ columns: Range<Int>, of element: ElementProvenance, in provenance: Provenance
    ) -> String {
        let shape = provenance.graph.layout(of: element.node.inputs[1]).shape
        let target = element.element
        let rest = [target.i1, target.i2, target.i3].prefix(shape.significant.count - 1).map { ",\($0)" }.joined()
        return "[\(columns.lowerBound):\(columns.upperBound)\(rest)]"
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = headLines(style) + [""]
        if let product = element.product, !product.blocks.isEmpty {
            lines += ProductPage(self, product, largest: largest).lines(style)
        } else {
            lines += termLines(style)
        }
        if let product = element.product { lines += [""] + residualLines(product, style) }
        if let absorbed { lines += [""] + absorbed.lines(style) }
        if let tree { lines += [""] + tree.lines(style) }
        return (lines + nextLines(style)).joined(separator: "\n")
    }

    private func headLines(_ style: Style) -> [String] {
        var words = [kind]
        if let layer { words.append("layer \(layer)") }
        if let head, let kvHead { words.append("head \(head) (KV head \(kvHead))") }
        if let position { words.append("position \(position) '\(piece ?? "")'") }
        let from = captured ? "as \(trace) has it" : "computed again; \(trace) did not capture it"
        let check =
            evaluated.bitPattern != recorded.bitPattern
            ? style.warning("the graph gives \(evaluated): see quipu verify")
            : !changedBy.isEmpty
                ? style.warning("then changed by " + changedBy.joined(separator: ", "))
                : recomputed.bitPattern == recorded.bitPattern ? "equal to the bit" : style.warning("not reproduced")
        let isSum = element.explanation.rule == .sum && terms.count > 2
        return [
            style.bold("\(address) = \(recorded)"), words.joined(separator: ", "),
            "recorded    \(recorded)   \(from)", "recomputed  \(recomputed)   \(check)",
        ]
            + (isSum ? ["its terms   \(sum)   added up in Double"] : []) + ["", style.accent(formula)]
            + summary.wrapped(to: style.width, indent: "", paint: style.dim)
            + zip(sources, shapes).enumerated().map { slot, source in
                "  from \(source.0)  \(source.1)" + (slot == 0 ? rowWords : "")
            }
    }

    /// Which row of the file's tensor a product reads.
    private var rowWords: String {
        guard let offset = element.product?.fileOffset else { return "" }
        return ", row \(element.element.i0) at byte \(offset)"
    }

    private func termLines(_ style: Style) -> [String] {
        var lines: [String] = []
        if !quantities.isEmpty {
            lines += quantities.map { "\($0.name) = \(Numbers.significant($0.value))" }
                .wrapped(to: style.width, separator: "   ")
        }
        lines += steps.map { "  " + $0 }
        if !lines.isEmpty { lines.append("") }
        let isFunction = element.explanation.rule == .function
        var table = Table([
            ("source", .whole), ("value", .right), ("times", .right), (isFunction ? "share" : "adds", .right),
            ("", .left),
        ])
        let most = terms.map { abs($0.value) }.largestNumber() ?? 0
        let count = largest ?? 24
        for term in terms.prefix(count) {
            table.add(
                term.source, "\(term.sourceValue ?? 0)", "\(term.coefficient ?? 0)", "\(term.value)",
                Bar.horizontal(most > 0 ? Double(abs(term.value) / most) : 0, width: 12))
        }
        lines += table.lines(style)
        if terms.count > count {
            lines.append(style.dim("… and \(terms.count - count) more; --largest N sorts them, --json has all"))
        }
        return lines
    }

    /// What separates the recorded value from plain F32.
    private func residualLines(_ product: ProductTerms, _ style: Style) -> [String] {
        guard let residual, let dequantised else { return [] }
        func line(_ name: String, _ value: Double?, _ note: String) -> String {
            "  " + name.padded(to: 20) + (value.map { Numbers.short($0) } ?? "-").leftPadded(to: 12) + "   "
                + style.dim(note)
        }
        var lines = [
            style.bold("Against dequantising first and multiplying in F32"),
            line("dequantised", Double(dequantised), "Σ of decoded weights times F32 activations"),
            line("activations", residual.activations, "x rounded to \(product.activationType) before the product"),
        ]
        if let sums = residual.blockSums {
            lines.append(line("block sums", sums, "s, the sum a minimum meets, kept in F16"))
        }
        lines.append(line("order of summation", residual.order, "Floats rounded on the way"))
        lines.append(line("recorded", Double(recorded), "the sum of these"))
        if let weights = residual.weights, let baseValue {
            lines += [
                line("weights", weights, "weights rounded to \(product.weightType)"),
                line("base", baseValue, "dequantised, by the base's weights"),
            ]
        } else if product.weightType.blockElements > 1 {
            lines.append(line("weights", nil, "what rounding them cost: --base BETTER.gguf"))
        }
        return lines
    }

    private func nextLines(_ style: Style) -> [String] {
        tree == nil && !further.isEmpty ? ["", style.dim(further)] : []
    }
}

extension ElementReport.Block {
    init(_ block: ProductBlock) {
        self.init(
            index: block.index, columns: [block.columns.lowerBound, block.columns.upperBound],
            fileOffset: block.fileOffset, scale: block.scale, min: block.minimum,
            subBlocks: block.pieces.map {
                ElementReport.Piece(
                    columns: [$0.columns.lowerBound, $0.columns.upperBound], integerSum: $0.integerSum,
                    scale: $0.scale, min: $0.minimum, activationScale: $0.activationScale,
                    activationSum: $0.activationSum, storedSum: $0.storedSum, codeTerm: $0.codeTerm,
                    minTerm: $0.minimumTerm, value: $0.contribution)
            })
    }
}

extension ElementReport.Absorbed {
    func lines(_ style: Style) -> [String] {
        func line(_ name: String, _ value: Double, _ note: String) -> String {
            "  " + name.padded(to: 20) + Numbers.significant(value).leftPadded(to: 14) + "   " + style.dim(note)
        }
        let words = """
            q · (W c) = (Wᵀ q) · c: what would unpack head \(head)'s key out of the latent vector c of position \(position) \
            is multiplied into the query, once for all positions, so that the cache keeps c alone.
            """
        return [style.bold("The same score with the key unpacked")]
            + words.wrapped(to: style.width, indent: "", paint: style.dim) + [
                line("latent", latent, "(Wᵀ q) · c"), line("rotated", rotated, "in both"),
                line("score", latent + rotated, "\(productsAbsorbed) products"), "",
                line("unpacked", unpacked, "q · (W c)"), line("rotated", rotated, "in both"),
                line("score", unpacked + rotated, "\(productsUnpacked) products"),
                line("difference", difference, "numbers rounded on the way"),
            ]
    }
}
