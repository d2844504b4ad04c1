import ComputeGraph
import RealModule
import Tensors

/// Rotary position embedding: pairs of a head's values are rotated by an angle that grows with the token's position and
/// falls with the pair's number.
///
/// For pair j, of values a and b, at position p: `θ = p · base^(-2j/D) / f[j]`, `y[a] = x[a]·cos θ - x[b]·sin θ`,
/// `y[b] = x[a]·sin θ + x[b]·cos θ`. Which values make a pair is the model's choice (`Pairs`). x, y F32 `[D, H, T]`,
/// positions I32 `[T]`, f F32 `[D/2]` optional (`rope_freqs.weight`, Llama 3's long-context factors).
///
/// Numerics: θ by repeated multiplication in Float, as ggml does it. Linear scaling multiplies θ by `frequencyScale`;
/// YaRN blends the scaled and unscaled θ by a ramp over j and corrects the magnitude.
/// Source: ggml `ggml_compute_forward_rope_f32`, `rope_yarn`; Su et al. 2021; Peng et al. 2023 (YaRN).
public struct RoPE: Operation {
    public static let kind = "ROPE"
    public static let formula = "(x₁ + i x₂) · (cos θ + i sin θ), θ = pos·base^(-2j/n)"
    public static let summary = "Rotates pairs of channels by an angle that grows with the position."
    public static let symbols = ["freq_base": "base", "n_dims": "n"]

    /// Which two values of a head are rotated together.
    public enum Pairs: Int, Sendable, Hashable {
        /// 2j and 2j + 1; ggml's mode NORMAL.
        case neighbours = 0
        /// j and j + D/2; ggml's mode NEOX.
        case halves = 2

        func indices(of pair: Int, dimensions: Int) -> (Int, Int) {
            switch self {
            case .neighbours: (2 * pair, 2 * pair + 1)
            case .halves: (pair, pair + dimensions / 2)
            }
        }
    }

    public struct Parameters: Sendable, Hashable {
        public var pairs: Pairs
        /// Dimensions of a head that are rotated; all of them in a llama.
        public var dimensions: Int
        /// Dimensions before them, which stay as they are; so do those behind them.
        public var offset = 0
        /// Context length the model was trained for before it was stretched, in tokens.
        public var originalContext: Int
        public var frequencyBase: Float
        /// 1 / the scaling factor.
        public var frequencyScale: Float
        /// 0: no extrapolation (plain or linear); 1: YaRN.
        public var extrapolation: Float
        /// Multiplies the magnitude of the result.
        public var attentionFactor: Float
        public var betaFast: Float
        public var betaSlow: Float

        public init(
            pairs: Pairs = .neighbours, dimensions: Int, originalContext: Int, frequencyBase: Float,
            frequencyScale: Float,
            extrapolation: Float, attentionFactor: Float, betaFast: Float, betaSlow: Float
        ) {
            self.pairs = pairs
            self.dimensions = dimensions
            self.originalContext = originalContext
            self.frequencyBase = frequencyBase
            self.frequencyScale = frequencyScale
            self.extrapolation = extrapolation
            self.attentionFactor = attentionFactor
            self.betaFast = betaFast
            self.betaSlow = betaSlow
        }

        /// The two values of a head that make a pair.
        func indices(of pair: Int) -> (Int, Int) {
            let (first, second) = pairs.indices(of: pair, dimensions: dimensions)
            return (offset + first, offset + second)
        }
    }

    public let rope: Parameters

    public init(_ parameters: Parameters) { rope = parameters }

    public var tokenDimension: Int { 2 }

