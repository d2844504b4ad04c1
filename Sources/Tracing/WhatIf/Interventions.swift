import ComputeGraph
import GGUF
import LlamaModel
import Recording
import Tensors

/// The changes that a run is made with, in order.
public struct Interventions: Sendable {
    public let records: [InterventionRecord]
    private let nodes: [NodeChange]
    private let weights: [WeightEdit]

    public static let none = Interventions()

    private init() { (records, nodes, weights) = ([], [], []) }

    /// - Throws: `InterventionProblem` or `TraceError` if a record's words cannot be read.
    public init(_ records: [InterventionRecord]) throws {
        self.records = records
        nodes = try records.filter { $0.kind != .weight }.map(NodeChange.init)
        weights = try records.filter { $0.kind == .weight }.map(WeightEdit.init)
    }

    public var isEmpty: Bool { records.isEmpty }

    /// Names of the weight tensors that are changed.
    public var changedWeights: Set<String> { Set(weights.map(\.tensor)) }

    /// The model with the changed weights; all others are as they are in the file.
    ///
    /// - Throws: `InterventionProblem` or `BlockProblem` if a weight cannot be changed so.
    public func applied(to model: Llama) throws -> Llama {
        let tensors = try changedTensors(of: model.file)
        return tensors.isEmpty ? model : model.replacing(tensors)
    }

    /// A copy of each weight tensor that is changed, by name.
    ///
    /// - Throws: `InterventionProblem` or `BlockProblem` if a weight cannot be changed so.
    public func changedTensors(of file: GGUFFile) throws -> [String: Tensor] {
        var copies: [String: Tensor] = [:]
        for edit in weights {
            let info = try edit.info(in: file)
            let copy = copies[info.name] ?? file.values(of: info).copied()
            try edit.apply(to: copy, info, in: file)
            copies[info.name] = copy
        }
        return copies
    }

    /// The edits of a pass, by the nodes they are made to.
    ///
    /// - Throws: `InterventionProblem` or `TraceError` if the graph has no such elements.
    public func edits(in graph: Graph, step: Int) throws -> [Int: [Edit]] {
        try changes(in: graph, step: step).mapValues { $0.map(\.edit) }
    }

    /// The same with the words they were given in.
    func changes(in graph: Graph, step: Int) throws -> [Int: [(record: InterventionRecord, edit: Edit)]] {
        var changes: [Int: [(InterventionRecord, Edit)]] = [:]
        for change in nodes {
            guard let (node, edit) = try change.edit(in: graph, step: step) else { continue }
            changes[node, default: []].append((change.record, edit))
        }
        return changes
    }

    /// Finds out before anything runs whether all changes can be made.
    ///
    /// - Parameters:
    ///   - promptTokens: tokens of step 0.
    ///   - decodes: passes of one token that follow it.
    /// - Throws: `InterventionProblem` or `TraceError` for the first that cannot.
    public func check(_ model: Llama, promptTokens: Int, decodes: Int) throws {
        var steps: Set<Int> = nodes.isEmpty ? [] : [0]
        for change in nodes {
            if let step = change.step {
                guard step <= decodes else {
                    throw InterventionProblem.noStep(target: change.target, step: step, steps: decodes + 1)
                }
                steps.insert(step)
            }
            if case .patch(let patches, _) = change.change { steps.formUnion(patches.keys.filter { $0 <= decodes }) }
        }
        var cache = KVCache(model.configuration, capacity: max(promptTokens + decodes, Session.defaultContext))
        for step in steps.sorted() {
            cache.count = step == 0 ? 0 : promptTokens + step - 1
            let tokens = [Int32](repeating: 0, count: step == 0 ? promptTokens : 1)
            let graph = try LlamaGraph(model, tokens: tokens, cache: cache).graph
            _ = try edits(in: graph, step: step)
        }
    }
}

// MARK: as the user writes them

