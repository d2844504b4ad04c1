import ComputeGraph
import Tensors

/// The sum of each row: of the weights of a token's experts.
///
/// `y[t] = Σ_i x[i, t]`. x F32 `[U, T, …]`, y F32 `[1, T, …]`.
/// Numerics: added in Double one after the other, then rounded. Source: ggml `ggml_compute_forward_sum_rows_f32`.
public struct SumRows: Operation {
    public static let kind = "SUM_ROWS"
    public static let formula = "y[t] = Σ_i x[i,t]"
    public static let summary = "Adds up each row."

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        let shape = inputs[0].shape
        return Output(Layout(.f32, Shape(1, shape.ne1, shape.ne2, shape.ne3)))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0]
        for number in 0..<x.shape.rows {
            let (i1, i2, i3) = x.shape.row(number)
            let sum = x.withRow(of: Float.self, i1, i2, i3, Self.sum)
            output.withMutableRow(of: Float.self, i1, i2, i3) { $0[0] = sum }
        }
    }

    private static func sum(of x: Span<Float>) -> Float {
        var sum = 0.0
        for i in 0..<x.count { sum += Double(x[i]) }
        return Float(sum)
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (value, terms) = inputs[0].withRow(of: Float.self, element.i1, element.i2, element.i3) { x in
            (
                Self.sum(of: x),
                x.indices.map { i in
                    Explanation.Term(
                        slot: 0, index: ElementIndex(i, element.i1, element.i2, element.i3), value: x[i],
                        coefficient: 1, contribution: x[i])
                }
            )
        }
        return Explanation(formula: Self.formula, rule: .sum, value: value, terms: terms)
    }

    /// One addition an element.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(
            operations: inputs[0].shape.count, bytesRead: inputs[0].byteCount, bytesWritten: output.byteCount)
    }
}
