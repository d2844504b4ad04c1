import ComputeGraph
import Operations
import Quantization
import Tensors

/// A matrix product in F32, whatever the weights are stored in: what a real product is held against.
///
/// Weights are decoded to F32, activations are taken as they are or rounded to a type and back, and the product is that of
/// `MatMul` on F32. Shapes and units as there.
public struct FloatProduct: Operation {
    public static let kind = MatMul.kind
    public static let formula = MatMul.formula
    public static let summary = MatMul.summary

    /// The type that activations are rounded to before, as the engine does for weights of some format; `nil`: not at all.
    public let rounding: TensorType?

    private static let product = MatMul()
    /// Rows of weights decoded at a time: a whole number of tiles, small enough that no model is decoded as a whole.
    private static let slab = 1024

    public init(rounding: TensorType?) { self.rounding = rounding == .f32 ? nil : rounding }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output { try Self.product.output(for: inputs) }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (w, x) = (inputs[0], rounded(inputs[1], on: workers))
        if w.type == .f32 { return Self.product.evaluate([w, x], into: output, on: workers) }
        precondition(w.shape.ne2 == 1 && w.shape.ne3 == 1, "a weight of shape \(w.shape)")
        // In slabs of another size, the order of sums could change between them.
        let slab = w.shape.ne1 % 4 == 0 ? Self.slab : w.shape.ne1
        for start in stride(from: 0, to: w.shape.ne1, by: slab) {
            let rows = start..<min(start + slab, w.shape.ne1)
            let part = Layout(
                type: .f32, shape: Shape(rows.count, output.shape.ne1), strides: output.layout.strides)
            Self.product.evaluate(
                [decoded(w, rows, on: workers), x], into: output.view(part, at: start * 4), on: workers)
        }
    }

    private func decoded(_ w: Tensor, _ rows: Range<Int>, on workers: Workers) -> Tensor {
        let result = Tensor.zeros(.f32, Shape(w.shape.ne0, rows.count))
        workers.run(items: rows.count, grain: max(1, 8192 / w.shape.ne0)) { items in
            for item in items {
                result.withMutableRow(of: Float.self, item) { w.decodeRow(rows.lowerBound + item, into: &$0) }
            }
        }
        return result
    }

    /// The activations to `rounding` and back.
    private func rounded(_ x: Tensor, on workers: Workers) -> Tensor {
        guard let rounding else { return x }
        let format = BlockFormats.activationFormat(for: rounding)!
        let encoder = ActivationEncoder(format, on: workers.instructions)
        let result = Tensor.zeros(.f32, x.shape)
        workers.run(items: x.shape.rows, grain: max(1, 8192 / x.shape.ne0)) { rows in
            let row = Tensor.zeros(rounding, Shape(x.shape.ne0))
            for number in rows {
                let (i1, i2, i3) = (
                    number % x.shape.ne1, number / x.shape.ne1 % x.shape.ne2, number / (x.shape.ne1 * x.shape.ne2)
                )
                row.buffer.withMutableBytes(in: 0..<row.layout.byteCount) { bytes in
                    x.withRow(of: Float.self, i1, i2, i3) { encoder.encode($0, into: &bytes) }
                }
                row.withBytes { bytes in
                    result.withMutableRow(of: Float.self, i1, i2, i3) { format.decode(bytes, into: &$0) }
                }
            }
        }
        return result
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let workers = Workers(threads: 1)
        let w = inputs[0].type == .f32 ? inputs[0] : decoded(inputs[0], 0..<inputs[0].shape.ne1, on: workers)
        return Self.product.explain(element, inputs: [w, rounded(inputs[1], on: workers)], output: output)
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { Self.product.cost(inputs: inputs, output: output) }
}
