import ComputeGraph
import RealModule
import Tensors

/// Softmax over scaled, masked scores: how a query's attention is shared out over the positions.
///
/// `y[n] = exp(s·x[n] + mask[n] - M) / Σ exp(…)`, M the largest exponent. x, y F32 `[N, T, H]`; mask F32 `[N, T]`,
/// 0 or -∞, shared by all heads; without one, all of a row takes part: a router's experts. With sinks, F32 `[H]`, a head's sink
/// is one more exponent in maximum and sum, to which no position belongs: shares add up to less than 1.
/// Numerics: ggml's vector exponential; sums of sixteen in Float, their sum in Double, one Float product by its inverse.
/// Scores with a mask are padded to whole groups of sixteen; without one, what is left of a row goes through the C
/// library.
/// Source: ggml `ggml_compute_forward_soft_max_f32`.
public struct SoftMax: Operation {
    public static let kind = "SOFT_MAX"
    public static let formula = "y[n] = exp(z[n]) / Σ_m exp(z[m]), z = s·x + mask - max"
    public static let summary = "Turns scores into shares that add up to 1. In attention, positions to come are masked."
    public static let symbols = ["scale": "s"]

    /// 1 / sqrt(head size): applied here and not to the query.
    public let scale: Float
    /// The positions that the mask's window leaves visible, for whoever explains the pattern; `nil` if it has none.
    public let window: Int?

    public init(scale: Float, window: Int? = nil) { (self.scale, self.window) = (scale, window) }

