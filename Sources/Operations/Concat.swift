import ComputeGraph
import Tensors

/// Two rows as one: the part of a head that is rotated behind the part that is not.
///
/// `y = a[0], …, a[A-1], b[0], …, b[B-1]` of each row. a F32 `[A, H, T]`, b F32 `[B, H, T]`, y F32 `[A+B, H, T]`.
/// Source: ggml `ggml_concat`, dimension 0.
public struct Concat: Operation {
    public static let kind = "CONCAT"
    public static let formula = "y[i] = a[i] for i < A, b[i-A] from there on"
    public static let summary = "Puts the rows of two tensors behind one another."

    public let tokenDimension = 2

    public init() {}

    public var parameters: [(name: String, value: ParameterValue)] { [("dim", .int(0))] }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        for slot in 0..<2 { try requireFloatRows(slot, of: inputs) }
        var (shape, other) = (inputs[0].shape, inputs[1].shape)
        let width = shape.ne0 + other.ne0
        (shape.ne0, other.ne0) = (width, width)
        try require(shape == other, of: inputs, "as many rows of each")
        return Output(Layout(.f32, shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (a, b) = (inputs[0], inputs[1])
        workers.run(items: output.shape.rows, grain: rowGrain(elementsPerRow: output.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = output.shape.row(number)
                output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                    a.withRow(of: Float.self, i1, i2, i3) { for i in 0..<$0.count { y[i] = $0[i] } }
                    b.withRow(of: Float.self, i1, i2, i3) { for i in 0..<$0.count { y[a.shape.ne0 + i] = $0[i] } }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let width = inputs[0].shape.ne0
        let slot = element.i0 < width ? 0 : 1
        var source = element
        source.i0 -= slot * width
        let value = inputs[slot][source]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: slot, index: source, value: value, coefficient: 1, contribution: value)],
            quantities: [("A", Double(width))])
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 0) }
}

/// The same values again until a larger shape is full: one rotated key for all heads.
///
/// `y[i, h, t] = x[i mod X, h mod K, t mod S]`. x, y F32. Source: ggml `ggml_repeat_4d`.
public struct Repeat: Operation {
    public static let kind = "REPEAT"
    public static let formula = "y[i,h,t] = x[i mod X, h mod K, t mod S]"
    public static let summary = "Copies a tensor as often as it takes to fill a larger shape."

    public let tokenDimension = 2
    public let shape: Shape

    public init(to shape: Shape) { self.shape = shape }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        try require(inputs[0].shape.repeats(into: shape), of: inputs, "a shape that fills \(shape) when repeated")
        return Output(Layout(.f32, shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0]
        workers.run(items: shape.rows, grain: rowGrain(elementsPerRow: shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = shape.row(number)
                let from = x.shape.wrapped(ElementIndex(0, i1, i2, i3))
                x.withRow(of: Float.self, from.i1, from.i2, from.i3) { x in
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<y.count { y[i] = x[i % x.count] }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let source = inputs[0].shape.wrapped(element)
        let value = inputs[0][source]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: source, value: value, coefficient: 1, contribution: value)])
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 0) }
}