extension InterventionRecord {
    /// The option that makes this change: `--set kq_soft_max-3[:,:,2]=0`.
    public var option: String {
        let isFactor = kind == .weight && spec.hasPrefix("*")
        let isCode = kind == .weight && target.contains("code=")
        return "--\(kind.rawValue) \(target)"
            + (isFactor ? "*=\(spec.dropFirst())" : (isCode ? ":" : "=") + spec)
    }

    /// `ADDRESS=VALUE` of `--set` and `--scale`; of `--set` also `ADDRESS+=VALUE` and `ADDRESS*=VALUE`.
    public static func change(_ kind: Kind, _ text: String) throws(InterventionProblem) -> InterventionRecord {
        let (target, spec) = try halves(text, expected: "ADDRESS=NUMBER, as in kq_soft_max-3[:,:,2]=0")
        if kind == .set, let sign = target.last, let kind = ["+": Kind.add, "*": .scale][sign], target.count > 1 {
            return InterventionRecord(kind, target: String(target.dropLast()), spec: spec)
        }
        return InterventionRecord(kind, target: target, spec: spec)
    }

    /// `--weight`.
    public static func weight(_ text: String) throws(InterventionProblem) -> InterventionRecord {
        try WeightEdit.record(text)
    }

    /// `ADDRESS=TRACE` of `--patch`, or `ADDRESS=TRACE[SLICES]`: the values of an operation in all passes of a run, or in the
    /// one that `@N` names.
    ///
    /// - Throws: `TraceError` if the trace has no such values, `InterventionProblem` if it has only some of them.
    public static func patch(_ text: String) throws -> InterventionRecord {
        let (target, spec) = try halves(text, expected: "ADDRESS=TRACE, as in l_out-3=other.db")
        let name = RunName(PatchSource(spec).trace)
        let store = try TraceStore.open(path: name.path)
        return try patch(target, from: try store.run(id: name.run), in: store, as: spec)
    }

    /// - Parameter spec: how the values are named, `other.db#2[:,7]`; `nil`: by the trace's path.
    public static func patch(
        _ target: String, from run: RecordedRun, in store: TraceStore, as spec: String? = nil
    ) throws -> InterventionRecord {
        let spec = spec ?? store.path
        let (changed, step) = try NodeChange.address(target)
        let address = try PatchSource(spec).address(of: changed)
        var patches: [Int: Patch] = [:]
        for step in step.map({ $0...$0 }) ?? 0...max(0, run.steps - 1) {
            let operation = try store.operation(address, run: run, step: step)
            guard let ranges = try? address.ranges(in: operation.shape) else {
                if step > 0 { continue }
                _ = try address.ranges(in: operation.shape)
                continue
            }
            let values = try store.values(of: operation, in: run)
            let part = try ranges.indices(operation.shape).map { index -> Float in
                guard let value = values[index] else {
                    throw InterventionProblem.patchIncomplete(
                        target: target, step: step, trace: store.path, capture: run.capture)
                }
                return value
            }
            patches[step] = Patch(shape: operation.shape, values: part)
        }
        return InterventionRecord(.patch, target: target, spec: spec, patches: patches)
    }

    static func halves(
        _ text: String, expected: String
    ) throws(InterventionProblem) -> (target: String, spec: String) {
        // Names hold no =.
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex, text.last != "=" else {
            throw .syntax(text: text, expected: expected)
        }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}

extension [Range<Int>] {
    /// Every index inside, `ne0` fastest.
    fileprivate func indices(_ shape: Shape) -> [ElementIndex] {
        self[3].flatMap { i3 in
            self[2].flatMap { i2 in self[1].flatMap { i1 in self[0].map { ElementIndex($0, i1, i2, i3) } } }
        }
    }
}

extension Tensor {
    /// A contiguous tensor's bytes in memory of their own.
    package func copied() -> Tensor {
        let buffer = Buffer(byteCount: layout.byteCount)
        withBytes { bytes in
            buffer.withMutableBytes(in: 0..<layout.byteCount) { target in
                target.withUnsafeMutableBytes { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
            }
        }
        return Tensor(layout, in: buffer)
    }
}
