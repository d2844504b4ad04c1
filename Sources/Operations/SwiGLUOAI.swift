import ComputeGraph
import RealModule
import Tensors

/// The gated activation of gpt-oss: both inputs stay within a limit, the gate falls off faster, and the content counts at
/// least once.
///
/// `y[i] = g / (1 + exp(-α·g)) · (u + 1)`, `g = min(g[i], limit)`, `u = min(max(u[i], -limit), limit)`. g, u, y F32 `[F,T]`.
/// Numerics: the C library's exponential, in Float. Source: ggml `ggml_compute_forward_swiglu_oai_f32`.
public struct SwiGLUOAI: GatedActivation {
    public static let kind = "SWIGLU_OAI"
    public static let formula = "y = g/(1 + exp(-α·g)) · (u + 1), g = min(g[i], limit), u = clamp(u[i], ±limit)"
    public static let summary = "Lets the gate g decide how much of u and 1 passes; neither goes beyond a limit."
    public static let symbols = ["alpha": "α", "limit": "limit"]

    public let alpha: Float
    public let limit: Float

    public init(alpha: Float = 1.702, limit: Float = 7) { (self.alpha, self.limit) = (alpha, limit) }

    public var parameters: [(name: String, value: ParameterValue)] {
        [("alpha", .float(alpha)), ("limit", .float(limit))]
    }

    func passed(_ g: Float, _ u: Float, at i: Int, of count: Int) -> Float { opening(min(g, limit)) * (bounded(u) + 1) }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (gate, up) = terms(element, inputs, count: output.shape.ne0)
        let (g, u) = (min(gate.value, limit), bounded(up.value))
        let opening = self.opening(g)
        let value = opening * (u + 1)
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [
                // What lies beyond the limit does not matter.
                Explanation.Term(
                    slot: 0, index: gate.index, value: gate.value, coefficient: gate.value > limit ? 0 : opening,
                    contribution: 0),
                Explanation.Term(
                    slot: up.slot, index: up.index, value: up.value,
                    coefficient: abs(up.value) > limit ? 0 : opening, contribution: value),
            ],
            quantities: [("α", Double(alpha)), ("limit", Double(limit))],
            steps: [
                "\(g) / (1 + exp(\(-alpha * g))) = \(opening)", "\(opening) * (\(u) + 1) = \(value)",
            ])
    }

    private func opening(_ g: Float) -> Float { g / (1 + Float.exp(alpha * -g)) }

    private func bounded(_ u: Float) -> Float { min(max(u, -limit), limit) }
}
