import ComputeGraph
import Quantization
import Tensors

/// Matrix product in ggml's orientation: both inputs have the summed dimension contiguous.
///
/// `y[r, t, h] = Σ_k W[k, r, h / g] · x[k, t, h]` with g = x.ne2 / W.ne2: where the right side has more heads than the
/// left, each left head serves a group of g right heads. That is grouped-query attention; nothing is repeated.
/// W `[K, R, H/g]` of any format, x F32 `[K, T, H]`, y F32 `[R, T, H]`.
///
/// Numerics, as ggml's CPU backend: each row of x is first converted to the format's activation type (Q8_0, Q8_1, Q8_K,
/// F16, BF16; F32 stays), then dotted with rows of W as they are stored. Source: ggml `ggml_compute_forward_mul_mat`.
public struct MatMul: Operation {
    public static let kind = "MUL_MAT"
    public static let formula = "y[r,t,h] = Σ_k W[k,r,h/g] · x[k,t,h]"
    public static let summary =
        "A product with a matrix: each output is a weighted sum of all inputs. g query heads share a KV head."

    /// The dimension of W that counts positions of the KV cache, if one does. llama.cpp pads it to 256 cells, which
    /// decides the order of its sums; here nothing is padded, and the order is the same.
    public let cachedDimension: Int?

    public init(cachedDimension: Int? = nil) { self.cachedDimension = cachedDimension }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(2, of: inputs)
        let (w, x) = (inputs[0], inputs[1])
        try requireFloatRows(1, of: inputs)
        try require(w.shape.ne0 == x.shape.ne0, of: inputs, "rows of one length")
        try require(w.strides.nb0 == w.type.blockBytes, of: inputs, "the first input's rows to be contiguous")
        try require(
            x.shape.ne2 % w.shape.ne2 == 0 && x.shape.ne3 % w.shape.ne3 == 0, of: inputs,
            "the second input's heads to be a multiple of the first's")
        try require(
            BlockFormats.format(for: w.type) != nil, of: inputs, "a first input of a format that can be multiplied")
        return Output(Layout(.f32, Shape(w.shape.ne1, x.shape.ne1, x.shape.ne2, x.shape.ne3)))
    }

    public static let isJoinable = true

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        evaluate(joined: [inputs], into: [output], on: workers)
    }

    public func evaluate(joined inputs: [[Tensor]], into outputs: [Tensor], on workers: Workers) {
        let (first, x) = (inputs[0][0], inputs[0][1])
        let format = BlockFormats.format(for: first.type)!
        let kernel = ProductKernel(for: format, on: workers.instructions)
        let group = x.shape.ne2 / first.shape.ne2
        let activations = x.converted(for: format, on: workers).withHeadsAsRows(of: group)
        let products = zip(inputs, outputs).map { inputs, output in
            Product(
                kernel: kernel, format: format, weights: inputs[0], activations: activations,
                order: summationOrder(weights: inputs[0].layout, activations: x.layout),
                output: output.withHeadsAsRows(of: group), on: workers)
        }
        Product.multiply(products, on: workers)
    }

    public func source(
        of part: OutputPart, slot: Int, _ input: Layout, output: Layout
    ) -> (layout: Layout, byteOffset: Int)? {
        guard slot == 0 else { return part.of(input) }
        var weights = input
        weights.shape = Shape(input.shape.ne0, input.shape.ne1)
        return (weights, input.rowOffset(0, part.plane / (output.shape.ne2 / input.shape.ne2)))
    }

    public func fusion(after operations: [any Operation]) -> (any Fusion)? {
        guard cachedDimension == 0, operations.count == 2, (operations[0] as? MatMul)?.cachedDimension == 1,
            let softMax = operations[1] as? SoftMax
        else { return nil }
        return Attention(softMax)
    }

    /// The order in which an output element is added up.
    package func summationOrder(weights: Layout, activations: Layout) -> SummationOrder {
        // ggml's fast product takes activations without gaps. Other formats than F32 convert them first, which closes gaps.
        let isGapless = weights.type != .f32 || activations.isContiguous
        return SummationOrder(
            isTile: activations.shape.ne1 > 1 && (cachedDimension == 1 || weights.shape.ne1 % 4 == 0) && isGapless,
            isPadded: cachedDimension == 0)
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (w, x) = (inputs[0], inputs[1])
        let groups = (output.shape.ne2 / w.shape.ne2, output.shape.ne3 / w.shape.ne3)
        let weights = w.decodedRow(element.i0, element.i2 / groups.0, element.i3 / groups.1)
        let row = x.decodedRow(element.i1, element.i2, element.i3)
        let terms = Self.terms(
            of: row, at: ElementIndex(0, element.i1, element.i2, element.i3), slot: 1, weights: weights,
            BlockFormats.format(for: w.type)!)
        let value = terms.reduce(0.0) { $0 + Double($1.contribution) }
        return Explanation(
            formula: Self.formula, rule: .sum, value: Float(value), terms: terms,
            quantities: groups.0 > 1 ? [("g (query heads per KV head)", Double(groups.0))] : [])
    }

    /// What each value of a row of activations adds to its product with a row of weights.
    static func terms(
        of row: [Float], at source: ElementIndex, slot: Int, weights: [Float], _ format: any BlockFormat
    ) -> [Explanation.Term] {
        let rounded = Tensor.floats(row, Shape(row.count)).converted(for: format, on: Workers(threads: 1)).decodedRow(0)
        return row.indices.map { k in
            Explanation.Term(
                slot: slot, index: ElementIndex(k, source.i1, source.i2, source.i3), value: row[k],
                coefficient: weights[k], contribution: weights[k] * rounded[k])
        }
    }

    /// A multiply and an add for each product.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        elementwiseCost(inputs, output, perElement: 2 * inputs[0].shape.ne0)
    }
}
