import ComputeGraph
import Tensors

/// Copies a strided view into contiguous memory, in the order its dimensions say: joins the heads of a token.
///
/// y = x, F32, the elements counted in `shape`. Source: ggml `ggml_cont_*d`.
public struct Cont: NamedAfterSource {
    public static let kind = "CONT"
    public static let formula = "y = x, copied in order"
    public static let summary = "Copies numbers so that they lie one after the other."
    public var suffix: String { "cont" }

    public let shape: Shape

    public init(_ shape: Shape) { self.shape = shape }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        try require(inputs[0].shape.count == shape.count, of: inputs, "an input of \(shape.count) elements")
        return Output(Layout(.f32, shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0]
        let rowBytes = x.layout.rowBytes
        workers.run(items: x.shape.rows, grain: rowGrain(elementsPerRow: x.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = x.shape.row(number)
                x.withRow(of: Float.self, i1, i2, i3) { row in
                    let bytes = number * rowBytes..<(number + 1) * rowBytes
                    output.buffer.withMutableElements(of: Float.self, in: bytes) { y in
                        for i in 0..<row.count { y[i] = row[i] }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let index = inputs[0].shape.element(at: shape.number(of: element))
        let value = inputs[0][index]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: index, value: value, coefficient: 1, contribution: value)])
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 0) }
}
