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
    public struct Part: Sendable, Codable, Equatable {
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
        /// The mean KL divergence from the model as it is.
        public let divergence: Estimate
        /// The share of positions at which both hold the same token most probable.
        public let sameTop: Double

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
        self.parts = parts.sortedWorstFirst { $0.divergence.value }
    }

    /// `nil` if the mix gives no part more bits, or all.
    public var agreement: Agreement? {
        let favoured = parts.count(where: \.hasMoreBits)
        guard favoured > 0, favoured < parts.count else { return nil }
        return Agreement(
            favoured: favoured, shared: parts.prefix(favoured).count(where: \.hasMoreBits),
            expected: Double(favoured * favoured) / Double(parts.count),
            rankCorrelation: Self.rankCorrelation(
                parts.map(\.divergence.value), parts.map(\.mixBitsPerWeight)))
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
