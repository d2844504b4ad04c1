import ComputeGraph
import RealModule
import Tensors

/// The gated activation of the feed-forward network.
///
/// `y[i] = silu(g[i]) · u[i]`, `silu(g) = g / (1 + exp(-g))`. g, u, y F32 `[F,T]`, or g and u in one input `[2F,T]`.
/// Numerics: ggml's vector exponential for whole groups of sixteen, the C library's for what is left of a row.
/// Source: ggml `ggml_vec_swiglu_f32`; Shazeer 2020.
public struct SwiGLU: GatedActivation {
    public static let kind = "SWIGLU"
    public static let formula = "y[i] = g[i] / (1 + exp(-g[i])) · u[i]"
    public static let summary = "Lets the gate g decide how much of u passes."

    public init() {}

    func passed(_ g: Float, _ u: Float, at i: Int, of count: Int) -> Float { Self.silu(g, at: i, of: count) * u }

    func begin(_ g: Span<Float>, _ u: Span<Float>, into y: inout MutableSpan<Float>, _ kernels: RowKernels) -> Int {
        kernels.swiglu(g, u, into: &y)
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (gate, up) = terms(element, inputs, count: output.shape.ne0)
        let silu = Self.silu(gate.value, at: element.i0, of: output.shape.ne0)
        let value = silu * up.value
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [
                Explanation.Term(slot: 0, index: gate.index, value: gate.value, coefficient: silu, contribution: 0),
                Explanation.Term(
                    slot: up.slot, index: up.index, value: up.value, coefficient: silu, contribution: value),
            ],
            quantities: [("silu(g)", Double(silu))],
            steps: [
                "silu(g) = \(gate.value) / (1 + exp(\(-gate.value))) = \(silu)",
                "\(silu) * \(bracketed(up.value)) = \(value)",
            ])
    }

    @inline(__always)
    static func silu(_ g: Float, at i: Int, of count: Int) -> Float {
        let isInGroup = i < count / vectorLanes * vectorLanes
        return g / (1 + (isInGroup ? vectorExponential(-g) : Float.exp(-g)))
    }
}
