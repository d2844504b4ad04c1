import ComputeGraph
import RealModule
import Tensors

/// The gated activation of the feed-forward network.
///
/// `y[i] = silu(g[i]) · u[i]`, `silu(g) = g / (1 + exp(-g))`. g, u, y F32 `[F, T]`.
/// Numerics: ggml's vector exponential for whole groups of sixteen, the C library's for what is left of a row.
/// Source: ggml `ggml_vec_swiglu_f32`; Shazeer 2020.
public struct SwiGLU: Operation {
    public static let kind = "SWIGLU"
    public static let formula = "y[i] = g[i] / (1 + exp(-g[i])) · u[i]"
    public static let summary = "Lets the gate g decide how much of u passes."

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        for slot in 0..<2 { try requireFloatRows(slot, of: inputs) }
        try require(inputs[0].shape == inputs[1].shape, of: inputs, "gate and up of one shape")
        return Output(Layout(.f32, inputs[0].shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (gate, up) = (inputs[0], inputs[1])
        // Split within rows too: a row is long, and decoding has only one.
        let piece = 512
        let pieces = (gate.shape.ne0 + piece - 1) / piece
        let kernels = RowKernels(on: workers)
        workers.run(items: gate.shape.rows * pieces, grain: 8) { items in
            for item in items {
                let (i1, i2, i3) = gate.shape.row(item / pieces)
                let start = item % pieces * piece
                let end = min(start + piece, gate.shape.ne0)
                gate.withRow(of: Float.self, i1, i2, i3) { g in
                    up.withRow(of: Float.self, i1, i2, i3) { u in
                        let y = output.layout.rowOffset(i1, i2, i3) + start * 4
                        output.buffer.withMutableElements(of: Float.self, in: y..<y + (end - start) * 4) { y in
                            let done = kernels.swiglu(g.extracting(start..<end), u.extracting(start..<end), into: &y)
                            for i in start + done..<end { y[i - start] = Self.silu(g[i], at: i, of: g.count) * u[i] }
                        }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (g, u) = (inputs[0][element], inputs[1][element])
        let silu = Self.silu(g, at: element.i0, of: inputs[0].shape.ne0)
        let value = silu * u
        return Explanation(
            formula: Self.formula, rule: .function, value: value,
            terms: [
                Explanation.Term(slot: 0, index: element, value: g, coefficient: silu, contribution: 0),
                Explanation.Term(slot: 1, index: element, value: u, coefficient: silu, contribution: value),
            ],
            quantities: [("silu(g)", Double(silu))],
            steps: [
                "silu(g) = \(g) / (1 + exp(\(-g))) = \(silu)", "\(silu) * \(bracketed(u)) = \(value)",
            ])
    }

    /// Negate, exponential (counted as one), add, divide, multiply.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 5) }

    @inline(__always)
    static func silu(_ g: Float, at i: Int, of count: Int) -> Float {
        let isInGroup = i < count / vectorLanes * vectorLanes
        return g / (1 + (isInGroup ? vectorExponential(-g) : Float.exp(-g)))
    }
}
