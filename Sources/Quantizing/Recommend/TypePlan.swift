import GGUF
import Quantization
import Tensors

/// A type for each tensor of a model that is open to change, and what all take.
public struct TypePlan: Sendable {
    public let types: [String: TensorType]
    /// Of all tensors, those included that stay as they are.
    public let plan: QuantizationPlan

    public var byteCount: Int { plan.byteCount }

    /// - Parameter choice: of each tensor the index of its candidate.
    /// - Throws: `QuantizeProblem` if the model's metadata does not say what mixes need.
    public init(
        _ file: GGUFFile, _ tensors: [TypeCandidates], choice: [Int], hasImportance: Bool
    ) throws(QuantizeProblem) {
        types = Dictionary(
            uniqueKeysWithValues: zip(tensors, choice).map { ($0.tensor.name, $0.candidates[$1].type) })
        var weights: [TensorType: Int] = [:]
        for (tensor, option) in zip(tensors, choice) {
            weights[tensor.candidates[option].type, default: 0] += tensor.weights
        }
        let most = weights.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }!.key
        plan = try QuantizationPlan(
            file, as: QuantizationMix.named(for: most), types: types, hasImportance: hasImportance)
    }

    /// As a file for `--tensor-type-file`.
    public var text: String { QuantizationPlan.typeFile(types) }
    /// The file type to name beside it: that of most weights.
    public var fileType: GGUFFileType { plan.fileType! }

    /// Bytes of the tensors that are not open to change.
    public static func fixedBytes(of file: GGUFFile, besides tensors: [TypeCandidates]) -> Int {
        let open = Set(tensors.map(\.tensor.name))
        return file.tensors.filter { !open.contains($0.name) }.reduce(0) {
            $0 + $1.type.rowBytes($1.shape.ne0)! * $1.shape.rows
        }
    }

    /// A plan made without measuring, to hold others against: the token embedding gets the smallest type, and what that
    /// saves lifts all others, one type at a time and in the file's order, as long as they fit.
    ///
    /// - Returns: of each tensor the index of its candidate; `nil` if the smallest types do not fit.
    public static func control(_ tensors: [TypeCandidates], budget: Int) -> [Int]? {
        var choice = tensors.map { _ in 0 }
        var left = budget - tensors.reduce(0) { $0 + $1.candidates[0].bytes }
        guard left >= 0 else { return nil }
        var changed = true
        while changed {
            changed = false
            for (index, tensor) in tensors.enumerated()
            where choice[index] + 1 < tensor.candidates.count && tensor.tensor.name != "token_embd.weight" {
                let more = tensor.candidates[choice[index] + 1].bytes - tensor.candidates[choice[index]].bytes
                guard more <= left else { continue }
                choice[index] += 1
                left -= more
                changed = true
            }
        }
        return choice
    }

    /// The allocation by the weighted error of weights alone, each tensor's added up as it is.
    public static func byError(_ tensors: [TypeCandidates], budget: Int) -> TypeAllocation? {
        TypeAllocation(
            tensors.map { $0.candidates.map { .init(bytes: $0.bytes, cost: $0.error) } }, budget: budget)
    }
}

extension QuantizationMix {
    /// The file type whose base is a type: the medium one where there are several.
    static func named(for type: TensorType) -> QuantizationMix {
        named(type.name) ?? available.first { $0.base == type } ?? named("Q8_0")!
    }

    /// The largest of the usual mixes that is not larger than a budget; the smallest of all if none fits.
    ///
    /// - Throws: `QuantizeProblem` if the model's metadata does not say what mixes need.
    public static func fitting(
        _ file: GGUFFile, bytes: Int, hasImportance: Bool
    ) throws(QuantizeProblem) -> (mix: QuantizationMix, plan: QuantizationPlan) {
        var plans: [(QuantizationMix, QuantizationPlan)] = []
        for mix in usual where mix.base.blockElements > 1 {
            let plan = try QuantizationPlan(file, as: mix, hasImportance: hasImportance)
            if hasImportance || !plan.entries.contains(where: \.needsImportance) { plans.append((mix, plan)) }
        }
        let fitting = plans.filter { $0.1.byteCount <= bytes }
        let chosen =
            fitting.max { $0.1.byteCount < $1.1.byteCount } ?? plans.min { $0.1.byteCount < $1.1.byteCount }!
        return chosen
    }
}
