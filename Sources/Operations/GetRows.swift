import ComputeGraph
import Quantization
import Tensors

/// Picks rows by index: token embeddings, and the last token's column in the last layer.
///
/// `y[i, t] = W[i, index[t]]`, decoded to F32. W `[E, V]` of any format, index I32 `[T]`, y F32 `[E, T]`. There may be a
/// table for each column of indices: W `[E, V, B, C]`, index `[T, B, C]`, y `[E, T, B, C]`, as of the experts that each
/// token chose.
/// Source: ggml `ggml_get_rows`.
public struct GetRows: Operation {
    public static let kind = "GET_ROWS"
    public static let formula = "y[i,t] = W[i, index[t]]"
    public static let summary =
        "Picks rows of a table by index: tokens' embeddings, tokens whose logits are wanted, chosen experts' weights."

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        let (table, indices) = (inputs[0], inputs[1])
        try require(
            indices.type == .i32 && indices.strides.nb0 == 4 && indices.shape.ne3 == 1, of: inputs,
            "indices to be I32 [T]")
        try require(
            table.shape.ne2 == indices.shape.ne1 && table.shape.ne3 == indices.shape.ne2, of: inputs,
            "a table for each column of indices")
        try require(BlockFormats.format(for: table.type) != nil, of: inputs, "a table of a format that can be decoded")
        return Output(Layout(.f32, Shape(table.shape.ne0, indices.shape.ne0, table.shape.ne2, table.shape.ne3)))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (table, indices) = (inputs[0], inputs[1])
        for number in 0..<output.shape.rows {
            let (t, i2, i3) = output.shape.row(number)
            let row = rowIndex(indices, t, i2, i3, in: table)
            output.withMutableRow(of: Float.self, t, i2, i3) { table.decodeRow(row, i2, i3, into: &$0) }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let row = rowIndex(inputs[1], element.i1, element.i2, element.i3, in: inputs[0])
        let value = inputs[0].decodedRow(row, element.i2, element.i3)[element.i0]
        let batch = inputs[0].shape.ne2 * inputs[0].shape.ne3 > 1 ? ",\(element.i2),\(element.i3)" : ""
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [
                Explanation.Term(
                    slot: 0, index: ElementIndex(element.i0, row, element.i2, element.i3), value: value, coefficient: 1,
                    contribution: value)
            ],
            steps: ["index[\(element.i1)\(batch)] = \(row)", "W[\(element.i0),\(row)\(batch)] = \(value)"])
    }

    /// Only the picked rows are read.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        let rows = inputs[1].shape.count
        return Cost(
            operations: 0, bytesRead: rows * inputs[0].rowBytes + inputs[1].byteCount, bytesWritten: output.byteCount)
    }

    private func rowIndex(_ indices: Tensor, _ t: Int, _ i2: Int, _ i3: Int, in table: Tensor) -> Int {
        let row = indices.withRow(of: Int32.self, i2, i3) { Int($0[t]) }
        precondition(row >= 0 && row < table.shape.ne1, "row \(row) of a table of \(table.shape.ne1)")
        return row
    }
}
