import ComputeGraph
import Tensors

/// Element by element, the second input repeated over the first.
///
/// Shared by `MUL`, `DIV` and `ADD`: a, y F32 of one shape, b F32 of a shape that fills it when repeated.
protocol BinaryOperation: Operation {
    func combine(_ a: Float, _ b: Float) -> Float
}

extension BinaryOperation {
    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        for slot in 0..<2 { try requireFloatRows(slot, of: inputs) }
        try require(
            inputs[1].shape.repeats(into: inputs[0].shape), of: inputs,
            "the second shape to fill the first when repeated")
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (a, b) = (inputs[0], inputs[1])
        workers.run(items: a.shape.rows, grain: rowGrain(elementsPerRow: a.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = a.shape.row(number)
                a.withRow(of: Float.self, i1, i2, i3) { x in
                    b.withRow(of: Float.self, i1 % b.shape.ne1, i2 % b.shape.ne2, i3 % b.shape.ne3) { w in
                        output.withMutableRow(of: Float.self, i1, i2, i3) { y in combine(x, w, &y) }
                    }
                }
            }
        }
    }

    /// One operation an element.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 1) }

    private func combine(_ x: Span<Float>, _ w: Span<Float>, _ y: inout MutableSpan<Float>) {
        if w.count == x.count {
            for i in 0..<x.count { y[i] = combine(x[i], w[i]) }
        } else {
            for i in 0..<x.count { y[i] = combine(x[i], w[i % w.count]) }
        }
    }
}

/// Element-wise product: the learned weight of a norm.
///
/// `y[i] = x[i] * w[i]`, w repeated over the tokens. Source: ggml `ggml_mul`.
public struct Mul: BinaryOperation {
    public static let kind = "MUL"
    public static let formula = "y[i] = x[i] · w[i]"
    public static let summary = "Multiplies each channel by a learned weight."

    public init() {}

    func combine(_ a: Float, _ b: Float) -> Float { a * b }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let x = inputs[0][element]
        let w = inputs[1][inputs[1].shape.wrapped(element)]
        return Explanation(
            formula: Self.formula, rule: .sum, value: x * w,
            terms: [Explanation.Term(slot: 0, index: element, value: x, coefficient: w, contribution: x * w)],
            quantities: [("w[i]", Double(w))], steps: ["\(x) * \(bracketed(w)) = \(x * w)"])
    }
}

/// Element-wise quotient: the weights of a token's experts by their sum.
///
/// `y[i] = x[i] / d[i]`, d repeated where it is smaller. Source: ggml `ggml_div`.
public struct Div: BinaryOperation {
    public static let kind = "DIV"
    public static let formula = "y[i] = x[i] / d[i]"
    public static let summary = "Divides one tensor by another: the weights of a token's experts by their sum."

    public init() {}

    func combine(_ a: Float, _ b: Float) -> Float { a / b }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let x = inputs[0][element]
        let d = inputs[1][inputs[1].shape.wrapped(element)]
        return Explanation(
            formula: Self.formula, rule: .sum, value: x / d,
            terms: [Explanation.Term(slot: 0, index: element, value: x, coefficient: 1 / d, contribution: x / d)],
            quantities: [("d[i]", Double(d))], steps: ["\(x) / \(bracketed(d)) = \(x / d)"])
    }
}

/// Element-wise sum: residual connections and biases.
///
/// `y[i] = a[i] + b[i]`, b repeated where it is smaller. Source: ggml `ggml_add`.
public struct Add: BinaryOperation {
    public static let kind = "ADD"
    public static let formula = "y[i] = a[i] + b[i]"
    public static let summary =
        "Adds two tensors: how a layer writes into the residual stream, and how a bias is added."

    public init() {}

    func combine(_ a: Float, _ b: Float) -> Float { a + b }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let indices = [element, inputs[1].shape.wrapped(element)]
        let terms = zip(0..., indices).map { slot, index in
            let value = inputs[slot][index]
            return Explanation.Term(slot: slot, index: index, value: value, coefficient: 1, contribution: value)
        }
        let (a, b) = (terms[0].value, terms[1].value)
        return Explanation(
            formula: Self.formula, rule: .sum, value: a + b, terms: terms,
            steps: ["\(a) + \(bracketed(b)) = \(a + b)"])
    }
}
