import ComputeGraph
import Quantization
import Tensors

/// Writes rows into a destination at given indices: how keys and values enter the cache.
///
/// `cache[i, index[j]] = F16(x[i, j])`, rounded to nearest even. x F32 `[R, J]`, rows that may lie apart, index I64 `[J]`,
/// cache F16 `[R, C]`; the result is the cache itself. Keys are written a token's row at a time; values are stored
/// transposed, so theirs are rows of one element.
///
/// Routers write ratings of experts into a destination of -∞, for each token: x F32 `[R, J, T]`, index I32 `[J, T]`,
/// destination F32 `[R, C, T]`, of which a copy is made. Source: ggml `ggml_set_rows`.
public struct SetRows: NamedAfterSource {
    public static let kind = "SET_ROWS"
    public static let formula = "cache[i, index[j]] = F16(x[i, j])"
    public static let summary = "Writes rows at given indices: keys or values into the cache, rounded to F16."
    public static let isWrite = true

    /// ggml returns a view of the destination and names it so.
    public var suffix: String { "view" }
    public var namingSlot: Int { 2 }

    /// Whether the destination itself is changed, as the cache is; else a copy of it is.
    private let isInPlace: Bool

    public init(inPlace: Bool = true) { isInPlace = inPlace }

    private var destinationType: TensorType { isInPlace ? .f16 : .f32 }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(3, of: inputs)
        try requireFloatRows(0, of: inputs)
        let (x, index, destination) = (inputs[0], inputs[1], inputs[2])
        if isInPlace { try require(x.shape.rows == x.shape.ne1, of: inputs, "values of two dimensions") }
        try require(destination.isContiguous, of: inputs, "a contiguous destination")
        try require(destination.type == destinationType, of: inputs, "an \(destinationType) destination")
        try require(
            x.shape.ne0 == destination.shape.ne0 && index.type == (isInPlace ? .i64 : .i32)
                && index.shape == Shape(x.shape.ne1, x.shape.ne2, x.shape.ne3),
            of: inputs,
            "an index for each row, and rows of one length")
        guard !isInPlace else { return Output(destination, .inPlace(slot: 2)) }
        try require(
            x.shape.ne2 == destination.shape.ne2 && x.shape.ne3 == destination.shape.ne3, of: inputs,
            "as many planes as the destination")
        return Output(destination)
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        guard isInPlace else { return writeFloats(inputs, into: output) }
        let (x, width) = (inputs[0], inputs[0].shape.ne0)
        let encoder = ActivationEncoder(BlockFormats.activationFormat(for: .f16)!, on: workers.instructions)
        let (numbers, index) = (encoder.encode(x), inputs[1])
        // Cells are written once, so that it does not matter who comes first.
        workers.run(items: index.shape.ne0, grain: rowGrain(elementsPerRow: width)) { items in
            numbers.withElements(of: UInt16.self) { x in
                index.withRow(of: Int64.self, 0) { index in
                    output.withMutableElements(of: UInt16.self) { destination in
                        for j in items {
                            let row = Int(index[j])
                            for i in 0..<width { destination[row * width + i] = x[j * width + i] }
                        }
                    }
                }
            }
        }
    }

    private func writeFloats(_ inputs: [Tensor], into output: Tensor) {
        let (x, index, destination) = (inputs[0], inputs[1], inputs[2])
        func copy(_ from: Tensor, _ source: (Int, Int, Int), to row: Int) {
            from.withRow(of: Float.self, source.0, source.1, source.2) { values in
                output.withMutableRow(of: Float.self, row, source.1, source.2) { y in
                    for i in 0..<values.count { y[i] = values[i] }
                }
            }
        }
        for number in 0..<destination.shape.rows {
            let row = destination.shape.row(number)
            copy(destination, (row.i1, row.i2, row.i3), to: row.i1)
        }
        for number in 0..<x.shape.rows {
            let (j, i2, i3) = x.shape.row(number)
            copy(x, (j, i2, i3), to: Int(index[ElementIndex(j, i2, i3)]))
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (i2, i3) = (element.i2, element.i3)
        let written = (0..<inputs[1].shape.ne0).last { Int(inputs[1][ElementIndex($0, i2, i3)]) == element.i1 }
        guard let j = written else {
            // Not written by this node: the destination's earlier content.
            let value = inputs[2][element]
            let term = Explanation.Term(slot: 2, index: element, value: value, coefficient: 1, contribution: value)
            return Explanation(
                formula: Self.formula, rule: .copy, value: value, terms: [term],
                steps: ["row \(element.i1) is not written in this pass: it stays \(value)"])
        }
        let index = ElementIndex(element.i0, j, i2, i3)
        let x = inputs[0][index]
        let value = isInPlace ? Half.float(f16: Half.f16(x)) : x
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: index, value: x, coefficient: 1, contribution: value)],
            steps: ["index[\(j)] = \(element.i1)", isInPlace ? "F16(\(x)) = \(value)" : "\(value)"])
    }

    /// Only the written rows count.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(
            operations: 0, bytesRead: inputs[0].byteCount + inputs[1].byteCount,
            bytesWritten: inputs[0].shape.count * destinationType.blockBytes)
    }
}
