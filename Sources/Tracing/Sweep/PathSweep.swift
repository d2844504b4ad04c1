import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// A head by which values are received: what it asks, is asked by, or hands on.
public struct PathReceiver: Sendable {
    public enum Input: String, Sendable, CaseIterable {
        case query, key, value

        var role: NodeRole.Part {
            switch self {
            case .query: .query
            case .key: .key
            case .value: .value
            }
        }
    }

    public let layer: Int
    /// A query head; its keys and values are those of its KV head.
    public let head: Int
    public let input: Input

    public init(layer: Int, head: Int, input: Input) { (self.layer, self.head, self.input) = (layer, head, input) }

    /// `23.3 query`
    public var name: String { "\(layer).\(head) \(input.rawValue)" }
}

extension SweepWork {
    /// Path patching: what each earlier head does by way of one head's query, key or value.
    ///
    /// The head that sends has its values of another run. All heads between it and the receiver keep their own, so that what
    /// it does reaches the receiver through the residual stream and the feed-forward networks, by no other head. What the
    /// receiver's input is then, is all that is changed in the run that is measured. Source: Wang et al., "Interpretability
    /// in the wild" (2022), Goldowsky-Dill et al. (2023).
    ///
    /// - Parameter positions: positions at which the senders are changed; `nil`: all.
    /// - Throws: `SweepProblem` if there is no such head, or the runs do not fit together.
    public init(
        _ run: Replay, from other: Replay, to receiver: PathReceiver, metric: LogitMetric,
        positions: Set<Int>? = nil, threads: Int
    ) throws {
        let clean = try run.pass(0, threads: threads)
        let graph = clean.interpreter.graph
        let place = try Self.place(of: receiver, in: graph, of: run.model, tokens: clean.tokens.count)
        let patch = try Sweep.pass(of: other, beside: run, threads: threads)
        let all = SweepPlan(.heads, in: graph, of: run.model, tokens: clean.tokens.count, positions: positions) { _ in
            nil
        }
        let mixes = graph.nodes.filter { $0.role.result == .mix && ($0.layer ?? .max) < receiver.layer }
        let (origin, again) = (graph.origin(of: place.node.index)!, ChangedPass(run, clean, threads: threads))
        self.init(all.limited { $0.layer < receiver.layer }, clean, patch, metric) { part in
            let sender = graph.origin(of: part.node)!.node
            var edits = [
                sender: Sweep.edits(part, in: graph, .patch(other), clean.interpreter, patch.interpreter)
            ]
            for mix in mixes where mix.layer! > part.layer {
                edits[graph.origin(of: mix.index)!.node] = [Self.kept(mix, in: graph, clean.interpreter)]
            }
            let (received, first) = try again.run(from: sender, edits, until: place.node.index + 1)
            let values = received.interpreter.value(of: .node(place.node.index))!.values(in: place.ranges)
            let edit = Self.edit(place.node, place.ranges, in: graph, .replace(values))
            let (pass, second) = try again.run(from: origin.node, [origin.node: [edit]])
            return (pass, first + second)
        }
    }

    /// A node's values as they were.
    private static func kept(_ node: Node, in graph: Graph, _ own: Interpreter) -> Edit {
        let ranges = (0..<4).map { 0..<node.layout.shape[$0] }
        return edit(node, ranges, in: graph, .replace(own.value(of: .node(node.index))!.values(in: ranges)))
    }

    private static func edit(_ node: Node, _ ranges: [Range<Int>], in graph: Graph, _ change: Edit.Change) -> Edit {
        let strides = node.layout.strides
        let start = (0..<4).reduce(graph.origin(of: node.index)!.byteOffset) {
            $0 + ranges[$1].lowerBound * strides[$1]
        }
        return Edit(
            region: Layout(type: .f32, shape: Shape(ranges.map(\.count)), strides: strides), byteOffset: start,
            change: change)
    }

    /// The node that makes a receiver's input, and the elements that are the head's.
    private static func place(
        of receiver: PathReceiver, in graph: Graph, of model: Llama, tokens: Int
    ) throws -> (node: Node, ranges: [Range<Int>]) {
        let c = model.configuration
        func refuse(_ reason: String) -> SweepProblem {
            .receiver(model: model.file.path, name: receiver.name, reason: reason)
        }
        guard (0..<c.layers).contains(receiver.layer) else {
            throw refuse("the model has layers 0 to \(c.layers - 1)")
        }
        guard receiver.layer > 0 else { throw refuse("no head is before layer 0, expected a later one") }
        let sizes = c.perLayer[receiver.layer]
        guard (0..<sizes.heads).contains(receiver.head) else {
            throw refuse("the layer has heads 0 to \(sizes.heads - 1)")
        }
        let isQuery = receiver.input == .query
        guard isQuery || sizes.latent == nil else {
            throw refuse("latent attention has no keys and values of single heads; a head's query can receive")
        }
        let node = graph.nodes.last { $0.role.result == receiver.input.role && $0.layer == receiver.layer }
        guard let node, graph.origin(of: node.index) != nil, node.layout.type == .f32 else {
            throw refuse("the network has no \(receiver.input.rawValue) of this layer that could be changed")
        }
        let (heads, shape) = (isQuery ? sizes.heads : sizes.kvHeads, node.layout.shape)
        let number = isQuery ? receiver.head : receiver.head / (sizes.heads / sizes.kvHeads)
        var ranges = (0..<4).map { 0..<shape[$0] }
        // Counted by heads, or all heads of a token in a row.
        let width = shape.count / tokens
        if shape.ne1 == heads, shape.ne0 * heads == width {
            ranges[1] = number..<number + 1
        } else {
            guard shape.ne0 == width, width % heads == 0 else {
                throw refuse("\(node.name) is \(shape), which is not counted by heads")
            }
            ranges[0] = number * (width / heads)..<(number + 1) * (width / heads)
        }
        return (node, ranges)
    }
}
