import ComputeGraph
import GGUF
import LlamaModel
import Quantization
import Quantizing
import Tensors

/// Quantised versions of a model, made in memory one after another and measured against the model itself.
public struct QuantizedVersions {
    public let base: BaseLogits
    private let importance: ImportanceMatrix?
    private let threads: Int
    private let instructions: InstructionSet
    private let workers: Workers
    private let progress: @Sendable () throws -> Void

    /// - Parameter progress: called now and then while weights are written; what it throws ends the work.
    public init(
        of base: BaseLogits, importance: ImportanceMatrix?, threads: Int, instructions: InstructionSet = .best,
        progress: @escaping @Sendable () throws -> Void = {}
    ) {
        self.base = base
        self.importance = importance
        self.threads = threads
        self.instructions = instructions
        self.progress = progress
        workers = Workers(threads: threads)
    }

    /// What a file type would make of the model.
    ///
    /// - Throws: `QuantizeProblem` if it cannot be written.
    public func plan(
        _ mix: QuantizationMix, isPure: Bool = false
    ) throws(QuantizeProblem) -> QuantizationPlan {
        try Self.plan(mix, of: base.model.file, importance: importance, isPure: isPure)
    }

    /// The same of a file, before anything is evaluated.
    public static func plan(
        _ mix: QuantizationMix, of file: GGUFFile, importance: ImportanceMatrix?, isPure: Bool = false
    ) throws(QuantizeProblem) -> QuantizationPlan {
        var options = QuantizeOptions()
        options.isPure = isPure
        let plan = try QuantizationPlan(file, as: mix, options, hasImportance: importance != nil)
        try ModelQuantizer(file: file, plan: plan, importance: importance, workers: Workers(threads: 1))
            .check(allowsRequantizing: true)
        return plan
    }

    /// The model with the tensors of a plan.
    ///
    /// - Parameters:
    ///   - isMeant: which of them; the others stay as they are.
    ///   - evaluated: called often with the share of the work that is done; what it throws ends it.
    /// - Throws: `QuantizeProblem` if weights are not finite, `ScoringProblem` if logits are not.
    public func measure(
        _ plan: QuantizationPlan, where isMeant: (QuantizationPlan.Entry) -> Bool = { _ in true },
        evaluated: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> BaseLogits.Measurement {
        let tensors = try quantizer(plan).changedTensors(where: isMeant)
        return try base.measure(
            replacing: tensors, threads: threads, instructions: instructions, progress: evaluated)
    }

    private func quantizer(_ plan: QuantizationPlan) -> ModelQuantizer {
        ModelQuantizer(file: base.model.file, plan: plan, importance: importance, workers: workers) {
            [progress] _, _ in try progress()
        }
    }
}
