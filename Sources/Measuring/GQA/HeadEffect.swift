import LlamaModel
import Quantization
import Tensors

/// What a change of heads does to a model's predictions.
public struct HeadEffect: Sendable {
    public let plan: HeadPlan
    /// Of the changed model from the model that `plan` prepared, which is the file's but for `requantized`.
    public let divergence: Divergence
    /// Weights that had to be held as F32.
    public let requantized: [LlamaWeights.Weight]
    /// What that alone does, without the change, measured from the file's model; `nil` if there are none.
    public let format: Divergence?

    /// - Parameter progress: called often with the tokens evaluated, also in part, and those to evaluate; what it throws
    ///   ends the work.
    /// - Throws: `ScoringProblem` if a model gives anything but numbers.
    public init(
        _ plan: HeadPlan, of model: Llama, on text: ScoredText, threads: Int, instructions: InstructionSet = .best,
        progress: @escaping (_ done: Double, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        func logits(_ model: Llama) throws(ScoringProblem) -> ChunkLogits {
            try ChunkLogits(model, on: text, threads: threads, instructions: instructions)
        }
        self.plan = plan
        requantized = plan.requantized(in: model)
        let prepared = plan.prepared(model)
        let rounds = requantized.isEmpty ? 1 : 2
        divergence = try Divergence(of: try logits(plan.applied(to: prepared)), from: try logits(prepared)) {
            try progress($0, rounds * $1)
        }
        guard !requantized.isEmpty else {
            format = nil
            return
        }
        format = try Divergence(of: try logits(prepared), from: try logits(model)) {
            try progress(Double($1) + $0, rounds * $1)
        }
    }
}
