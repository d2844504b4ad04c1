import ComputeGraph
import Quantization
import Tensors

extension Tensor {
    /// Activations in the type that weights of a format are multiplied with: ggml's `vec_dot_type`.
    func converted(for format: any BlockFormat, on workers: Workers) -> Tensor {
        guard format.activationType != .f32 else { return self }
        let encoder = ActivationEncoder(
            BlockFormats.activationFormat(for: format.activationType)!, on: workers.instructions)
        let result = Tensor.unwritten(format.activationType, shape)
        workers.run(items: shape.rows, grain: rowGrain(elementsPerRow: shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = shape.row(number)
                withRow(of: Float.self, i1, i2, i3) { values in
                    result.withMutableRowBytes(i1, i2, i3) { encoder.encode(values, into: &$0) }
                }
            }
        }
        return result
    }
}

extension Tensor {
    /// Of a single token, the heads that share one on the left counted as rows of one plane: what they share is then read
    /// once for all of them.
    func withHeadsAsRows(of group: Int) -> Tensor {
        guard shape.ne1 == 1, group > 1 else { return self }
        var layout = layout
        layout.shape = Shape(shape.ne0, group, shape.ne2 / group, shape.ne3)
        layout.strides = .init(layout.strides.nb0, layout.strides.nb2, layout.strides.nb2 * group, layout.strides.nb3)
        return view(layout)
    }
}

/// One matrix product being computed: by a kernel if there is one, else by the format's own code. Both give the same bits.
///
/// A class, as threads that take rows of one of several would otherwise copy it, and count each tensor of it.
final class Product: Sendable {
    let kernel: ProductKernel?
    let format: any BlockFormat
    /// `[K, R, H/g]`
    let weights: Tensor
    /// `[K, T, H]`, in the format's activation type.
    let activations: Tensor
    let order: SummationOrder
    /// `[R, T, H]`
    let output: Tensor
    /// What the kernel wants to know of the activations beyond them, for each group of their rows; `nil` if nothing.
    private let prepared: Tensor?

    init(
        kernel: ProductKernel?, format: any BlockFormat, weights: Tensor, activations: Tensor, order: SummationOrder,
        output: Tensor, on workers: Workers
    ) {
        self.kernel = kernel
        self.format = format
        self.weights = weights
        self.activations = activations
        self.order = order
        self.output = output
        let bytes = kernel?.preparedBytes(count: weights.shape.ne0, tokens: activations.shape.ne1) ?? 0
        if let kernel, bytes > 0 {
            prepared = Self.prepare(activations, by: kernel, bytes: bytes, on: workers)
        } else {
            prepared = nil
        }
    }

    private static func prepare(
        _ activations: Tensor, by kernel: ProductKernel, bytes: Int, on workers: Workers
    ) -> Tensor {
        let shape = activations.shape
        let groups = (shape.ne1 + kernel.preparedTokens - 1) / kernel.preparedTokens
        let result = Tensor.unwritten(.f32, Shape(bytes / 4, groups, shape.ne2, shape.ne3))
        let grain = rowGrain(elementsPerRow: shape.ne0 * kernel.preparedTokens)
        workers.run(items: result.shape.rows, grain: grain) { items in
            for number in items {
                let (group, i2, i3) = result.shape.row(number)
                let first = group * kernel.preparedTokens
                let tokens = min(kernel.preparedTokens, shape.ne1 - first)
                let start = activations.offset + activations.layout.rowOffset(first, i2, i3)
                let stride = activations.layout.strides.nb1
                let span = (tokens - 1) * stride + activations.layout.rowBytes
                activations.source.withBytes(in: start..<start + span) { rows in
                    result.buffer.withMutableBytes(in: number * bytes..<(number + 1) * bytes) { output in
                        kernel.prepare(
                            rows, stride: stride, tokens: tokens, of: shape.ne1, count: shape.ne0, into: &output)
                    }
                }
            }
        }
        return result
    }

