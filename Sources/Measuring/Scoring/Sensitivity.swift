import GGUF
import LlamaModel
import Quantizing
import Tensors

/// How much a model's predictions suffer when one part of it is quantised and the rest is kept.
public struct Sensitivity: Sendable {
    /// What is quantised at a time.
    public enum Unit: String, Sendable, CaseIterable {
        case tensor, layer, role
    }

    /// One part, measured.
    public struct Part: Sendable {
        /// The tensor's name, or `layer 3`, or the role.
        public let name: String
        /// `nil` of parts outside the layers, and of roles.
        public let layer: Int?
        /// `nil` of layers.
        public let role: String?
        public let weights: Int
        /// Bits per weight it was measured at.
        public let bitsPerWeight: Double
        /// Bits per weight that the mix gives it.
        public let mixBitsPerWeight: Double
        public let divergence: Divergence

        /// Whether the mix spends more on it.
        public var hasMoreBits: Bool { mixBitsPerWeight > bitsPerWeight + 1e-9 }
    }

    /// How a ranking by divergence agrees with what a mix gives more bits.
    public struct Agreement: Sendable, Hashable {
        /// Parts that the mix gives more bits.
        public let favoured: Int
        /// Those of them that are also among as many of the most sensitive.
        public let shared: Int
        /// As many as a choice by chance would share, on average.
        public let expected: Double
        /// Spearman's, of the divergence and the mix's bits per weight; `nil` if one of them is the same for all parts.
        public let rankCorrelation: Double?
    }

    /// The most sensitive first.
    public let parts: [Part]

    /// What sensitivity needs of a network: it is seen in the logits and nothing else.
    public static let analysis = Analysis("quant sensitivity", needs: [.result(.logits)])

    public init(_ parts: [Part]) {
        self.parts = parts.sortedWorstFirst { $0.divergence.meanDivergence.value }
    }

    /// - Parameters:
    ///   - plan: all tensors in one type, as far as rows allow.
    ///   - mix: the plan of a mix to compare with, of the same model.
    ///   - evaluated: called often with the tokens evaluated, also in part, and those to evaluate.
    /// - Throws: `AnalysisProblem` if the network has no logits, and as `QuantizedVersions.measure`.
    public init(
        _ versions: QuantizedVersions, plan: QuantizationPlan, against mix: QuantizationPlan, by unit: Unit,
        evaluated: @escaping (_ done: Double, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        try Self.analysis.check(versions.base.model)
        let mixed = Dictionary(uniqueKeysWithValues: mix.entries.map { ($0.tensor.name, $0.byteCount) })
        let groups = Self.groups(plan, by: unit)
        let tokens = versions.base.text.chunks.count * versions.base.text.chunkSize
        self.init(
            try groups.enumerated().map { number, group in
                let names = Set(group.entries.map(\.tensor.name))
                let found = try versions.measure(plan) {
                    names.contains($0.tensor.name)
                } evaluated: {
                    try evaluated(Double(number * tokens) + $0, groups.count * tokens)
                }
                let weights = group.entries.reduce(0) { $0 + $1.tensor.shape.count }
                func bits(_ bytes: Int) -> Double { Double(8 * bytes) / Double(weights) }
                return Part(
                    name: group.name, layer: group.layer, role: group.role, weights: weights,
                    bitsPerWeight: bits(group.entries.reduce(0) { $0 + $1.byteCount }),
                    mixBitsPerWeight: bits(group.entries.reduce(0) { $0 + mixed[$1.tensor.name]! }),
                    divergence: found.divergence)
            })
    }

    /// `nil` if the mix gives no part more bits, or all.
    public var agreement: Agreement? {
        let favoured = parts.count(where: \.hasMoreBits)
        guard favoured > 0, favoured < parts.count else { return nil }
        return Agreement(
            favoured: favoured, shared: parts.prefix(favoured).count(where: \.hasMoreBits),
            expected: Double(favoured * favoured) / Double(parts.count),
            rankCorrelation: Self.rankCorrelation(
                parts.map(\.divergence.meanDivergence.value), parts.map(\.mixBitsPerWeight)))
    }

    // MARK: parts

    private struct Group {
        let name: String
        let layer: Int?
        let role: String?
        var entries: [QuantizationPlan.Entry]
    }

    /// In the plan's order; tensors that the plan leaves as they are belong to none.
    private static func groups(_ plan: QuantizationPlan, by unit: Unit) -> [Group] {
        var groups: [Group] = []
        for entry in plan.entries where !entry.isCopied {
            let name = entry.tensor.name
            let parsed = WeightName(name)
            let group =
                switch unit {
                case .tensor: Group(name: name, layer: parsed.layer, role: parsed.role, entries: [entry])
                case .layer:
                    // What is outside the layers stands alone.
                    Group(
                        name: parsed.layer.map { "layer \($0)" } ?? name, layer: parsed.layer,
                        role: parsed.layer == nil ? parsed.role : nil, entries: [entry])
                case .role: Group(name: parsed.role, layer: nil, role: parsed.role, entries: [entry])
                }
            if let known = groups.firstIndex(where: { $0.name == group.name }) {
                groups[known].entries.append(entry)
            } else {
                groups.append(group)
            }
        }
        return groups
    }

    // MARK: ranks

    /// The correlation of ranks; equal values share the mean of their ranks.
    package static func rankCorrelation(_ a: [Double], _ b: [Double]) -> Double? {
        let (a, b) = (ranks(a), ranks(b))
        let spread = (covariance(a, a) * covariance(b, b)).squareRoot()
        return spread > 0 ? covariance(a, b) / spread : nil
    }

    private static func ranks(_ values: [Double]) -> [Double] {
        values.map { value in
            let (below, equal) = (values.count { $0 < value }, values.count { $0 == value })
            return Double(below) + Double(equal - 1) / 2
        }
    }
}
