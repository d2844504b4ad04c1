import ComputeGraph
import Tensors

/// Root-mean-square normalisation of each row, without the learned weight (the `MUL` after it).
///
/// `y[i] = x[i] * s`, `s = 1 / sqrt(mean(x²) + ε)`. x, y F32 `[E, T]`.
/// Numerics: squares in Float, their sum in Double, the mean, the root and the product in Float.
/// Source: ggml `ggml_compute_forward_rms_norm_f32`; Zhang and Sennrich 2019.
public struct RMSNorm: Operation {
    public static let kind = "RMS_NORM"
    public static let formula = "y[i] = x[i] / sqrt(mean(x²) + ε)"
    public static let summary = "Scales each column to a root mean square of 1, whatever its size was."
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
        let grain = rowGrain(elementsPerRow: input.shape.ne0)
        workers.run(items: input.shape.rows, grain: grain) { rows in
            for number in rows {
                let (i1, i2, i3) = input.shape.row(number)
                input.withRow(of: Float.self, i1, i2, i3) { x in
                    let scale = self.scale(of: x)
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<x.count { y[i] = x[i] * scale }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (scale, meanSquare) = inputs[0].withRow(of: Float.self, element.i1, element.i2, element.i3) {
            (self.scale(of: $0), self.meanSquare(of: $0))
        }
        let x = inputs[0][element]
        return Explanation(
            formula: Self.formula, rule: .sum, value: x * scale,
            terms: [Explanation.Term(slot: 0, index: element, value: x, coefficient: scale, contribution: x * scale)],
            quantities: [("mean(x²)", Double(meanSquare)), ("ε", Double(epsilon)), ("scale", Double(scale))],
            steps: [
                "scale = 1 / sqrt(\(meanSquare) + \(epsilon)) = \(scale)", "\(x) * \(scale) = \(x * scale)",
            ])
    }

    /// Square, add, scale.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 3) }

    private func meanSquare(of x: Span<Float>) -> Float {
        var sum = 0.0
        for i in 0..<x.count { sum += Double(x[i] * x[i]) }
        return Float(sum / Double(x.count))
    }

    private func scale(of x: Span<Float>) -> Float { 1 / (meanSquare(of: x) + epsilon).squareRoot() }
}