    /// Computes products with rows of one length, whose rows threads share as if they were those of one.
    static func multiply(_ products: [Product], on workers: Workers) {
        guard let first = products.first else { return }
        let rows = products.reduce(0) { $0 + $1.rowCount * $1.planes }
        let tokens = products.reduce(1) { max($0, $1.activations.shape.ne1) }
        let chunk = rowsAtATime(of: rows, tokens: tokens, bytes: first.weights.layout.rowBytes, on: workers)
        let chunks = products.map { ($0.rowCount + chunk - 1) / chunk }
        let items = zip(products, chunks).reduce(0) { $0 + $1.0.planes * $1.1 }
        let grain = max(1, 32768 / (chunk * first.weights.shape.ne0 * tokens))
        workers.run(items: items, grain: grain) { taken in
            var start = 0
            for index in products.indices {
                for plane in 0..<products[index].planes {
                    let own = taken.clamped(to: start..<start + chunks[index])
                    if !own.isEmpty {
                        let (first, end) = ((own.lowerBound - start) * chunk, (own.upperBound - start) * chunk)
                        products[index].multiply(rows: first..<min(end, products[index].rowCount), plane: plane)
                    }
                    start += chunks[index]
                }
            }
        }
    }

    private var rowCount: Int { weights.shape.ne1 }
    private var planes: Int { output.shape.ne2 * output.shape.ne3 }

    /// Rows that a thread takes at a time: whole tiles, of which kernels have at most sixteen rows; few enough to stay in the
    /// first-level cache while all tokens pass over them, and for threads to end at about the same time.
    private static func rowsAtATime(of rows: Int, tokens: Int, bytes: Int, on workers: Workers) -> Int {
        let tile = tokens > 1 ? 16 : 8
        return max(tile, min(24576 / max(1, bytes), rows / (8 * workers.count)) / tile * tile)
    }

    /// The products of some rows of W with all tokens of one plane.
    func multiply(rows: Range<Int>, plane: Int) {
        let (i2, i3) = (plane % output.shape.ne2, plane / output.shape.ne2)
        let groups = (output.shape.ne2 / weights.shape.ne2, output.shape.ne3 / weights.shape.ne3)
        let first = weights.offset + weights.layout.rowOffset(rows.lowerBound, i2 / groups.0, i3 / groups.1)
        let span = (rows.count - 1) * weights.layout.strides.nb1 + weights.layout.rowBytes
        weights.source.withBytes(in: first..<first + span) { bytes in
            if let kernel {
                multiply(bytes, rows, i2, i3, by: kernel)
            } else {
                for token in 0..<activations.shape.ne1 { multiply(bytes, rows, token, i2, i3) }
            }
        }
    }

    private func multiply(_ bytes: RawSpan, _ rows: Range<Int>, _ i2: Int, _ i3: Int, by kernel: ProductKernel) {
        let tokens = activations.shape.ne1
        let sizes = ProductKernel.Sizes(
            rows: rows.count, tokens: tokens, count: weights.shape.ne0, weightStride: weights.layout.strides.nb1,
            activationStride: activations.layout.strides.nb1, outputStride: output.layout.strides.nb1 / 4,
            order: order)
        let a = activations.offset + activations.layout.rowOffset(0, i2, i3)
        let aEnd = a + (tokens - 1) * sizes.activationStride + activations.layout.rowBytes
        let y = output.offset + output.layout.rowOffset(0, i2, i3) + rows.lowerBound * 4
        let yEnd = y + ((tokens - 1) * sizes.outputStride + rows.count) * 4
        activations.source.withBytes(in: a..<aEnd) { activations in
            withPrepared(i2, i3) { prepared in
                output.buffer.withMutableElements(of: Float.self, in: y..<yEnd) { output in
                    kernel.multiply(bytes, activations, prepared: prepared, sizes, into: &output)
                }
            }
        }
    }

    private func withPrepared(_ i2: Int, _ i3: Int, _ body: (RawSpan) -> Void) {
        guard let prepared else { return body([UInt8]().span.bytes) }
        let start = prepared.layout.rowOffset(0, i2, i3)
        prepared.source.withBytes(in: start..<start + prepared.layout.strides.nb1 * prepared.shape.ne1, body)
    }

    private func multiply(_ bytes: RawSpan, _ rows: Range<Int>, _ token: Int, _ i2: Int, _ i3: Int) {
        let a = activations.offset + activations.layout.rowOffset(token, i2, i3)
        let y = output.offset + output.layout.rowOffset(token, i2, i3) + rows.lowerBound * 4
        activations.source.withBytes(in: a..<a + activations.layout.rowBytes) { row in
            output.buffer.withMutableElements(of: Float.self, in: y..<y + rows.count * 4) { out in
                format.dotRows(
                    bytes, stride: weights.layout.strides.nb1, row, count: weights.shape.ne0, order: order, into: &out)
            }
        }
    }
}
