import ComputeGraph
import Quantization
import Tensors

/// Picks rows by index: token embeddings, and the last token's column in the last layer.
///
/// `y[i, t] = W[i, index[t]]`, decoded to F32. W `[E, V]` of any format, index I32 `[T]`, y F32 `[E, T]`.
/// Source: ggml `ggml_get_rows`.
public struct GetRows: Operation {
    public static let kind = "GET_ROWS"
    public static let formula = "y[i,t] = W[i, index[t]]"
    public static let summary =
        "Picks rows of a table by index: the embeddings of tokens, or the tokens whose logits are wanted."

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        let (table, indices) = (inputs[0], inputs[1])
        try require(indices.type == .i32 && indices.shape.rows == 1, of: inputs, "indices to be I32 [T]")
        try require(table.shape.ne2 == 1 && table.shape.ne3 == 1, of: inputs, "a table of two dimensions")
        try require(BlockFormats.format(for: table.type) != nil, of: inputs, "a table of a format that can be decoded")
        return Output(Layout(.f32, Shape(table.shape.ne0, indices.shape.ne0)))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (table, indices) = (inputs[0], inputs[1])
        for t in 0..<indices.shape.ne0 {
            let row = rowIndex(indices, t, in: table)
            output.withMutableRow(of: Float.self, t) { table.decodeRow(row, into: &$0) }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let row = rowIndex(inputs[1], element.i1, in: inputs[0])
        let value = inputs[0].decodedRow(row)[element.i0]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [
                Explanation.Term(
                    slot: 0, index: ElementIndex(element.i0, row), value: value, coefficient: 1, contribution: value)
            ],
            steps: ["index[\(element.i1)] = \(row)", "W[\(element.i0),\(row)] = \(value)"])
    }

    /// Only the picked rows are read.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        let rows = inputs[1].shape.ne0
        return Cost(
            operations: 0, bytesRead: rows * inputs[0].rowBytes + inputs[1].byteCount, bytesWritten: output.byteCount)
    }

    private func rowIndex(_ indices: Tensor, _ t: Int, in table: Tensor) -> Int {
        let row = indices.withRow(of: Int32.self, 0) { Int($0[t]) }
        precondition(row >= 0 && row < table.shape.ne1, "row \(row) of a table of \(table.shape.ne1)")
        return row
    }
}
