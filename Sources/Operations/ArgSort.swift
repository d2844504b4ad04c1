import ComputeGraph
import Tensors

/// The indices of each row's values, largest first: a router's experts in order of preference.
///
/// `y[k, t]` is the i for which `x[i, t]` is the k-th largest. x F32 `[X, T]`, y I32 `[X, T]`. Of equal values the first
/// comes first, as in ggml for rows of up to sixteen; in longer rows ggml leaves their order open.
/// Source: ggml `ggml_compute_forward_argsort_f32`, order DESC.
public struct ArgSort: Operation {
    public static let kind = "ARGSORT"
    public static let formula = "y[k] = the i of the k-th largest x[i]"
    public static let summary = "The indices of a row's values, largest first: which experts come first for a token."

    public init() {}

    /// ggml's number for descending order.
    public var parameters: [(name: String, value: ParameterValue)] { [("order", .int(1))] }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        return Output(Layout(.i32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0]
        for number in 0..<x.shape.rows {
            let (i1, i2, i3) = x.shape.row(number)
            let order = x.withRow(of: Float.self, i1, i2, i3, Self.order)
            output.withMutableRow(of: Int32.self, i1, i2, i3) { y in
                for k in 0..<y.count { y[k] = Int32(order[k]) }
            }
        }
    }

    private static func order(of x: Span<Float>) -> [Int] {
        (0..<x.count).sorted { x[$0] == x[$1] ? $0 < $1 : x[$0] > x[$1] }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let row = inputs[0].withRow(of: Float.self, element.i1, element.i2, element.i3) { x in x.indices.map { x[$0] } }
        let order = Self.order(of: row.span)
        let terms = row.indices.map { i in
            Explanation.Term(
                slot: 0, index: ElementIndex(i, element.i1, element.i2, element.i3), value: row[i], coefficient: 0,
                contribution: 0)
        }
        let shown = order.prefix(element.i0 + 2).map { "x[\($0)] = \(row[$0])" }.joined(separator: " > ")
        return Explanation(
            formula: Self.formula, rule: .function, value: Float(order[element.i0]), terms: terms,
            steps: [
                shown + (order.count > element.i0 + 2 ? " > …" : ""), "rank \(element.i0): i = \(order[element.i0])",
            ])
    }

    /// As many comparisons as values, times the logarithm of a row's length.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        let width = max(2, inputs[0].shape.ne0)
        return elementwiseCost(inputs, output, perElement: Int.bitWidth - (width - 1).leadingZeroBitCount)
    }
}
