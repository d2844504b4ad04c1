import Tensors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Evaluates a graph node by node, all at once or as far as one wants, and tells observers what happened.
///
/// One node at a time and all at once give the same bits: the order of evaluation is the graph's either way.
public struct Interpreter {
    public let graph: Graph
    /// The node that `step` would evaluate next; `graph.nodes.count` when all are done.
    public private(set) var position = 0
    /// What is changed of nodes' values, by the node's index, in this order. Observers see values as they are then.
    public var edits: [Int: [Edit]] = [:]
    /// Values that are known already: where it has one for a node, the node is not evaluated.
    ///
    /// Asked about nodes with values of their own, neither for views nor for writes to the cache, which cost nothing.
    public var recall: ((Node) throws -> Tensor?)?

    /// Scores of attention that take more than this are made, shared out and read part by part, each part no larger: they
    /// are the only values that grow with the square of the tokens.
    public var partBytes = Interpreter.usualPartBytes
    public static let usualPartBytes = 4 << 20

    private let leaves: [Tensor]
    let workers: Workers
    private let observers: [any ExecutionObserver]
    var values: [Tensor?]
    /// Whether outputs stay to the end, for inspection, rather than to their last use.
    let keepsValues: Bool
    /// The first of the graph's fused nodes that have not been passed.
    var nextFused = 0
    /// The nodes before it were fetched.
    private var fetched = 0
    /// Means nothing, but has the compiler read what is to be fetched.
    private var sumOfFetched = 0
    private static let nodesFetched = 16
    /// What fusions made of inputs that several of them share; of `nil`, none can be used.
    var preparedInputs: [Source: Tensor?] = [:]

    /// - Parameters:
    ///   - leaves: a tensor for each leaf of the graph, in its order.
    ///   - keepsValues: whether outputs stay readable through `value(of:)` to the end, rather than to their last use.
    public init(
        graph: Graph, leaves: [Tensor], workers: Workers, observers: [any ExecutionObserver] = [],
        keepsValues: Bool = false
    ) {
        precondition(leaves.count == graph.leaves.count, "\(leaves.count) tensors for \(graph.leaves.count) leaves")
        for (leaf, tensor) in zip(graph.leaves, leaves) {
            precondition(leaf.layout == tensor.layout, "leaf \(leaf.name) is \(leaf.layout), got \(tensor.layout)")
        }
        self.graph = graph
        self.leaves = leaves
        self.workers = workers
        self.observers = observers
        values = Array(repeating: nil, count: graph.nodes.count)
        self.keepsValues = keepsValues
    }

    /// Begins at a node, as if those before it had been evaluated.
    ///
    /// - Parameter known: the values of nodes before it that it or later ones read, by index: `graph.values(readFrom:)` says
    ///   which. The memory of caches must hold what nodes before it would have written, as far as later ones read it.
    /// - Precondition: nothing has been evaluated.
    public mutating func begin(at node: Int, knowing known: [Int: Tensor]) {
        precondition(position == 0, "begun at node \(position) already")
        for (index, value) in known {
            precondition(index < node && value.layout == graph.nodes[index].layout, "value of node \(index)")
            values[index] = value
        }
        position = node
    }

    /// Begins after a cut.
    ///
    /// - Parameter known: the values that the cut needs, by index, and perhaps others.
    public mutating func begin(after cut: Cut, values known: [Int: Tensor]) {
        begin(at: cut.start, knowing: Dictionary(uniqueKeysWithValues: cut.values.map { ($0, known[$0]!) }))
    }

    public var isDone: Bool { position == graph.nodes.count }

    /// Evaluates one node.
    ///
    /// - Returns: what happened; `nil` when the graph is done.
    @discardableResult
    public mutating func step() throws -> Evaluation? {
        guard !isDone else { return nil }
        let node = graph.nodes[position]
        let inputs = node.inputs.map { value(of: $0)! }
        var nanoseconds = 0
        let output: Tensor
        switch node.output.memory {
        case .view(let slot, let byteOffset):
            output = inputs[slot].view(node.layout, at: byteOffset)
        case .inPlace(let slot):
            output = inputs[slot]
            nanoseconds = timed { node.operation.evaluate(inputs, into: output, on: workers) }
        case .fresh:
            if let joined = values[position] {
                output = joined
            } else if let known = try recall?(node) {
                precondition(known.layout == node.layout, "\(node.name) is \(node.layout), recalled \(known.layout)")
                output = known
            } else {
                output = .unwritten(node.layout.type, node.layout.shape)
                nanoseconds = timed { node.operation.evaluate(inputs, into: output, on: workers) }
            }
        }
        if !edits.isEmpty { edits[position]?.forEach { $0.apply(to: output) } }
        values[position] = output
        position += 1
        releaseDeadValues()

        let evaluation = Evaluation(node: node, inputs: inputs, output: output, nanoseconds: nanoseconds)
        try show(evaluation)
        return evaluation
    }

    /// Evaluates up to, and not including, the node at `end`, or all.
    ///
    /// Scores, pattern and mix are evaluated as one if no value of theirs is edited, recalled or kept, and no observer looks
    /// at scores; large ones part by part if every observer takes parts. Where nobody looks at scores, products of one token
    /// with one input are one job of the threads, too. The bits are the same.
    public mutating func run(until end: Int? = nil) throws {
        try Buffer.reusingMemory { try evaluate(until: min(end ?? graph.nodes.count, graph.nodes.count)) }
    }

