import ComputeGraph
import Tensors

/// The activation of a gated feed-forward network: a gate g decides how much of the content u passes.
///
/// g, u, y F32 `[F,T]`; or one input `[2F,T]`, each row of it g and then u.
protocol GatedActivation: Operation {
    /// One hidden unit, the i-th of `count` in its row.
    func passed(_ g: Float, _ u: Float, at i: Int, of count: Int) -> Float

    /// Begins a piece of a row; how many values were done.
    func begin(_ g: Span<Float>, _ u: Span<Float>, into y: inout MutableSpan<Float>, _ kernels: RowKernels) -> Int
}

extension GatedActivation {
    func begin(_ g: Span<Float>, _ u: Span<Float>, into y: inout MutableSpan<Float>, _ kernels: RowKernels) -> Int { 0 }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try require(inputs.count == 1 || inputs.count == 2, of: inputs, "gate and up, in one input or two")
        for slot in inputs.indices { try requireFloatRows(slot, of: inputs) }
        guard inputs.count == 1 else {
            try require(inputs[0].shape == inputs[1].shape, of: inputs, "gate and up of one shape")
            return Output(Layout(.f32, inputs[0].shape))
        }
        let shape = inputs[0].shape
        try require(shape.ne0 % 2 == 0, of: inputs, "rows of gate and up, an even number of values")
        return Output(Layout(.f32, Shape(shape.ne0 / 2, shape.ne1, shape.ne2, shape.ne3)))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (gate, up) = (inputs[0], inputs.last!)
        let (count, shift) = (output.shape.ne0, inputs.count == 1 ? output.shape.ne0 : 0)
        // Split within rows too: a row is long, and decoding has only one.
        let piece = 512
        let pieces = (count + piece - 1) / piece
        let kernels = RowKernels(on: workers)
        workers.run(items: output.shape.rows * pieces, grain: 8) { items in
            for item in items {
                let (i1, i2, i3) = output.shape.row(item / pieces)
                let start = item % pieces * piece
                let end = min(start + piece, count)
                gate.withRow(of: Float.self, i1, i2, i3) { g in
                    up.withRow(of: Float.self, i1, i2, i3) { u in
                        let y = output.layout.rowOffset(i1, i2, i3) + start * 4
                        output.buffer.withMutableElements(of: Float.self, in: y..<y + (end - start) * 4) { y in
                            let done = begin(
                                g.extracting(start..<end), u.extracting(shift + start..<shift + end), into: &y, kernels)
                            for i in start + done..<end { y[i - start] = passed(g[i], u[shift + i], at: i, of: count) }
                        }
                    }
                }
            }
        }
    }

    /// Negate, exponential or its like (counted as one), add, divide, multiply.
    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 5) }

    /// Gate and content of an element.
    func terms(
        _ element: ElementIndex, _ inputs: [Tensor], count: Int
    ) -> (gate: (index: ElementIndex, value: Float), up: (slot: Int, index: ElementIndex, value: Float)) {
        var content = element
        if inputs.count == 1 { content.i0 += count }
        let slot = inputs.count - 1
        return ((element, inputs[0][element]), (slot, content, inputs[slot][content]))
    }
}
