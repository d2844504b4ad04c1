import ComputeGraph
import Quantization
import Tensors

/// Writes rows into a destination at given indices: how keys and values enter the cache.
///
/// `cache[i, index[j]] = F16(x[i, j])`, rounded to nearest even. x F32 `[R, J]`, rows that may lie apart, index I64 `[J]`,
/// cache F16 `[R, C]`; the result is the cache itself. Keys are written a token's row at a time; values are stored
/// transposed, so theirs are rows of one element. Source: ggml `ggml_set_rows`.
public struct SetRows: NamedAfterSource {
    public static let kind = "SET_ROWS"
    public static let formula = "cache[i, index[j]] = F16(x[i, j])"
    public static let summary = "Writes keys or values into the cache, rounded to F16."
    public static let isWrite = true

    /// ggml returns a view of the destination and names it so.
    public var suffix: String { "view" }
    public var namingSlot: Int { 2 }

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(3, of: inputs)
        try requireFloatRows(0, of: inputs)
        try require(inputs[0].shape.rows == inputs[0].shape.ne1, of: inputs, "values of two dimensions")
        let (x, index, destination) = (inputs[0], inputs[1], inputs[2])
        try require(destination.isContiguous, of: inputs, "a contiguous destination")
        try require(destination.type == .f16, of: inputs, "an F16 destination")
        try require(
            x.shape.ne0 == destination.shape.ne0 && index.type == .i64 && index.shape == Shape(x.shape.ne1),
            of: inputs,
            "an index for each row, and rows of one length")
        return Output(destination, .inPlace(slot: 2))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (x, width) = (inputs[0], inputs[0].shape.ne0)
        let encoder = ActivationEncoder(BlockFormats.activationFormat(for: .f16)!, on: workers.instructions)
        encoder.encode(x).withElements(of: UInt16.self) { x in
            inputs[1].withRow(of: Int64.self, 0) { index in
                output.withMutableElements(of: UInt16.self) { destination in
                    for j in 0..<index.count {
                        let row = Int(index[j])
                        for i in 0..<width { destination[row * width + i] = x[j * width + i] }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let written = inputs[1].withRow(of: Int64.self, 0) { index in
            (0..<index.count).last { Int(index[$0]) == element.i1 }
        }
        guard let j = written else {
            // Not written by this node: the cache's earlier content.
            let value = inputs[2][element]
            let term = Explanation.Term(slot: 2, index: element, value: value, coefficient: 1, contribution: value)
            return Explanation(
                formula: Self.formula, rule: .copy, value: value, terms: [term],
                steps: ["row \(element.i1) is not written in this pass: it stays \(value)"])
        }
        let index = ElementIndex(element.i0, j)
        let x = inputs[0][index]
        let value = Half.float(f16: Half.f16(x))
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: index, value: x, coefficient: 1, contribution: value)],
            steps: ["index[\(j)] = \(element.i1)", "F16(\(x)) = \(value)"])
    }

    /// Only the written rows count.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(
            operations: 0, bytesRead: inputs[0].byteCount + inputs[1].byteCount,
            bytesWritten: inputs[0].shape.count * 2)
    }
}
