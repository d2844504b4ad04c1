import ComputeGraph
import RealModule
import Tensors

/// GELU as ggml looks it up: x rounded to F16, and the value of that rounded to F16 again.
///
/// `gelu(x) = x / 2 · (1 + tanh(√(2/π) · x · (1 + 0.044715 x²)))`; 0 up to -10, x from 10 on.
/// Source: ggml `ggml_vec_gelu_f32`, `ggml_gelu_f32`; Hendrycks and Gimpel 2016.
enum GELUTable {
    /// Of each F16, by its bits.
    private static let values: [Float] = (0...UInt16.max).map { bits in
        let x = Half.float(f16: bits)
        let inner = Float(0.79788456080286535587989211986876) * x * (1 + 0.044715 * x * x)
        return Half.float(f16: Half.f16(0.5 * x * (1 + Float.tanh(inner))))
    }

    static func gelu(_ x: Float) -> Float {
        if x <= -10 { return 0 }
        if x >= 10 { return x }
        return values[Int(Half.f16(x))]
    }
}

/// The activation of a feed-forward network without a gate.
///
/// `y[i] = gelu(x[i])`. x, y F32 of one shape. Numerics: a table of F16 values, as ggml has it.
/// Source: ggml `ggml_vec_gelu_f32`.
public struct GELU: ElementwiseOperation {
    public static let kind = "GELU"
    public static let formula = "y[i] = x[i]/2 · (1 + tanh(√(2/π)·(x[i] + 0.044715·x[i]³)))"
    public static let summary = "Lets large values pass and holds negative ones back."

    public init() {}

    func value(of x: Float, at i: Int, of count: Int) -> Float { GELUTable.gelu(x) }
    func filledIn(_ x: Float) -> String { "gelu(\(x))" }
    func coefficient(of x: Float) -> Float { x == 0 ? 0.5 : GELUTable.gelu(x) / x }
    /// Two cubes, a product, a sum, a tanh (counted as one), a sum, two products.
    var operationsPerElement: Int { 8 }
}

/// The gated activation of Gemma's feed-forward network.
///
/// `y[i] = gelu(g[i]) · u[i]`. g, u, y F32 `[F,T]`, or g and u in one input `[2F,T]`.
/// Numerics: gelu by a table of F16 values, as ggml has it; without it values are off by about 5e-4.
/// Source: ggml `ggml_vec_geglu_f32`; Shazeer 2020.
public struct GEGLU: GatedActivation {
    public static let kind = "GEGLU"
    public static let formula = "y[i] = g[i]/2 · (1 + tanh(√(2/π)·(g[i] + 0.044715·g[i]³))) · u[i]"
    public static let summary = "Lets the gate g, bent by gelu, decide how much of u passes."

    public init() {}

    func passed(_ g: Float, _ u: Float, at i: Int, of count: Int) -> Float { GELUTable.gelu(g) * u }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (gate, up) = terms(element, inputs, count: output.shape.ne0)
        let gelu = GELUTable.gelu(gate.value)
        let value = gelu * up.value
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [
                Explanation.Term(slot: 0, index: gate.index, value: gate.value, coefficient: gelu, contribution: 0),
                Explanation.Term(
                    slot: up.slot, index: up.index, value: up.value, coefficient: gelu, contribution: value),
            ],
            quantities: [("gelu(g)", Double(gelu))],
            steps: ["gelu(\(gate.value)) = \(gelu)", "\(gelu) * \(bracketed(up.value)) = \(value)"])
    }
}
