import ComputeGraph
import Quantization
import Tensors

/// Matrix products with chosen experts: of many matrices in one tensor, each slot of each token has its own.
///
/// `y[r, u, t] = Σ_k W[k, r, id[u, t]] · x[k, u mod S, t]`. W `[K, R, X]` of any format, X experts; x F32 `[K, S, T]`, one
/// row for all slots (S = 1) or one for each; id I32 `[U, T]`, U experts a token; y F32 `[R, U, T]`. An expert that no
/// token chose is not read.
///
/// Numerics: as `MatMul`, but each row is always dotted by itself, also where a prompt has many tokens.
/// Source: ggml `ggml_compute_forward_mul_mat_id`; Shazeer et al. 2017.
public struct MatMulID: Operation {
    public static let kind = "MUL_MAT_ID"
    public static let formula = "y[r,u,t] = Σ_k W[k,r,id[u,t]] · x[k,u mod S,t]"
    public static let summary =
        "Products with the matrices of the experts that each token chose; no other expert is read."

    public static let costDependsOnValues = true

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(3, of: inputs)
        let (w, x, ids) = (inputs[0], inputs[1], inputs[2])
        try requireFloatRows(1, of: inputs)
        try require(w.shape.ne0 == x.shape.ne0, of: inputs, "rows of one length")
        try require(
            w.shape.ne3 == 1 && w.strides.nb0 == w.type.blockBytes, of: inputs,
            "the first input to be one matrix for each expert, with contiguous rows")
        try require(
            BlockFormats.format(for: w.type) != nil, of: inputs, "a first input of a format that can be multiplied")
        try require(
            ids.type == .i32 && ids.strides.nb0 == 4 && ids.shape.rows == ids.shape.ne1, of: inputs,
            "experts to be I32 [U,T]")
        try require(
            x.shape.ne2 == ids.shape.ne1 && x.shape.ne3 == 1 && ids.shape.ne0 % x.shape.ne1 == 0, of: inputs,
            "experts for each token, and a row for all of them or for each")
        return Output(Layout(.f32, Shape(w.shape.ne1, ids.shape.ne0, ids.shape.ne1)))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let w = inputs[0]
        let format = BlockFormats.format(for: w.type)!
        let activations = inputs[1].converted(for: format, on: workers)
        let kernel = ProductKernel(for: format, on: workers.instructions)
        let jobs = choices(inputs[2], experts: w.shape.ne2).map { expert, slots in
            ExpertProduct(expert, slots, weights: w, activations: activations, output: output) {
                Product(
                    kernel: kernel, format: format, weights: $0, activations: $1, order: .single, output: $2,
                    on: workers)
            }
        }
        Product.multiply(jobs.map(\.product), on: workers)
        for job in jobs { job.scatter(into: output) }
    }

    /// Which slots of which tokens chose each expert; experts in order, those that none chose left out.
    private func choices(_ ids: Tensor, experts: Int) -> [(expert: Int, slots: [(slot: Int, token: Int)])] {
        var slots = [[(slot: Int, token: Int)]](repeating: [], count: experts)
        for token in 0..<ids.shape.ne1 {
            for slot in 0..<ids.shape.ne0 {
                slots[expert(ids, slot, token, of: experts)].append((slot, token))
            }
        }
        return slots.enumerated().filter { !$1.isEmpty }.map { ($0, $1) }
    }

    private func expert(_ ids: Tensor, _ slot: Int, _ token: Int, of count: Int) -> Int {
        let id = ids.withRow(of: Int32.self, token) { Int($0[slot]) }
        precondition((0..<count).contains(id), "expert \(id) of \(count)")
        return id
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let (w, x) = (inputs[0], inputs[1])
        let expert = expert(inputs[2], element.i1, element.i2, of: w.shape.ne2)
        let source = ElementIndex(0, element.i1 % x.shape.ne1, element.i2)
        let weights = w.decodedRow(element.i0, expert)
        let row = x.decodedRow(source.i1, source.i2)
        let terms = MatMul.terms(of: row, at: source, slot: 1, weights: weights, BlockFormats.format(for: w.type)!)
        return Explanation(
            formula: Self.formula, rule: .sum, value: Float(terms.reduce(0.0) { $0 + Double($1.contribution) }),
            terms: terms, quantities: [("id (the expert)", Double(expert))])
    }

    /// As if all choices were of different experts, as those of one token are.
    public func cost(inputs: [Layout], output: Layout) -> Cost {
        cost(inputs: inputs, output: output, experts: min(inputs[2].shape.count, inputs[0].shape.ne2))
    }

    public func cost(inputs: [Tensor], output: Tensor) -> Cost {
        let ids = Set(inputs[2].floats())
        return cost(inputs: inputs.map(\.layout), output: output.layout, experts: ids.count)
    }

    /// A multiply and an add for each product.
    private func cost(inputs: [Layout], output: Layout, experts: Int) -> Cost {
        let expertBytes = inputs[0].byteCount / max(1, inputs[0].shape.ne2)
        return Cost(
            operations: 2 * inputs[0].shape.ne0 * output.shape.count,
            bytesRead: experts * expertBytes + inputs[1].byteCount + inputs[2].byteCount,
            bytesWritten: output.byteCount)
    }
}

/// The product of one expert's matrix with the rows that chose it.
private struct ExpertProduct: Sendable {
    let product: Product
    private let slots: [(slot: Int, token: Int)]
    /// The results side by side, `[R, n]`; `nil` where there is one, which is written to its row.
    private let gathered: Tensor?

    init(
        _ expert: Int, _ slots: [(slot: Int, token: Int)], weights: Tensor, activations: Tensor, output: Tensor,
        _ product: (_ weights: Tensor, _ activations: Tensor, _ output: Tensor) -> Product
    ) {
        self.slots = slots
        var matrix = weights.layout
        matrix.shape.ne2 = 1
        let expertWeights = weights.view(matrix, at: weights.layout.rowOffset(0, expert))
        if slots.count == 1 {
            let (slot, token) = slots[0]
            gathered = nil
            self.product = product(
                expertWeights, Self.row(activations, slot % activations.shape.ne1, token),
                Self.row(output, slot, token))
        } else {
            let results = Tensor.unwritten(.f32, Shape(output.shape.ne0, slots.count))
            gathered = results
            self.product = product(expertWeights, Self.gather(slots, of: activations), results)
        }
    }

    /// One row as a tensor of its own.
    private static func row(_ tensor: Tensor, _ i1: Int, _ i2: Int) -> Tensor {
        tensor.view(Layout(tensor.type, Shape(tensor.shape.ne0)), at: tensor.layout.rowOffset(i1, i2))
    }

    private static func gather(_ slots: [(slot: Int, token: Int)], of activations: Tensor) -> Tensor {
        let rows = Tensor.unwritten(activations.type, Shape(activations.shape.ne0, slots.count))
        for (index, choice) in slots.enumerated() {
            let row = row(activations, choice.slot % activations.shape.ne1, choice.token)
            row.withBytes { from in
                rows.withMutableRowBytes(index) { to in
                    to.withUnsafeMutableBytes { to in from.withUnsafeBytes { to.copyMemory(from: $0) } }
                }
            }
        }
        return rows
    }

    func scatter(into output: Tensor) {
        guard let gathered else { return }
        for (index, choice) in slots.enumerated() {
            gathered.withRow(of: Float.self, index) { from in
                output.withMutableRow(of: Float.self, choice.slot, choice.token) { to in
                    for i in 0..<from.count { to[i] = from[i] }
                }
            }
        }
    }
}
