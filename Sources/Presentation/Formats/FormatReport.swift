import Quantization
import Quantizing
import Tensors

/// The result of `explain format`: a format on one page.
public struct FormatReport: Report {
    struct Field: Encodable {
        let name: String
        let firstByte: Int
        let nBytes: Int
        let bits: Int
        let bitsPerWeight: Double
        let holds: String
    }

    struct Example: Encodable {
        let weights: [Float]
        let bytesHex: String
        @OrNull var scale: Float?
        @OrNull var min: Float?
        let codes: [Int]
        let values: [Float]
        let maxAbs: Float
        /// How the weight of largest magnitude comes back.
        let element: Int
        let steps: [String]
    }

    /// Something that is often said, and what is so.
    public struct Claim: Encodable {
        public let claim: String
        public let finding: [String]
        /// What the finding rests on, made just now.
        public let numbers: [String: Double]

        init(claim: String, finding: [String], numbers: [(String, Double)]) {
            (self.claim, self.finding) = (claim, finding)
            self.numbers = Dictionary(uniqueKeysWithValues: numbers)
        }
    }

    let type: String
    let blockElements: Int
    let blockBytes: Int
    let bpw: Double
    let formula: String
    let activationType: String
    let activationBpw: Double
    let fields: [Field]
    /// Where the weights of the example are from; `null` if they are made up.
    @OrNull var source: String?
    let example: Example
    public let claims: [Claim]
    private let block: BlockDescription
    private let shared: TensorType

    private enum CodingKeys: CodingKey {
        case type, blockElements, blockBytes, bpw, formula, activationType, activationBpw, fields, source, example,
            claims
    }

    public init(_ explanation: FormatExplanation) {
        let (kind, made) = (explanation.type, explanation.example)
        block = made.block
        shared = explanation.activationType
        type = kind.name
        source = explanation.sample.source
        (blockElements, blockBytes, bpw) = (kind.blockElements, kind.blockBytes, kind.bitsPerWeight)
        formula = made.block.formula
        (activationType, activationBpw) = (explanation.activationType.name, explanation.activationType.bitsPerWeight)
        fields = made.block.fields.map { field in
            Field(
                name: field.name, firstByte: field.range.lowerBound, nBytes: field.range.count,
                bits: 8 * field.range.count, bitsPerWeight: Double(8 * field.range.count) / Double(kind.blockElements),
                holds: String(field.meaning.prefix { $0 != "," && $0 != ":" }))
        }
        let largest = made.weights.indices.max { made.weights[$0].magnitude < made.weights[$1].magnitude }!
        example = Example(
            weights: made.weights, bytesHex: made.block.bytes.map(\.hex).joined(), scale: made.block.scales.scale,
            min: made.block.scales.minimum, codes: made.block.elements.map(\.code),
            values: made.block.elements.map(\.value), maxAbs: made.maximumError, element: largest,
            steps: made.block.steps(of: largest))
        claims = Claim.all(about: explanation)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let weights = Numbers.count(blockElements, "weight")
        var lines = [style.bold(type) + "  \(weights) in \(Numbers.count(blockBytes, "byte"))", ""]
        lines += picture(style) + [""] + bits(style)
        lines += ["", style.bold("Formula"), "", "  " + style.accent(formula)]
        if block.isQuantised { lines += letters.flatMap { paragraph($0, style) } }
        lines += ["", style.bold("Products"), ""] + paragraph(products, style, indent: "")
        lines += [""] + exampleLines(style) + claims.page(style)
        return lines.joined(separator: "\n")
    }

    /// What the letters of the formula stand for, and how many weights share a scale.
    private var letters: [String] {
        let (book, subs) = (block.book, block.subBlocks)
        let codes = book.table.map { "0 to \($0.count - 1)" } ?? "\(book.ends.lowest) to \(book.ends.highest)"
        return [
            block.points.isEmpty ? "q is the code, \(codes)" : nil, block.legend,
            subs.count > 1 ? "\(subs.count) sub-blocks of \(subs[0].elements.count) weights" : nil,
        ].compactMap { $0 }
    }