    public var parameters: [(name: String, value: ParameterValue)] {
        [
            ("n_dims", .int(rope.dimensions)), ("mode", .int(rope.pairs.rawValue)),
            ("n_ctx_orig", .int(rope.originalContext)),
            ("freq_base", .float(rope.frequencyBase)), ("freq_scale", .float(rope.frequencyScale)),
            ("ext_factor", .float(rope.extrapolation)), ("attn_factor", .float(rope.attentionFactor)),
            ("beta_fast", .float(rope.betaFast)), ("beta_slow", .float(rope.betaSlow)),
        ] + (rope.offset == 0 ? [] : [("n_offs", .int(rope.offset))])
    }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try require(inputs.count == 2 || inputs.count == 3, of: inputs, "values, positions and optional factors")
        try requireFloatRows(0, of: inputs)
        let (x, positions) = (inputs[0], inputs[1])
        try require(
            positions.type == .i32 && positions.shape == Shape(x.shape.ne2), of: inputs, "a position for each token")
        try require(
            rope.offset + rope.dimensions <= x.shape.ne0 && rope.dimensions % 2 == 0, of: inputs,
            "heads of at least \(rope.offset + rope.dimensions) values, an even number of them rotated")
        if inputs.count == 3 {
            try requireFloatRows(2, of: inputs)
            try require(inputs[2].shape.ne0 >= rope.dimensions / 2, of: inputs, "a frequency factor for each pair")
        }
        return Output(Layout(.f32, x.shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0]
        let perToken = x.shape.ne0 * x.shape.ne1
        let kernels = RowKernels(on: workers)
        workers.run(items: x.shape.ne2 * x.shape.ne3, grain: rowGrain(elementsPerRow: perToken)) { tokens in
            for token in tokens {
                let (i2, i3) = (token % x.shape.ne2, token / x.shape.ne2)
                let rotations = self.rotations(at: i2, inputs)
                for head in 0..<x.shape.ne1 {
                    x.withRow(of: Float.self, head, i2, i3) { from in
                        output.withMutableRow(of: Float.self, head, i2, i3) { to in
                            if rope.dimensions < from.count {
                                rotatePart(from, by: rotations, into: &to)
                            } else if rope.pairs == .halves {
                                rotateHalves(from, by: rotations, into: &to)
                            } else if !kernels.rotate(from, by: rotations.span, into: &to) {
                                rotateNeighbours(from, by: rotations, into: &to)
                            }
                        }
                    }
                }
            }
        }
    }

    private func rotatePart(_ x: Span<Float>, by rotations: [Float], into y: inout MutableSpan<Float>) {
        for i in 0..<x.count { y[i] = x[i] }
        for j in 0..<rope.dimensions / 2 {
            let (first, second) = rope.indices(of: j)
            let (c, s) = (rotations[2 * j], rotations[2 * j + 1])
            y[first] = fused(x[first], c, -(x[second] * s))
            y[second] = fused(x[first], s, x[second] * c)
        }
    }

    private func rotateNeighbours(_ x: Span<Float>, by rotations: [Float], into y: inout MutableSpan<Float>) {
        for j in 0..<x.count / 2 {
            let (c, s) = (rotations[2 * j], rotations[2 * j + 1])
            let (x0, x1) = (x[2 * j], x[2 * j + 1])
            y[2 * j] = fused(x0, c, -(x1 * s))
            y[2 * j + 1] = fused(x0, s, x1 * c)
        }
    }

