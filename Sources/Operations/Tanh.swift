import ComputeGraph
import RealModule
import Tensors

/// Hyperbolic tangent: between a division by a cap and a product with it, what keeps numbers below the cap.
///
/// `y[i] = tanh(x[i])`. x, y F32 of one shape. Numerics: the C library's, in Float. Source: ggml `ggml_vec_tanh_f32`.
public struct Tanh: ElementwiseOperation {
    public static let kind = "TANH"
    public static let formula = "y[i] = tanh(x[i])"
    public static let summary = "Bends each number smoothly, so that none is below -1 or above 1."

    public init() {}

    func value(of x: Float, at i: Int, of count: Int) -> Float { Float.tanh(x) }
    func filledIn(_ x: Float) -> String { "tanh(\(x))" }
    func coefficient(of x: Float) -> Float { x == 0 ? 1 : Float.tanh(x) / x }
    /// The function, counted as one.
    var operationsPerElement: Int { 1 }
}
