import ComputeGraph
import Operations
import Quantization
import Tensors

/// A matrix product in F32, whatever the weights are stored in: what a real product is held against.
///
/// Weights are decoded to F32, activations are taken as they are or rounded to a type and back, and the product is that of
/// `Product` (MUL_MAT, MUL_MAT_ID) on F32. Shapes and units as there.
public struct FloatProduct<Product: Operation>: Operation {
    public static var kind: String { Product.kind }
    public static var formula: String { Product.formula }
    public static var summary: String { Product.summary }

    /// The type that activations are rounded to before, as the engine does for weights of some format; `nil`: not at all.
    public let rounding: TensorType?

    private let product: Product
    /// Rows of weights decoded at a time: a whole number of tiles, small enough that no model is decoded as a whole.
    private var slab: Int { 1024 }

    public init(_ product: Product, rounding: TensorType?) {
        self.product = product
        self.rounding = rounding == .f32 ? nil : rounding
    }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output { try product.output(for: inputs) }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (w, x) = (inputs[0], rounded(inputs[1], on: workers))
        if w.type == .f32 { return product.evaluate([w, x] + inputs[2...], into: output, on: workers) }
        let (planes, ids) = usedPlanes(inputs)
        // In slabs of another size, the order of sums could change between them.
        let slab = w.shape.ne1 % 4 == 0 ? slab : w.shape.ne1
        for start in stride(from: 0, to: w.shape.ne1, by: slab) {
            let rows = start..<min(start + slab, w.shape.ne1)
            var part = output.layout
            part.shape.ne0 = rows.count
            product.evaluate(
                [decoded(w, rows, planes, on: workers), x] + ids, into: output.view(part, at: start * 4), on: workers)
        }
    }

    /// The planes of the weights that are needed, and which of them each slot needs: of experts, those that were chosen.
    private func usedPlanes(_ inputs: [Tensor]) -> (planes: [Int], ids: [Tensor]) {
        guard inputs.count > 2 else { return (Array(0..<inputs[0].shape.ne2 * inputs[0].shape.ne3), []) }
        let chosen = inputs[2].floats().map { Int($0) }
        let planes = Set(chosen).sorted()
        let indices = Dictionary(uniqueKeysWithValues: zip(planes, Int32(0)...))
        let ids = Tensor.zeros(.i32, inputs[2].shape)
        ids.withMutableElements(of: Int32.self) { ids in
            for (slot, plane) in chosen.enumerated() { ids[slot] = indices[plane]! }
        }
        return (planes, [ids])
    }

    /// Some rows of some planes.
    private func decoded(_ w: Tensor, _ rows: Range<Int>, _ planes: [Int], on workers: Workers) -> Tensor {
        let format = BlockFormats.format(for: w.type)!
        let all = planes.count == w.shape.ne2 * w.shape.ne3
        let shape = Shape(w.shape.ne0, rows.count, all ? w.shape.ne2 : planes.count, all ? w.shape.ne3 : 1)
        let result = Tensor.zeros(.f32, shape)
        workers.run(items: shape.rows, grain: max(1, 8192 / w.shape.ne0)) { items in
            for item in items {
                let plane = planes[item / rows.count]
                let start =
                    w.offset
                    + w.layout.rowOffset(
                        rows.lowerBound + item % rows.count, plane % w.shape.ne2, plane / w.shape.ne2)
                w.source.withBytes(in: start..<start + w.layout.rowBytes) { bytes in
                    result.buffer.withMutableElements(
                        of: Float.self, in: item * w.shape.ne0 * 4..<(item + 1) * w.shape.ne0 * 4
                    ) { format.decode(bytes, into: &$0) }
                }
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
        let w = inputs[0]
        let (planes, ids) = w.type == .f32 ? ([], Array(inputs[2...])) : usedPlanes(inputs)
        let floats = w.type == .f32 ? w : decoded(w, 0..<w.shape.ne1, planes, on: workers)
        return product.explain(element, inputs: [floats, rounded(inputs[1], on: workers)] + ids, output: output)
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { product.cost(inputs: inputs, output: output) }
}
