import LlamaModel
import Measuring
import Tensors

/// A number made of a pass's logits: `' Mary' - ' John'`, or `kld`, how far the prediction is from the one of the run itself.
public enum LogitMetric: Sendable, Equatable {
    /// Σ sign · logit.
    case sum([Term])
    /// KL(run itself || changed), in nats.
    case divergence

    public struct Term: Sendable, Equatable {
        public let sign: Double
        public let token: Int

        public init(sign: Double, token: Int) { (self.sign, self.token) = (sign, token) }
    }

    /// Signs and names of tokens, in order: quoted texts, or `#` and an id.
    ///
    /// - Returns: `nil` if the text is no sum of tokens.
    public static func names(in text: String) -> [(sign: Double, name: String)]? {
        var (terms, rest) = ([(Double, String)](), text[...])
        func skipSpaces() { rest = rest.drop { $0.isWhitespace } }
        skipSpaces()
        while !rest.isEmpty {
            var sign = 1.0
            if let first = rest.first, first == "+" || first == "-" || first == "−" {
                sign = first == "+" ? 1 : -1
                rest.removeFirst()
                skipSpaces()
            } else if !terms.isEmpty {
                return nil
            }
            guard let first = rest.first else { return nil }
            if first == "'" || first == "\"" {
                let inside = rest.dropFirst()
                // A quote may be part of the token: the one that counts is before a sign or the end.
                guard let end = closing(first, in: inside) else { return nil }
                terms.append((sign, String(inside[..<end])))
                rest = inside[inside.index(after: end)...]
            } else if first == "#" {
                let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
                guard !digits.isEmpty else { return nil }
                terms.append((sign, "#" + digits))
                rest = rest.dropFirst(1 + digits.count)
            } else {
                return nil
            }
            skipSpaces()
        }
        return terms.isEmpty ? nil : terms
    }

    private static func closing(_ quote: Character, in text: Substring) -> Substring.Index? {
        text.indices.first { index in
            guard text[index] == quote, index > text.startIndex else { return false }
            let after = text[text.index(after: index)...].drop { $0.isWhitespace }
            return after.isEmpty || "+-−".contains(after.first!)
        }
    }

    /// - Parameter base: the logits of the run itself.
    public func value(_ logits: [Float], base: [Float]) -> Double {
        switch self {
        case .sum(let terms): terms.reduce(0) { $0 + $1.sign * Double(logits[$1.token]) }
        case .divergence: DistributionPair(base: base.span, other: logits.span).divergence
        }
    }
}
