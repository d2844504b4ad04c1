import ComputeGraph
import GGUF
import LlamaModel
import Measuring
import Operations
import Quantization
import Quantizing
import Recording
import Tensors

/// One element of a recorded tensor: what it is, what it is made of, and where the difference to plain F32 comes from.
public struct ElementProvenance: Sendable {
    /// What separates a recorded product from its factors multiplied in full precision; the parts add up to
    /// `recorded - dequantised`, and with a base to `recorded - base`.
    public struct Residual: Sendable {
        /// Product with the base's weights, activations as they were; `nil` without a base.
        public let base: Double?
        /// Weights rounded to their format: `Σ (w - w_base) x`; `nil` without a base.
        public let weights: Double?
        /// Activations rounded to the type they are multiplied in: `Σ w (x_rounded - x)`.
        public let activations: Double
        /// Sums of activations that Q8_1 rounds to F16, which meet the minima; `nil` where no such sums are used.
        public let blockSums: Double?
        /// Floats rounded on the way, the rest: sums in the kernel's order, and weights that decoding rounds to Float.
        public let order: Double
    }

    public let node: Node
    public let element: ElementIndex
    /// With `#k` where the name alone would mean another.
    public let address: String
    public let step: Int
    public let recorded: Float
    /// What the graph gives now, to the bit what was recorded unless trace or program have changed.
    public let evaluated: Float
    /// Whether `recorded` was in the trace; otherwise it was computed again, to the same bits.
    public let isCaptured: Bool
    /// Changes that the run was made with and that reached this element, in order; `recomputed` is without them.
    public let changes: [InterventionRecord]
    public let explanation: Explanation
    public let product: ProductTerms?
    public let residual: Residual?
    /// This element alone, from the elements it is made of.
    public let recomputed: Float
    /// Its terms added up in Double; of anything but a sum, `recomputed`.
    public let sum: Double
    /// Magnitude that a rounding error of the sum is relative to: `Σ |term|`, not the sum itself, which may cancel.
    public let magnitude: Double

    /// Of the sum of the terms' magnitudes. A Float sum of n terms in any order is off by at most n·2⁻²⁴ of it; kernels
    /// add up in 8 to 64 lanes, so that n is 30 or so and errors, being of both signs, stay far below.
    public static let tolerance = 1e-6

    /// Whether graph and explanation give the recorded value, to the bit, and the terms add up to it; of a changed element,
    /// whether the graph does, with the changes made.
    public var isReproduced: Bool {
        if recorded.isNaN { return evaluated.isNaN && (recomputed.isNaN || !changes.isEmpty) }
        if !changes.isEmpty { return recorded.bitPattern == evaluated.bitPattern }
        return recorded.bitPattern == evaluated.bitPattern && recorded.bitPattern == recomputed.bitPattern
            && (sum == Double(recorded) || abs(sum - Double(recorded)) <= Self.tolerance * magnitude)
    }

    /// - Parameters:
    ///   - recorded: from the trace; `nil` if it was not captured.
    ///   - base: a file of the same model in higher precision.
    /// - Throws: `BlockProblem` if the base lacks the weights.
    public init(
        _ node: Node, at element: ElementIndex, in provenance: Provenance, step: Int, recorded: Float?,
        base: GGUFFile? = nil
    ) throws {
        (self.node, self.element, self.step) = (node, element, step)
        address = provenance.address(of: .node(node.index), at: element)
        evaluated = provenance.tensor(of: .node(node.index))[element]
        self.recorded = recorded ?? evaluated
        isCaptured = recorded != nil
        changes = provenance.changes(of: node, at: element)
        explanation = provenance.explanation(of: node, at: element)
        product = provenance.product(of: node, at: element)
        guard let product else {
            magnitude = explanation.terms.reduce(0) { $0 + abs(Double($1.contribution)) }
            (residual, recomputed) = (nil, explanation.value)
            let isSum = explanation.rule == .sum
            sum = isSum ? explanation.terms.reduce(0) { $0 + Double($1.contribution) } : Double(recomputed)
            return
        }
        magnitude = product.magnitude
        (recomputed, sum) = (product.value, product.exact)
        let before = try base.flatMap { base in
            try provenance.weight(node.inputs[0]).map { info in
                let row = provenance.weightRow(of: node, at: element)
                return try base.decodedRow(
                    row.0 + info.shape.ne1 * (row.1 + info.shape.ne2 * row.2), counterpartOf: info,
                    in: provenance.model.file.path)
            }
        }
        residual = Residual(
            base: before.map { ProductTerms.sum($0, product.activations) },
            weights: before.map { product.dequantised - ProductTerms.sum($0, product.activations) },
            activations: product.activationRounding,
            blockSums: product.activationType == .q8_1 ? product.sumRounding : nil,
            order: Double(changes.isEmpty ? self.recorded : recomputed) - product.dequantised
                - product.activationRounding - product.sumRounding)
    }
}
