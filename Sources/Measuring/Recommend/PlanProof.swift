import LlamaModel
import Quantizing
import Tensors

/// Plans for a model, each measured on a text that nothing was chosen by.
public struct PlanProof: Sendable {
    public struct Row: Sendable {
        public let name: String
        public let plan: QuantizationPlan
        public let divergence: Divergence

        public init(name: String, plan: QuantizationPlan, divergence: Divergence) {
            (self.name, self.plan, self.divergence) = (name, plan, divergence)
        }
    }

    public let text: ScoredText
    /// The recommended plan first.
    public let rows: [Row]

    /// - Parameter evaluated: called often with the tokens evaluated, also in part, and those to evaluate.
    /// - Throws: `QuantizeProblem` if weights are not finite, `ScoringProblem` if logits are not.
    public init(
        _ plans: [(name: String, plan: QuantizationPlan)], of model: Llama, on text: ScoredText,
        importance: ImportanceMatrix?, threads: Int, instructions: InstructionSet,
        evaluated: @escaping (_ done: Double, _ total: Int) throws -> Void
    ) throws {
        let tokens = text.chunks.count * text.chunkSize
        let total = (plans.count + 1) * tokens
        let base = try BaseLogits(
            ChunkLogits(model, on: text, threads: threads, instructions: instructions)
        ) { try evaluated($0, total) }
        let versions = QuantizedVersions(
            of: base, importance: importance, threads: threads, instructions: instructions
        ) { try Task.checkCancellation() }
        self.text = text
        rows = try plans.enumerated().map { number, plan in
            let found = try versions.measure(
                plan.plan, evaluated: { try evaluated(Double((number + 1) * tokens) + $0, total) })
            return Row(name: plan.name, plan: plan.plan, divergence: found.divergence)
        }
    }

    /// By how much more a plan diverges than the recommended one, token by token.
    ///
    /// Both stumble over the same tokens, so it is surer than the two figures.
    public func difference(_ row: Int) -> Estimate {
        Estimate(
            meanOf: zip(rows[row].divergence.tokens, rows[0].divergence.tokens).map { $0.divergence - $1.divergence })
    }

    /// Whether the recommended plan is better than another by more than the text's chance: two standard errors.
    public func isBetter(than row: Int) -> Bool {
        let difference = difference(row)
        return difference.value > 2 * difference.uncertainty
    }
}
