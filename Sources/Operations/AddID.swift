import ComputeGraph
import Tensors

/// Adds to what each chosen expert makes the bias of that expert.
///
/// `y[i,u,t] = x[i,u,t] + b[i, ids[u,t]]`. x, y F32 `[R,U,T]`, b F32 `[R,X]`, ids I32 `[U,T]`. Source: ggml `ggml_add_id`.
public struct AddID: Operation {
    public static let kind = "ADD_ID"
    public static let formula = "y[i,u,t] = x[i,u,t] + b[i, ids[u,t]]"
    public static let summary = "Adds the bias of the expert that was chosen."

    public init() {}

    public var tokenDimension: Int { 2 }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(3, of: inputs)
        for slot in 0..<2 { try requireFloatRows(slot, of: inputs) }
        let (x, b, ids) = (inputs[0].shape, inputs[1].shape, inputs[2])
        try require(x.ne0 == b.ne0, of: inputs, "rows of one length")
        try require(
            ids.type == .i32 && ids.strides.nb0 == 4 && ids.shape.ne0 == x.ne1 && ids.shape.ne1 == x.ne2, of: inputs,
            "an expert for each column")
        return Output(Layout(.f32, x))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (x, b) = (inputs[0], inputs[1])
        workers.run(items: x.shape.rows, grain: rowGrain(elementsPerRow: x.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = x.shape.row(number)
                let expert = self.expert(inputs[2], i1, i2)
                x.withRow(of: Float.self, i1, i2, i3) { x in
                    b.withRow(of: Float.self, expert) { b in
                        output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                            for i in 0..<x.count { y[i] = x[i] + b[i] }
                        }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let bias = ElementIndex(element.i0, expert(inputs[2], element.i1, element.i2))
        let terms = [(0, element), (1, bias)].map { slot, index in
            let value = inputs[slot][index]
            return Explanation.Term(slot: slot, index: index, value: value, coefficient: 1, contribution: value)
        }
        let (a, b) = (terms[0].value, terms[1].value)
        return Explanation(
            formula: Self.formula, rule: .sum, value: a + b, terms: terms, quantities: [("expert", Double(bias.i1))],
            steps: ["\(a) + \(bracketed(b)) = \(a + b)"])
    }

    /// One operation an element; of the biases, those that are added.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(
            operations: output.shape.count, bytesRead: 2 * output.byteCount + inputs[2].byteCount,
            bytesWritten: output.byteCount)
    }

    private func expert(_ ids: Tensor, _ u: Int, _ token: Int) -> Int {
        ids.withRow(of: Int32.self, token) { Int($0[u]) }
    }
}
