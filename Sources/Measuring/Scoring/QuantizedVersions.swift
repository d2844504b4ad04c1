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
        var options = QuantizeOptions()
        options.isPure = isPure
        let plan = try QuantizationPlan(base.model.file, as: mix, options, hasImportance: importance != nil)
        try quantizer(plan).check(allowsRequantizing: true)
        return plan
    }

    /// The model with the tensors of a plan.
    ///
    /// - Parameters:
    ///   - isMeant: which of them; the others stay as they are.
    ///   - evaluated: called often with the tokens evaluated, also in part; what it throws ends the work.
    /// - Throws: `QuantizeProblem` if weights are not finite, `ScoringProblem` if logits are not.
    public func measure(
        _ plan: QuantizationPlan, where isMeant: (QuantizationPlan.Entry) -> Bool = { _ in true },
        evaluated: @escaping (_ tokens: Double) throws -> Void = { _ in }
    ) throws -> BaseLogits.Measurement {
        let model = base.model.replacing(try quantizer(plan).changedTensors(where: isMeant))
        return try base.measure(
            ChunkLogits(model, on: base.text, threads: threads, instructions: instructions), progress: evaluated)
    }

    private func quantizer(_ plan: QuantizationPlan) -> ModelQuantizer {
        ModelQuantizer(file: base.model.file, plan: plan, importance: importance, workers: workers) {
            [progress] _, _ in try progress()
        }
    }
}

extension QuantizationMix {
    /// The file types that models are usually offered in, larger ones first.
    ///
    /// None is for models trained for it, as ternary ones are, and none needs an importance matrix. Types of grids, such
    /// as IQ3_S, are left out because they take as long as all of these together.
    public static let usual: [QuantizationMix] = types.compactMap { mix(for: $0) }

    private static let types: [GGUFFileType] = [
        .f16, .q8_0, .q6_K, .q5_1, .q5_K_M, .q5_K_S, .q5_0, .q4_1, .q4_K_M, .q4_K_S, .iq4_nl, .q4_0, .iq4_xs, .q3_K_L,
        .q3_K_M, .q3_K_S, .q2_K,
    ]
}
