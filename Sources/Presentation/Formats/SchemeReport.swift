import Quantization
import Quantizing

/// The result of `explain format` for a scheme of textbooks.
public struct SchemeReport: Report {
    struct Example: Encodable {
        let rows: Int
        let columns: Int
        let weights: [Float]
        let codes: [Int]
        let values: [Float]
        let maxAbs: Float
        /// How the weight of largest magnitude of the first group comes back.
        let element: Int
        let steps: [String]
    }

    struct Parameters: Encodable {
        let scale: Float
        let zeroPoint: Int
        let n: Int
    }

    let type: String
    let name: String
    let textbook = true
    let formula: String
    let codeBits: Int
    /// Bits of what a group shares.
    let parameterBits: [String: Int]
    let group: String
    /// Of the example's matrix; larger groups cost less.
    let bpw: Double
    let groups: [Parameters]
    @OrNull var source: String?
    let example: Example
    public let claims: [FormatReport.Claim]
    /// Whether larger matrices have larger groups.
    private let groupGrows: Bool

    private enum CodingKeys: CodingKey {
        case type, name, textbook, formula, codeBits, parameterBits, group, bpw, groups, source, example, claims
    }

    public init(_ explanation: SchemeExplanation) {
        let (scheme, result) = (explanation.scheme, explanation.result)
        (type, name, formula) = (scheme.id, scheme.name, scheme.formula)
        (codeBits, group) = (scheme.bits, scheme.group.name)
        parameterBits = Dictionary(uniqueKeysWithValues: scheme.stored.map { ($0.name, $0.bits) })
        bpw = result.bitsPerWeight
        groups = result.parameters.map { Parameters(scale: $0.scale, zeroPoint: $0.zeroPoint, n: $0.count) }
        source = explanation.source
        groupGrows = [.tensor, .row].contains(scheme.group)
        let errors = zip(explanation.weights, result.values).map { ($1 - $0).magnitude }
        example = Example(
            rows: explanation.rows, columns: explanation.columns, weights: explanation.weights,
            codes: explanation.weights.indices.map(explanation.code), values: result.values, maxAbs: errors.max() ?? 0,
            element: explanation.element, steps: explanation.steps)
        claims = FormatReport.Claim.all(about: explanation)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let stored = parameterBits.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) bits" }
        let matrix = "a matrix of \(example.rows) x \(example.columns)"
        var lines = [style.bold(type) + "  a scheme of textbooks; no GGUF file holds it", ""]
        lines += [style.bold("Formula"), ""] + style.paragraph(formula, indent: "", paint: style.accent)
        lines += ["", style.bold("Stored"), ""]
        lines += style.paragraph(
            "A code of \(codeBits) bits per weight; for each \(group) \(stored.joined(separator: " and ")): "
                + "\(Numbers.significant(bpw)) bits per weight for \(matrix)"
                + (groupGrows ? ", and hardly more than \(codeBits) for the large matrices of models." : "."),
            indent: "")
        lines += ["", style.bold("The first 8 weights of \(matrix)")]
        let from = source.map { "Of \($0), decoded and written just now:" } ?? "Made up; name a model to see its own:"
        lines += style.paragraph(from, indent: "") + [""] + table(style)
        lines += ["  largest error of all \(example.weights.count): \(Numbers.short(Double(example.maxAbs)))"]
        lines += ["", "  Weight \(example.element), step by step:"]
        lines += example.steps.flatMap { style.paragraph($0) } + claims.page(style)
        return lines.joined(separator: "\n")
    }

    private func table(_ style: Style) -> [String] {
        var table = Table([
            ("  weight", .right), ("is", .right), ("code", .right), ("comes back as", .right), ("error", .right),
        ])
        for index in Array(0..<8) + (example.element < 8 ? [] : [example.element]) {
            table.add(
                "\(index)", Numbers.significant(Double(example.weights[index])), "\(example.codes[index])",
                Numbers.significant(Double(example.values[index])),
                Numbers.short(Double(example.values[index] - example.weights[index])))
        }
        return table.lines(style)
    }
}
