import ComputeGraph
import LlamaModel
import Measuring
import Recording
import Tensors

/// What a run's prediction becomes when one part of it after the other is changed, as `SweepWork` found out.
///
/// Each part alone is given the values of another run, zero, or its mean over the positions. Computed is what depends on
/// it: from its layer on. The bits are those of a whole run with that change.
public struct Sweep: Sendable {
    /// What a part gets in the place of its values.
    public enum Change: Sendable {
        /// The values of another run over as many tokens.
        case patch(Replay)
        case zero
        /// Of each element its mean over the run's positions; of an expert, over the tokens that it was chosen for.
        case mean
    }

    public struct Cell: Sendable, Codable {
        public let layer: Int
        public let column: Int
        public let name: String
        /// Of the metric, with the change.
        public let value: Double
        /// Nodes that were evaluated for it.
        let nodes: Int
    }

    public let plan: SweepPlan
    public let cells: [Cell]
    /// Of the metric: of the run itself, and of the other one.
    public let base: Double
    public let other: Double?
    /// Nodes that were evaluated, as a share of those of as many whole runs.
    public let share: Double

    /// The prompt's pass of the other run.
    static func pass(of other: Replay, beside run: Replay, threads: Int) throws -> Pass {
        guard other.tokens[0].count == run.tokens[0].count else {
            throw SweepProblem.lengths(
                clean: run.run.trace, tokens: run.tokens[0].count, corrupt: other.run.trace,
                others: other.tokens[0].count)
        }
        return try other.pass(0, threads: threads)
    }

    static func edits(
        _ part: SweepPlan.Part, in graph: Graph, _ change: Change, _ own: Interpreter, _ other: Interpreter?
    ) -> [Edit] {
        let (node, origin) = (graph.nodes[part.node], graph.origin(of: part.node)!)
        let values = own.value(of: .node(part.node))!
        return part.regions.map { region in
            let start = (0..<4).reduce(origin.byteOffset) {
                $0 + region.ranges[$1].lowerBound * node.layout.strides[$1]
            }
            let layout = Layout(
                type: .f32, shape: Shape(region.ranges.map(\.count)), strides: node.layout.strides)
            let new: Edit.Change
            switch change {
            case .zero: new = .set(0)
            case .patch:
                new =
                    region.source.map { .replace(other!.value(of: .node(part.node))!.values(in: $0)) } ?? .set(0)
            case .mean: new = .replace(mean(of: values, part, region, node))
            }
            return Edit(region: layout, byteOffset: start, change: new)
        }
    }

    /// For each element of a region the mean over the tokens of the run.
    private static func mean(
        of values: Tensor, _ part: SweepPlan.Part, _ region: SweepPlan.Region, _ node: Node
    ) -> [Float] {
        let dimension = node.tokenDimension
        // An expert's tokens are its regions; of all else, all tokens of the node.
        let isExpert = node.role.part == .expertOutput
        let sources: [[Range<Int>]] =
            isExpert
            ? part.regions.map(\.ranges)
            : (0..<node.layout.shape[dimension]).map { token in
                var ranges = region.ranges
                ranges[dimension] = token..<token + 1
                return ranges
            }
        var sums = [Double](repeating: 0, count: sources[0].reduce(1) { $0 * $1.count })
        for source in sources {
            for (index, value) in values.values(in: source).enumerated() { sums[index] += Double(value) }
        }
        let means = sums.map { Float($0 / Double(sources.count)) }
        return (0..<region.ranges[dimension].count).flatMap { _ in means }
    }
}

/// A run's prompt, read again with changes: what comes before them is known.
struct ChangedPass {
    private let run: Replay
    private let clean: Pass
    /// One for all: each run writes what it reads of the caches itself.
    private let session: Session

    init(_ run: Replay, _ clean: Pass, threads: Int) {
        (self.run, self.clean) = (run, clean)
        session = Session(run.model, capacity: run.capacity, threads: threads)
    }

    /// - Parameters:
    ///   - node: the first that is changed.
    ///   - edits: by node, beside the run's own.
    ///   - end: the node to stop before; `nil`: none.
    /// - Returns: the pass, and how many nodes were evaluated.
    func run(from node: Int, _ edits: [Int: [Edit]], until end: Int? = nil) throws -> (pass: Pass, evaluated: Int) {
        let graph = clean.interpreter.graph
        var pass = try session.pass(over: clean.tokens)
        pass.interpreter.edits = try run.interventions.edits(in: graph, step: 0).merging(edits, uniquingKeysWith: +)
        let start = graph.restart(for: node)
        let known = graph.values(readFrom: start)
        pass.interpreter.begin(
            at: start,
            knowing: Dictionary(uniqueKeysWithValues: known.map { ($0, clean.interpreter.value(of: .node($0))!) }))
        try pass.interpreter.run(until: end)
        return (pass, (end ?? graph.nodes.count) - start)
    }
}

extension Tensor {
    /// The values inside, `ne0` fastest.
    func values(in ranges: [Range<Int>]) -> [Float] {
        var values: [Float] = []
        for i3 in ranges[3] {
            for i2 in ranges[2] {
                for i1 in ranges[1] { values += row(i1, i2, i3)[ranges[0]] }
            }
        }
        return values
    }
}

extension Graph {
    /// The node to begin at so that all that depends on a node is evaluated, and no cache is read that was not written since.
    fileprivate func restart(for node: Int) -> Int {
        guard let layer = nodes[node].layer else { return node }
        let readsCache = nodes[node...].contains { later in
            later.layer == layer && later.inputs.contains { leaf(behind: $0)?.role == .cache }
        }
        return readsCache ? nodes.first { $0.layer == layer }!.index : node
    }
}

/// A sweep that cannot be made.
public enum SweepProblem: InputProblem, Equatable {
    case lengths(clean: String, tokens: Int, corrupt: String, others: Int)
    case noParts(model: String, unit: String)
    case models(clean: String, corrupt: String)
    case metric(option: String, text: String)
    case receiver(model: String, name: String, reason: String)
}

extension SweepProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .lengths(let clean, let tokens, let corrupt, let others):
            "\(clean) has a prompt of \(tokens) tokens and \(corrupt) one of \(others): values can only be exchanged "
                + "position by position. Choose prompts of as many tokens; `quipu tokenize` counts them."
        case .noParts(let model, let unit):
            "\(model): found no \(unit) to change. Experts are of models that have some."
        case .models(let clean, let corrupt):
            "\(clean) and \(corrupt) were recorded from different models, or with different weights. Trace both prompts "
                + "with one model."
        case .receiver(let model, let name, let reason):
            "\(model): --to \(name): \(reason)."
        case .metric(let option, let text):
            "\(option) '\(text)': expected a sum of quoted tokens, such as \"' Mary' - ' John'\" or '#504 - #1002', or kld."
        }
    }
}
