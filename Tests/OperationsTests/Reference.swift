import Foundation
import Operations
import Tensors

/// Textbook formulas in Double.
enum Reference {
    static func exp(_ x: Double) -> Double { Foundation.exp(x) }
    static func tanh(_ x: Double) -> Double { Foundation.tanh(x) }
    static func gelu(_ x: Double) -> Double {
        0.5 * x * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    /// Rotary embedding of 16 dimensions, base 10000, with the angles of Su et al. (2021), stretched linearly or by YaRN
    /// (Peng et al. 2023, sections 3.1 to 3.4) for pairs that turn 1 to 32 times within the original context.
    struct Rotation: Sendable {
        var frequencyScale = 1.0
        var isYaRN = false
        var originalContext = 2048
        var pairs = RoPE.Pairs.neighbours
        static let dimensions = 16
        static let base = 10000.0

        var parameters: RoPE.Parameters {
            RoPE.Parameters(
                pairs: pairs, dimensions: Self.dimensions, originalContext: originalContext,
                frequencyBase: Float(Self.base),
                frequencyScale: Float(frequencyScale), extrapolation: isYaRN ? 1 : 0, attentionFactor: 1, betaFast: 32,
                betaSlow: 1)
        }

        func value(_ inputs: [Tensor], _ e: ElementIndex) -> Double {
            let half = Self.dimensions / 2
            let (pair, first, second) =
                pairs == .neighbours
                ? (e.i0 / 2, e.i0 / 2 * 2, e.i0 / 2 * 2 + 1) : (e.i0 % half, e.i0 % half, e.i0 % half + half)
            let factor = inputs.count > 2 ? inputs[2].double(pair) : 1
            let angle = inputs[1].double(e.i2) * pow(Self.base, -2 * Double(pair) / Double(Self.dimensions)) / factor
            var (stretched, magnitude) = (angle * frequencyScale, 1.0)
            if isYaRN {
                let mix = extrapolated(pair)
                stretched = stretched * (1 - mix) + angle * mix
                magnitude = 0.1 * log(1 / frequencyScale) + 1
            }
            let (x, y) = (inputs[0].double(first, e.i1, e.i2), inputs[0].double(second, e.i1, e.i2))
            let (c, s) = (cos(stretched) * magnitude, sin(stretched) * magnitude)
            return e.i0 == first ? x * c - y * s : x * s + y * c
        }

        /// 1 for pairs that turn more than 32 times within the original context, 0 for those that turn less than once.
        private func extrapolated(_ pair: Int) -> Double {
            func pairTurning(_ times: Double) -> Double {
                Double(Self.dimensions) * log(Double(originalContext) / (2 * .pi * times)) / (2 * log(Self.base))
            }
            let low = max(0, floor(pairTurning(32)))
            let high = min(Double(Self.dimensions - 1), ceil(pairTurning(1)))
            return 1 - min(1, max(0, (Double(pair) - low) / (high - low)))
        }
    }
}