    private mutating func evaluate(until end: Int) throws {
        let takesParts = !keepsValues && observers.allSatisfy(\.takesParts)
        let fuses = !keepsValues && !observers.contains(where: \.looksAtScores)
        let showsViews = observers.contains(where: \.looksAtViews)
        while position < end {
            if position >= fetched { fetchAhead() }
            if !showsViews, evaluateView() { continue }
            if fuses, try evaluateFused(until: end) || evaluateJoined(until: end) { continue }
            if takesParts, let chain = scoresInParts, chain.nodes.upperBound <= end {
                try evaluateInParts(chain)
            } else {
                try step()
            }
        }
    }

    /// Reads something from all the memory that evaluating the next nodes needs, but for values. Since the last pass all
    /// weights went through the caches: asked for together, what is far away is waited for once.
    private mutating func fetchAhead() {
        fetched = min(position + Self.nodesFetched, graph.nodes.count)
        for index in position..<fetched {
            let node = graph.nodes[index]
            sumOfFetched &+= node.index &+ node.tokenDimension &+ node.layout.shape.ne1 &+ node.layout.strides.nb3
            sumOfFetched &+= graph.readers.lastReads[index].count
            for case .leaf(let leaf) in node.inputs { sumOfFetched &+= leaves[leaf].offset }
            if values[index] != nil { sumOfFetched &+= 1 }
        }
    }

    /// Goes past a view that nobody wants to be shown.
    ///
    /// - Returns: whether the node at hand was one.
    private mutating func evaluateView() -> Bool {
        let node = graph.nodes[position]
        guard edits.isEmpty, case .view(let slot, let byteOffset) = node.output.memory else { return false }
        values[position] = value(of: node.inputs[slot])!.view(node.layout, at: byteOffset)
        position += 1
        releaseDeadValues()
        return true
    }

    /// Tells the observers, in their order.
    func show(_ evaluation: Evaluation) throws { for observer in observers { try observer.didEvaluate(evaluation) } }

    /// Goes on after nodes that were evaluated by other means than `step`.
    mutating func pass(_ nodes: Range<Int>) {
        for _ in nodes {
            position += 1
            releaseDeadValues()
        }
    }

    /// The tensor of a leaf or of an evaluated node; `nil` if not evaluated yet or no longer kept.
    public func value(of source: Source) -> Tensor? {
        switch source {
        case .leaf(let index): leaves[index]
        case .node(let index): values[index]
        }
    }

    /// The result of the graph is read by no node and so stays.
    private mutating func releaseDeadValues() {
        guard !keepsValues else { return }
        for input in graph.readers.lastReads[position - 1] { values[input] = nil }
    }
}

/// How long it took, in nanoseconds. The system's clock itself: a small operation takes no longer than the clocks of the
/// standard library.
func timed(_ body: () -> Void) -> Int {
    func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
    let start = now()
    body()
    return now() - start
}

/// One evaluated node with its tensors.
public struct Evaluation: Sendable {
    public let node: Node
    public let inputs: [Tensor]
    public let output: Tensor
    /// Wall time of the evaluation; 0 for views, which compute nothing, and for what was computed with an earlier node,
    /// whose time is that of both.
    public let nanoseconds: Int
    // Of a mix that was made part by part, `inputs` are those of the last part.
    /// What part of the node's output `output` is; `nil` for all of it.
    public let part: OutputPart?
    /// The nodes that were evaluated as one, the last of which is `node`; `inputs` are then those of all of them. The
    /// others have no values, and nobody is shown them.
    public let fused: FusedEvaluation?

    init(
        node: Node, inputs: [Tensor], output: Tensor, nanoseconds: Int, part: OutputPart? = nil,
        fused: FusedEvaluation? = nil
    ) {
        (self.node, self.inputs, self.output) = (node, inputs, output)
        (self.nanoseconds, self.part, self.fused) = (nanoseconds, part, fused)
    }

    /// What it cost, as far as layouts tell: only what was computed.
    public var cost: Cost {
        let layouts = inputs.map(\.layout)
        return fused?.fusion.cost(inputs: layouts, output: output.layout)
            ?? node.operation.cost(inputs: layouts, output: output.layout)
    }

    /// Whether the node is done with it: the last part, or all at once.
    public var isLast: Bool { part?.isLast ?? true }
}

/// Someone who wants to see every evaluated node, such as the recorder.
///
/// Called on the thread that evaluates, in order. Outputs stay as they are afterwards, except the cache's memory
/// (`Output.Memory.inPlace` and views of it), which later nodes change: copy what must be kept.
public protocol ExecutionObserver: AnyObject {
    /// Whether it can do with large scores, and the pattern made of them, part by part: heads in order, of each head its
    /// rows in order, which is the order of the values in memory. Parts of the nodes of one chain come in turns.
    ///
    /// Asked before each run. The default is no.
    var takesParts: Bool { get }

    /// Whether it looks at scores or at the pattern made of them, or at the time of each product. If no observer does, scores
    /// are not made: the mix of their values is evaluated with them as one, and shown alone. Products of one token with one
    /// input are then computed together, and the first has the time of all.
    ///
    /// Asked before each run. The default is yes.
    var looksAtScores: Bool { get }

    /// Whether it wants to be shown views, which compute nothing.
    ///
    /// Asked before each run. The default is yes.
    var looksAtViews: Bool { get }

    /// - Throws: to stop the run; the error reaches whoever called `run`.
    func didEvaluate(_ evaluation: Evaluation) throws
}

extension ExecutionObserver {
    public var takesParts: Bool { false }
    public var looksAtScores: Bool { true }
    public var looksAtViews: Bool { true }
}
