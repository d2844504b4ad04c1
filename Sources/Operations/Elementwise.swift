import ComputeGraph
import RealModule
import Tensors

/// A function of each element by itself. x, y F32 of one shape.
protocol ElementwiseOperation: Operation {
    /// The function at index `i` of a row of `count`: groups of vector code may round otherwise than what is left over.
    func value(of x: Float, at i: Int, of count: Int) -> Float
    /// The formula with an element's numbers filled in, up to the equals sign.
    func filledIn(_ x: Float) -> String
    /// What the element is multiplied by where that is a number of its own; else 0.
    func coefficient(of x: Float) -> Float
    var operationsPerElement: Int { get }
}

extension ElementwiseOperation {
    func coefficient(of x: Float) -> Float { 0 }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try requireFloatRows(0, of: inputs)
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let input = inputs[0]
        let grain = rowGrain(elementsPerRow: operationsPerElement * input.shape.ne0)
        workers.run(items: input.shape.rows, grain: grain) { rows in
            for number in rows {
                let (i1, i2, i3) = input.shape.row(number)
                input.withRow(of: Float.self, i1, i2, i3) { x in
                    output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                        for i in 0..<x.count { y[i] = value(of: x[i], at: i, of: x.count) }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let x = inputs[0][element]
        let value = value(of: x, at: element.i0, of: inputs[0].shape.ne0)
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [
                Explanation.Term(
                    slot: 0, index: element, value: x, coefficient: coefficient(of: x), contribution: value)
            ],
            steps: ["\(filledIn(x)) = \(value)"])
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost {
        elementwiseCost(inputs, output, perElement: operationsPerElement)
    }
}

/// Keeps each element within bounds: the sum that weights are divided by away from 0.
///
/// `y[i] = max(min(x[i], high), low)`. Source: ggml `ggml_clamp`.
public struct Clamp: ElementwiseOperation {
    public static let kind = "CLAMP"
    public static let formula = "y[i] = max(min(x[i], high), low)"
    public static let summary = "Keeps numbers within bounds."
    public static let symbols = ["min": "low", "max": "high"]

    public let low: Float
    /// May be infinite.
    public let high: Float

    public init(low: Float, high: Float = .infinity) { (self.low, self.high) = (low, high) }

    public var parameters: [(name: String, value: ParameterValue)] {
        [("min", .float(low))] + (high.isFinite ? [("max", .float(high))] : [])
    }

    func value(of x: Float, at i: Int, of count: Int) -> Float { max(min(x, high), low) }
    func filledIn(_ x: Float) -> String { "max(min(\(x), \(high)), \(low))" }
    func coefficient(of x: Float) -> Float { (low...high).contains(x) ? 1 : 0 }
    /// Two comparisons.
    var operationsPerElement: Int { 2 }
}

/// The activation without a gate: qwen2moe divides it by its argument, which leaves a sigmoid.
///
/// `y[i] = x[i] / (1 + exp(-x[i]))`. Numerics: as `SwiGLU`. Source: ggml `ggml_vec_silu_f32`; Hendrycks and Gimpel 2016.
public struct Silu: ElementwiseOperation {
    public static let kind = "SILU"
    public static let formula = "y[i] = x[i] / (1 + exp(-x[i]))"
    public static let summary = "Lets large numbers pass and bends others towards 0."

    public init() {}

    func value(of x: Float, at i: Int, of count: Int) -> Float { SwiGLU.silu(x, at: i, of: count) }
    func filledIn(_ x: Float) -> String { "\(x) / (1 + exp(\(-x)))" }
    func coefficient(of x: Float) -> Float { 1 }
    /// Negate, exponential (counted as one), add, divide.
    var operationsPerElement: Int { 4 }
}

/// A number between 0 and 1: DeepSeek V3's experts are rated one by one, not against each other.
///
/// `y[i] = 1 / (1 + exp(-x[i]))`. Numerics: the C library's exponential. Source: ggml `op_sigmoid`.
public struct Sigmoid: ElementwiseOperation {
    public static let kind = "SIGMOID"
    public static let formula = "y[i] = 1 / (1 + exp(-x[i]))"
    public static let summary = "Bends any number into one between 0 and 1."

    public init() {}

    func value(of x: Float, at i: Int, of count: Int) -> Float { 1 / (1 + Float.exp(-x)) }
    func filledIn(_ x: Float) -> String { "1 / (1 + exp(\(-x)))" }
    func coefficient(of x: Float) -> Float { 1 }
    /// Negate, exponential (counted as one), add, divide.
    var operationsPerElement: Int { 4 }
}

/// One number everywhere: -∞ for the experts of groups that were not chosen.
///
/// `y[i] = c`. The input gives the shape only. Source: ggml `ggml_fill`.
public struct Fill: Operation {
    public static let kind = "FILL"
    public static let formula = "y[i] = c"
    public static let summary = "Writes one number everywhere, in the shape of its input."

    public let number: Float

    public init(with number: Float) { self.number = number }

    /// JSON has no infinity.
    public var parameters: [(name: String, value: ParameterValue)] {
        [("c", number.isFinite ? .float(number) : .text("\(number)"))]
    }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try require(inputs[0].type == .f32, of: inputs, "an F32 input")
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        output.withMutableElements(of: Float.self) { y in for i in 0..<y.count { y[i] = number } }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        Explanation(
            formula: Self.formula, rule: .function, value: number, terms: [], quantities: [("c", Double(number))])
    }

    /// Only written.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(operations: 0, bytesRead: 0, bytesWritten: output.byteCount)
    }
}
