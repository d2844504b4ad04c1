import GGUF
import LlamaModel
import Quantizing

/// The parts of a model that sensitivity is asked of, each measured on its own.
public struct SensitivityPlan: Sendable {
    private let plan: QuantizationPlan
    private let mixBytes: [String: Int]
    private let groups: [Group]

    private struct Group {
        let name: String
        let layer: Int?
        let role: String?
        var entries: [QuantizationPlan.Entry]
    }

    /// - Parameters:
    ///   - plan: all tensors in one type, as far as rows allow.
    ///   - mix: the plan of a mix to compare with, of the same model.
    public init(_ plan: QuantizationPlan, against mix: QuantizationPlan, by unit: Sensitivity.Unit) {
        self.plan = plan
        mixBytes = Dictionary(uniqueKeysWithValues: mix.entries.map { ($0.tensor.name, $0.byteCount) })
        groups = Self.groups(plan, by: unit)
    }

    /// The parts' names, in the plan's order.
    public var names: [String] { groups.map(\.name) }

    /// The share of a pass that a part takes.
    public func work(_ part: Int, _ versions: QuantizedVersions) -> Double {
        versions.base.work(changed: Set(groups[part].entries.map(\.tensor.name)))
    }

    /// One part, quantised alone.
    ///
    /// - Parameter evaluated: called often with the share of the work that is done.
    /// - Throws: as `QuantizedVersions.measure`.
    public func measure(
        _ part: Int, _ versions: QuantizedVersions, evaluated: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> Sensitivity.Part {
        let group = groups[part]
        let names = Set(group.entries.map(\.tensor.name))
        let found = try versions.measure(plan, where: { names.contains($0.tensor.name) }, evaluated: evaluated)
        let weights = group.entries.reduce(0) { $0 + $1.tensor.shape.count }
        func bits(_ bytes: Int) -> Double { Double(8 * bytes) / Double(weights) }
        return Sensitivity.Part(
            name: group.name, layer: group.layer, role: group.role, weights: weights,
            bitsPerWeight: bits(group.entries.reduce(0) { $0 + $1.byteCount }),
            mixBitsPerWeight: bits(group.entries.reduce(0) { $0 + mixBytes[$1.tensor.name]! }),
            divergence: found.divergence.meanDivergence, sameTop: found.divergence.sameTop.value)
    }

    /// In the plan's order; tensors that the plan leaves as they are belong to none.
    private static func groups(_ plan: QuantizationPlan, by unit: Sensitivity.Unit) -> [Group] {
        var groups: [Group] = []
        for entry in plan.entries where !entry.isCopied {
            let name = entry.tensor.name
            let parsed = WeightName(name)
            let group =
                switch unit {
                case .tensor: Group(name: name, layer: parsed.layer, role: parsed.role, entries: [entry])
                case .layer:
                    // What is outside the layers stands alone.
                    Group(
                        name: parsed.layer.map { "layer \($0)" } ?? name, layer: parsed.layer,
                        role: parsed.layer == nil ? parsed.role : nil, entries: [entry])
                case .role: Group(name: parsed.role, layer: nil, role: parsed.role, entries: [entry])
                }
            if let known = groups.firstIndex(where: { $0.name == group.name }) {
                groups[known].entries.append(entry)
            } else {
                groups.append(group)
            }
        }
        return groups
    }
}
