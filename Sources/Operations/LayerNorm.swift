import ComputeGraph
import Tensors

/// Normalisation of each row to mean 0 and variance 1, without the learned weight and bias (`MUL` and `ADD` after it).
///
/// `y[i] = (x[i] - mean(x)) * s`, `s = 1 / sqrt(mean((x - mean(x))²) + ε)`. x, y F32 `[E, T]`.
/// Numerics: the sum of x in Double; squares, and sums of sixteen of them, in Float, their sum in Double; mean, root and product
/// in Float.
/// Source: ggml `ggml_compute_forward_norm_f32`; Ba et al. 2016.
public struct LayerNorm: Operation {
    public static let kind = "NORM"
    public static let formula = "y[i] = (x[i] - μ) / sqrt(mean((x - μ)²) + ε), μ = mean(x)"
    public static let summary = "Shifts and scales each column to a mean of 0 and a variance of 1."
    public static let symbols = ["eps": "ε"]

    /// ε, which keeps the root from vanishing; in the unit of x².
    public let epsilon: Float

    public init(epsilon: Float) { self.epsilon = epsilon }

    public var parameters: [(name: String, value: ParameterValue)] { [("eps", .float(epsilon))] }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let input = inputs[0]
        workers.run(items: input.shape.rows, grain: rowGrain(elementsPerRow: input.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = input.shape.row(number)
                input.withRow(of: Float.self, i1, i2, i3) { x in
                    let (mean, variance) = moments(of: x)
                    let scale = self.scale(variance)
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<x.count { y[i] = (x[i] - mean) * scale }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (mean, variance) = inputs[0].withRow(of: Float.self, element.i1, element.i2, element.i3) { moments(of: $0) }
        let (x, scale) = (inputs[0][element], self.scale(variance))
        let value = (x - mean) * scale
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [Explanation.Term(slot: 0, index: element, value: x, coefficient: scale, contribution: value)],
            quantities: [
                ("μ", Double(mean)), ("variance", Double(variance)), ("ε", Double(epsilon)), ("scale", Double(scale)),
            ],
            steps: [
                "scale = 1 / sqrt(\(variance) + \(epsilon)) = \(scale)",
                "(\(x) - \(bracketed(mean))) * \(scale) = \(value)",
            ])
    }

    /// Add, subtract, square, add, scale.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 5) }

    private func moments(of x: Span<Float>) -> (mean: Float, variance: Float) {
        var sum = 0.0
        for i in 0..<x.count { sum += Double(x[i]) }
        let mean = Float(sum) / Float(x.count)
        var squares = 0.0
        let grouped = x.count / vectorLanes * vectorLanes
        for start in stride(from: 0, to: grouped, by: vectorLanes) {
            var lanes = SIMD16<Float>()
            for i in 0..<vectorLanes { lanes[i] = (x[start + i] - mean) * (x[start + i] - mean) }
            squares += Double(total(lanes))
        }
        for i in grouped..<x.count { squares += Double((x[i] - mean) * (x[i] - mean)) }
        return (mean, Float(squares / Double(x.count)))
    }

    private func scale(_ variance: Float) -> Float { 1 / (variance + epsilon).squareRoot() }
}