    public var parameters: [(name: String, value: ParameterValue)] {
        [("scale", .float(scale)), ("max_bias", .float(0))] + (window.map { [("window", .int($0))] } ?? [])
    }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try require((1...3).contains(inputs.count), of: inputs, "scores, an optional mask and optional sinks")
        for slot in inputs.indices { try requireFloatRows(slot, of: inputs) }
        guard inputs.count > 1 else { return Output(Layout(.f32, inputs[0].shape)) }
        let (x, mask) = (inputs[0].shape, inputs[1].shape)
        try require(
            mask.ne0 == x.ne0 && mask.ne1 >= x.ne1 && x.ne2 % mask.ne2 == 0 && x.ne3 % mask.ne3 == 0, of: inputs,
            "a mask for each row of scores")
        try require(inputs.count == 2 || inputs[2].shape == Shape(x.ne2), of: inputs, "a sink for each head")
        return Output(Layout(.f32, x))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        guard inputs.count > 1 else { return evaluateUnmasked(inputs[0], into: output) }
        let (x, mask) = (inputs[0], inputs[1])
        // An exponential costs about as much as sixteen other operations.
        let kernels = RowKernels(on: workers)
        workers.run(items: x.shape.rows, grain: rowGrain(elementsPerRow: 16 * x.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = x.shape.row(number)
                x.withRow(of: Float.self, i1, i2, i3) { scores in
                    mask.withRow(of: Float.self, i1, i2 % mask.shape.ne2, i3 % mask.shape.ne3) { mask in
                        output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                            let sink = sink(of: i2, inputs)
                            let quick =
                                sink == nil ? kernels.exponentials(scores, mask, scale: scale, into: &y) : nil
                            let sum = quick ?? self.exponentials(scores, mask, sink: sink, into: &y).sum
                            let inverse = Float(1 / sum)
                            for n in 0..<y.count { y[n] *= inverse }
                        }
                    }
                }
            }
        }
    }

    public func source(
        of part: OutputPart, slot: Int, _ input: Layout, output: Layout
    ) -> (layout: Layout, byteOffset: Int)? {
        switch slot {
        case 0: return part.of(input)
        case 1: return part.of(input, plane: part.plane % input.shape.ne2)
        default:
            var sink = input
            sink.shape = Shape(1)
            return (sink, part.plane * input.strides.nb0)
        }
    }

    private func sink(of head: Int, _ inputs: [Tensor]) -> Float? {
        inputs.count > 2 ? inputs[2][ElementIndex(head)] : nil
    }

    /// Few values, on one thread.
    private func evaluateUnmasked(_ x: Tensor, into output: Tensor) {
        for number in 0..<x.shape.rows {
            let (i1, i2, i3) = x.shape.row(number)
            x.withRow(of: Float.self, i1, i2, i3) { scores in
                output.withMutableRow(of: Float.self, i1, i2, i3) { y in
                    let inverse = Float(1 / exponentials(scores, into: &y).sum)
                    for n in 0..<y.count { y[n] *= inverse }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (x, mask) = (inputs[0], inputs.count > 1 ? inputs[1] : nil)
        let sink = sink(of: element.i2, inputs)
        var y = [Float](repeating: 0, count: x.shape.ne0)
        let (maximum, sum) = x.withRow(of: Float.self, element.i1, element.i2, element.i3) { scores in
            guard let mask else {
                var span = y.mutableSpan
                return exponentials(scores, into: &span)
            }
            return mask.withRow(of: Float.self, element.i1, element.i2 % mask.shape.ne2, element.i3 % mask.shape.ne3) {
                var span = y.mutableSpan
                return exponentials(scores, $0, sink: sink, into: &span)
            }
        }
        let terms = y.indices.map { n in
            let index = ElementIndex(n, element.i1, element.i2, element.i3)
            return Explanation.Term(
                slot: 0, index: index, value: x[index], coefficient: scale, contribution: y[n])
        }
        let score = x[element]
        let hidden = mask.map { " + \(bracketed($0[$0.shape.wrapped(element)]))" } ?? ""
        let (share, result) = (y[element.i0], y[element.i0] * Float(1 / sum))
        return Explanation(
            formula: Self.formula, rule: .function,
            value: result, terms: terms,
            quantities: [("s", Double(scale)), ("max", Double(maximum)), ("Σ exp", sum)]
                + (sink.map { [("sink", Double($0))] } ?? []),
            steps: [
                "exp(\(scale) * \(bracketed(score))\(hidden) - \(bracketed(maximum))) = \(share)",
                "\(share) / \(Float(sum)) = \(result)",
            ])
    }

    /// Scale, mask, maximum, exponential (counted as one), sum, divide.
    static let operationsPerElement = 6

    public func cost(inputs: [Layout], output: Layout) -> Cost {
        elementwiseCost(inputs, output, perElement: Self.operationsPerElement)
    }

    /// Writes the exponentials of one row without a mask; returns the largest exponent and the exponentials' sum.
    private func exponentials(_ scores: Span<Float>, into y: inout MutableSpan<Float>) -> (maximum: Float, sum: Double)
    {
        var maximum = -Float.infinity
        for n in 0..<scores.count {
            y[n] = scores[n] * scale
            maximum = max(maximum, y[n])
        }
        var sum = 0.0
        let grouped = y.count / vectorLanes * vectorLanes
        for start in stride(from: 0, to: grouped, by: vectorLanes) {
            var lanes = SIMD16<Float>()
            for n in start..<start + vectorLanes {
                y[n] = vectorExponential(y[n] - maximum)
                lanes[n - start] = y[n]
            }
            sum += Double(total(lanes))
        }
        for n in grouped..<y.count {
            y[n] = Float.exp(y[n] - maximum)
            sum += Double(y[n])
        }
        return (maximum, sum)
    }

    /// Writes the exponentials of one row; returns the largest exponent and the exponentials' sum.
    private func exponentials(
        _ scores: Span<Float>, _ mask: Span<Float>, sink: Float?, into y: inout MutableSpan<Float>
    ) -> (maximum: Float, sum: Double) {
        var maximum = sink ?? -Float.infinity
        for n in 0..<scores.count {
            y[n] = scores[n] * scale + mask[n]
            maximum = max(maximum, y[n])
        }
        var sum = 0.0
        // llama.cpp pads rows to 256 positions, so its groups of sixteen are always full, with zeros at the end.
        for start in stride(from: 0, to: scores.count, by: vectorLanes) {
            var lanes = SIMD16<Float>()
            for n in start..<min(start + vectorLanes, scores.count) {
                // Masked positions, which are many in a long prompt, need no exponential.
                y[n] = y[n] == -.infinity ? 0 : vectorExponential(y[n] - maximum)
                lanes[n - start] = y[n]
            }
            sum += Double(total(lanes))
        }
        if let sink { sum += Double(Float.exp(sink - maximum)) }
        return (maximum, sum)
    }
}
