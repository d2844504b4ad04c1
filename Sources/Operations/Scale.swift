import ComputeGraph
import Tensors

/// Every element times one number: Granite's embeddings, residual writes and logits.
///
/// `y[i] = s * x[i]`. x, y F32 of one shape. Source: ggml `ggml_scale`.
public struct Scale: Operation {
    public static let kind = "SCALE"
    public static let formula = "y[i] = s · x[i]"
    public static let summary = "Multiplies everything by one number."
    public static let symbols = ["scale": "s"]

    public let factor: Float

    public init(by factor: Float) { self.factor = factor }

    public var parameters: [(name: String, value: ParameterValue)] { [("scale", .float(factor))] }

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
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<x.count { y[i] = x[i] * factor }
                    }
                }
            }
        }
    }

    public func source(
        of part: OutputPart, slot: Int, _ input: Layout, output: Layout
    ) -> (layout: Layout, byteOffset: Int)? { part.of(input) }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let x = inputs[0][element]
        return Explanation(
            formula: Self.formula, rule: .sum, value: x * factor,
            terms: [
                Explanation.Term(slot: 0, index: element, value: x, coefficient: factor, contribution: x * factor)
            ],
            quantities: [("s", Double(factor))], steps: ["\(factor) * \(bracketed(x)) = \(x * factor)"])
    }

    /// One operation an element.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 1) }
}
