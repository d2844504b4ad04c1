import ComputeGraph
import RealModule
import Tensors

/// A function of each element alone. x, y F32 of one shape.
protocol UnaryOperation: Operation {
    func value(_ x: Float) -> Float

    /// What the function is called where its numbers are filled in.
    var call: String { get }
}

extension UnaryOperation {
    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let input = inputs[0]
        // A function of the C library costs about as much as sixteen other operations.
        workers.run(items: input.shape.rows, grain: rowGrain(elementsPerRow: 16 * input.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = input.shape.row(number)
                input.withRow(of: Float.self, i1, i2, i3) { x in
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<x.count { y[i] = value(x[i]) }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let x = inputs[0][element]
        let y = value(x)
        return Explanation(
            formula: Self.formula, rule: .function, value: y,
            terms: [
                Explanation.Term(
                    slot: 0, index: element, value: x, coefficient: x == 0 ? 1 : y / x, contribution: y)
            ],
            steps: ["\(call)(\(x)) = \(y)"])
    }

    /// The function, counted as one.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 1) }
}

/// Hyperbolic tangent: between a division by a cap and a product with it, what keeps numbers below the cap.
///
/// `y[i] = tanh(x[i])`. Numerics: the C library's, in Float. Source: ggml `ggml_vec_tanh_f32`.
public struct Tanh: UnaryOperation {
    public static let kind = "TANH"
    public static let formula = "y[i] = tanh(x[i])"
    public static let summary = "Bends each number smoothly, so that none is below -1 or above 1."

    public init() {}

    func value(_ x: Float) -> Float { Float.tanh(x) }

    var call: String { "tanh" }
}
