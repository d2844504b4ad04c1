import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// A sweep to be made: each of its parts alone, in any order.
public struct SweepWork {
    public let plan: SweepPlan
    /// Of the metric: of the run itself, and of the other one.
    public let base: Double
    public let other: Double?
    /// Of a whole run.
    private let nodes: Int
    private let metric: (Pass) -> Double
    private let changed: (SweepPlan.Part) throws -> (pass: Pass, evaluated: Int)

    /// - Parameters:
    ///   - run: the run, whose prompt is evaluated again.
    ///   - positions: positions that are changed; `nil`: all.
    /// - Throws: `SweepProblem` if the runs do not fit together, `ReplayProblem` if they take too much memory.
    public init(
        _ run: Replay, over unit: SweepPlan.Unit, change: Sweep.Change, metric: LogitMetric,
        positions: Set<Int>? = nil, threads: Int
    ) throws {
        let clean = try run.pass(0, threads: threads)
        var patch: Pass?
        if case .patch(let replay) = change { patch = try Sweep.pass(of: replay, beside: run, threads: threads) }
        let graph = clean.interpreter.graph
        let plan = SweepPlan(
            unit, in: graph, of: run.model, tokens: clean.tokens.count, positions: positions
        ) { layer in
            guard let node = graph.nodes.last(where: { $0.role.result == .routerChoice && $0.layer == layer }),
                let own = clean.interpreter.value(of: .node(node.index))
            else { return nil }
            return (own, patch?.interpreter.value(of: .node(node.index)))
        }
        guard !plan.parts.isEmpty else { throw SweepProblem.noParts(model: run.model.file.path, unit: unit.rawValue) }
        let again = ChangedPass(run, clean, threads: threads)
        self.init(plan, clean, patch, metric) { part in
            let node = graph.origin(of: part.node)!.node
            let edits = Sweep.edits(part, in: graph, change, clean.interpreter, patch?.interpreter)
            return try again.run(from: node, [node: edits])
        }
    }

    /// - Parameters:
    ///   - clean: the run's own pass.
    ///   - patch: that of the other run, if there is one.
    ///   - changed: the pass with a part changed.
    init(
        _ plan: SweepPlan, _ clean: Pass, _ patch: Pass?, _ metric: LogitMetric,
        changed: @escaping (SweepPlan.Part) throws -> (pass: Pass, evaluated: Int)
    ) {
        let logits = clean.logits!
        self.plan = plan
        self.metric = { metric.value($0.logits!, base: logits) }
        base = self.metric(clean)
        other = patch.map(self.metric)
        nodes = clean.interpreter.graph.nodes.count
        self.changed = changed
    }

    /// What the prediction becomes when a part of the plan is changed.
    public func cell(_ number: Int) throws -> Sweep.Cell {
        let part = plan.parts[number]
        let (pass, evaluated) = try changed(part)
        return Sweep.Cell(
            layer: part.layer, column: part.column, name: part.name, value: metric(pass), nodes: evaluated)
    }

    /// - Parameter cells: of all parts, in order.
    public func sweep(_ cells: [Sweep.Cell]) -> Sweep {
        let evaluated = cells.reduce(0) { $0 + $1.nodes }
        return Sweep(
            plan: plan, cells: cells, base: base, other: other,
            share: Double(evaluated) / Double(max(1, nodes * cells.count)))
    }
}