    private func rotateHalves(_ x: Span<Float>, by rotations: [Float], into y: inout MutableSpan<Float>) {
        let half = x.count / 2
        for j in 0..<half {
            let (c, s) = (rotations[2 * j], rotations[2 * j + 1])
            let (x0, x1) = (x[j], x[j + half])
            y[j] = fused(x0, c, -(x1 * s))
            y[j + half] = fused(x0, s, x1 * c)
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let rotations = self.rotations(at: element.i2, inputs)
        let isNeighbours = rope.pairs == .neighbours
        let index = element.i0 - rope.offset
        guard (0..<rope.dimensions).contains(index) else {
            let x = inputs[0][element]
            return Explanation(
                formula: "y[i] = x[i] outside the part that is rotated", rule: .copy, value: x,
                terms: [Explanation.Term(slot: 0, index: element, value: x, coefficient: 1, contribution: x)])
        }
        let j = isNeighbours ? index / 2 : index % (rope.dimensions / 2)
        let (first, second) = rope.indices(of: j)
        let (c, s) = (rotations[2 * j], rotations[2 * j + 1])
        let isFirst = element.i0 == first
        let coefficients = isFirst ? [c, -s] : [s, c]
        let terms = zip([first, second], coefficients).map { i0, coefficient in
            let index = ElementIndex(i0, element.i1, element.i2, element.i3)
            let x = inputs[0][index]
            return Explanation.Term(
                slot: 0, index: index, value: x, coefficient: coefficient, contribution: coefficient * x)
        }
        let products = terms.map { "\($0.value) * \(bracketed($0.coefficient))" }.joined(separator: " + ")
        let value = fused(
            terms[0].value, terms[0].coefficient, terms[1].value * terms[1].coefficient)
        let (a, b) = isNeighbours ? ("2j", "2j+1") : ("j", "j+D/2")
        return Explanation(
            formula: isFirst
                ? "y[\(a)] = x[\(a)]·cos θ - x[\(b)]·sin θ" : "y[\(b)] = x[\(a)]·sin θ + x[\(b)]·cos θ",
            rule: .sum, value: value, terms: terms,
            quantities: [
                ("position", Double(inputs[1][ElementIndex(element.i2)])), ("pair j", Double(j)),
                ("cos θ", Double(c)), ("sin θ", Double(s)),
            ],
            steps: ["\(products) = \(value)"])
    }

    /// Four products and two sums a pair.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 3) }

    /// Cosine and sine of each pair's angle for one token, interleaved.
    private func rotations(at token: Int, _ inputs: [Tensor]) -> [Float] {
        let position = inputs[1].withRow(of: Int32.self, 0) { Float($0[token]) }
        let factors = inputs.count == 3 ? inputs[2].floats() : []
        let thetaScale = Float.pow(rope.frequencyBase, -2 / Float(rope.dimensions))
        let ramp = correctionRange
        var magnitude = rope.attentionFactor
        if rope.extrapolation != 0 { magnitude *= fused(0.1, Float.log(1 / rope.frequencyScale), 1) }

        var theta = position
        var rotations: [Float] = []
        rotations.reserveCapacity(rope.dimensions)
        for j in 0..<rope.dimensions / 2 {
            let extrapolated = factors.isEmpty ? theta : theta / factors[j]
            var angle = rope.frequencyScale * extrapolated
            if rope.extrapolation != 0 {
                let mix = rampMix(ramp, pair: j) * rope.extrapolation
                angle = fused(angle, 1 - mix, extrapolated * mix)
            }
            rotations.append(Float.cos(angle) * magnitude)
            rotations.append(Float.sin(angle) * magnitude)
            theta *= thetaScale
        }
        return rotations
    }

    /// The pairs between which YaRN goes over from extrapolation (fast, left) to interpolation (slow, right).
    private var correctionRange: (low: Float, high: Float) {
        func pair(turns: Float) -> Float {
            let dimensions = Float(rope.dimensions)
            return dimensions * Float.log(Float(rope.originalContext) / (turns * 2 * Float.pi))
                / (2 * Float.log(rope.frequencyBase))
        }
        return (
            max(0, pair(turns: rope.betaFast).rounded(.down)),
            min(Float(rope.dimensions - 1), pair(turns: rope.betaSlow).rounded(.up))
        )
    }

    /// 1 where the angle is extrapolated, 0 where it is interpolated.
    private func rampMix(_ range: (low: Float, high: Float), pair: Int) -> Float {
        let y = (Float(pair) - range.low) / max(0.001, range.high - range.low)
        return 1 - min(1, max(0, y))
    }
}