    private var products: String {
        let bits = "\(Numbers.short(activationBpw)) bits each"
        switch shared {
        case .q8_0: return "Activations become Q8_0 first (\(bits)): 32 codes of 8 bits and a scale."
        case .q8_1:
            return "Activations become Q8_1 first (\(bits)): as Q8_0, and scale times sum of the codes, which the "
                + "minimum is multiplied by once a block."
        case .q8_K:
            return "Activations become Q8_K first (\(bits)): 256 codes of 8 bits, a Float scale, and the sums of every "
                + "16 codes, which the mins are multiplied by where there are any."
        default: return "Activations are \(activationType) as well (\(bits))."
        }
    }

    /// The fields, as wide as they have bytes where there is room.
    private func picture(_ style: Style) -> [String] {
        var (offsets, boxes) = ("  byte  ", "        ")
        let least = fields.map { max($0.name.count + 2, "\($0.firstByte)".count + 1) }
        // Names, bars and the last offset take their room first.
        let room = max(0, min(50, style.width - 14 - least.reduce(0) { $0 + $1 + 1 }))
        for (field, least) in zip(fields, least) {
            let width = max(least, field.nBytes * room / blockBytes)
            offsets += "\(field.firstByte)".padded(to: width + 1)
            boxes += "|" + " \(field.name)".padded(to: width)
        }
        return [style.dim(offsets + "\(blockBytes)"), boxes + "|"]
    }

    private func bits(_ style: Style) -> [String] {
        var table = Table([("  field", .left), ("bits", .right), ("a weight", .right), ("holds", .left)])
        for field in fields {
            table.add("  " + field.name, "\(field.bits)", Numbers.significant(field.bitsPerWeight), field.holds)
        }
        table.add("  all", "\(8 * blockBytes)", Numbers.significant(bpw), "")
        return table.lines(style)
    }

    private func exampleLines(_ style: Style) -> [String] {
        let shown = min(8, blockElements)
        let which = blockElements == 1 ? "One weight" : "The first \(shown) of \(blockElements) weights"
        var table = Table([
            ("  weight", .right), ("is", .right), ("code", .right), ("comes back as", .right), ("error", .right),
        ])
        for index in Array(0..<shown) + (example.element < shown ? [] : [example.element]) {
            table.add(
                "\(index)", Numbers.significant(Double(example.weights[index])), "\(example.codes[index])",
                Numbers.significant(Double(example.values[index])),
                Numbers.short(Double(example.values[index] - example.weights[index])))
        }
        let from = source.map { "Of \($0), decoded and written just now:" } ?? "Made up; name a model to see its own:"
        var lines = [style.bold(which)] + paragraph(from, style, indent: "") + [""] + table.lines(style)
        if blockElements > 1 {
            lines += ["  largest error of all \(blockElements): \(Numbers.short(Double(example.maxAbs)))"]
        }
        lines += ["", "  Weight \(example.element), step by step:"]
        return lines + example.steps.flatMap { paragraph($0, style) }
    }

    private func paragraph(_ text: String, _ style: Style, indent: String = "  ") -> [String] {
        style.paragraph(text, indent: indent)
    }
}

extension [FormatReport.Claim] {
    /// Each claim and what is so; nothing if there are none.
    func page(_ style: Style) -> [String] {
        guard !isEmpty else { return [] }
        return ["", style.bold("What is often said")]
            + flatMap { claim in
                [""] + style.paragraph("“\(claim.claim)”", paint: style.warning)
                    + claim.finding.flatMap { style.paragraph($0) }
            }
    }
}

extension Style {
    /// Two columns from the edge, each line but the first indented more.
    func paragraph(_ text: String, indent: String = "  ", paint: (String) -> String = { $0 }) -> [String] {
        text.wrapped(to: width - 2, indent: indent, paint: paint)
            .map { "  " + $0 }
    }
}
