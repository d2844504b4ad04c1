import ComputeGraph
import LlamaModel
import Operations
import Tensors

/// A question that not every network has an answer to, and what it needs of one.
public struct Analysis: Sendable {
    public enum Need: Sendable, Hashable {
        /// A part is there: in each layer, if it is a layer's.
        case result(NodeRole.Part)
        /// The residual stream is a sum: of the embedding and what attention and feed-forward network of each layer write,
        /// each a matrix's product, with biases, scales and norms.
        case sum
        /// What makes a logit of the stream after the last layer reads nothing else but weights.
        case readout
        /// A part of a layer is linear in what its matrix makes, biases aside, so that the mean of two heads' rows makes the
        /// mean of the heads.
        case linear(NodeRole.Part)
        /// Each head of a part is computed from its own rows, in the same way as all others.
        case headByHead(NodeRole.Part)
    }

    /// As the command is called: `explain logit`.
    public let name: String
    public let needs: [Need]

    public init(_ name: String, needs: [Need]) { (self.name, self.needs) = (name, needs) }

    /// - Parameter architecture: as `general.architecture` has it.
    /// - Throws: `AnalysisProblem` with the first need that the network of a pass does not meet.
    public func check(_ network: Graph, of architecture: String) throws(AnalysisProblem) {
        for need in needs {
            guard let found = network.obstacle(to: need) else { continue }
            throw AnalysisProblem(analysis: name, need: need, architecture: architecture, found: found)
        }
    }

    /// - Throws: `AnalysisProblem` with the first need that the model's network does not meet.
    public func check(_ model: Llama) throws {
        try check(model.networkOfOneToken.graph, of: model.configuration.architecture)
    }
}

extension Llama {
    /// The network as a pass over one token has it.
    var networkOfOneToken: LlamaGraph {
        get throws(GraphError) {
            try LlamaGraph(self, tokens: [0], cache: KVCache(configuration, capacity: 1))
        }
    }
}

/// A network that an analysis does not fit.
public struct AnalysisProblem: InputProblem, Equatable {
    /// `nil` where whoever asked did not say what for.
    let analysis: String?
    let need: Analysis.Need
    let architecture: String
    let found: String

    public var description: String { "\(analysis ?? "the analysis") needs \(need.words); \(architecture) \(found)." }

    /// A part that a network does not have.
    package static func noPart(_ part: NodeRole.Part, layer: Int?, architecture: String) -> AnalysisProblem {
        AnalysisProblem(
            analysis: nil, need: .result(part), architecture: architecture, found: Graph.lacks(part, layer: layer))
    }

    /// A node that nothing can be followed through.
    package static func noWayBack(_ node: Node, architecture: String) -> AnalysisProblem {
        AnalysisProblem(analysis: nil, need: .sum, architecture: architecture, found: node.asObstacle)
    }
}

extension Analysis.Need {
    fileprivate var words: String {
        switch self {
        case .result(let part): "the part '\(part.rawValue)'"
        case .sum: "a residual stream that is a sum of what embedding, attention and feed-forward networks write"
        case .readout: "logits that are read off the stream after the last layer"
        case .linear(let part): "a \(part.rawValue) that is linear in what its matrix makes"
        case .headByHead(let part): "heads of the \(part.rawValue) that do not depend on each other"
        }
    }
}

extension Graph {
    /// Why the network does not meet a need; `nil` if it does.
    fileprivate func obstacle(to need: Analysis.Need) -> String? {
        switch need {
        case .result(let part): obstacle(toResult: part)
        case .sum: obstacleToSum
        case .readout: obstacleToReadout
        case .linear(let part):
            obstacle(along: part) { node, _ in
                switch node.operation {
                case is RMSNorm: "normalises it first (RMS_NORM '\(node.name)')"
                case is Mul: nil  // what a norm left; alone it is linear
                default: node.keepsSums ? nil : node.asObstacle
                }
            }
        case .headByHead(let part):
            obstacle(along: part) { node, result in
                let isNorm = node.operation is RMSNorm || node.operation is Mul
                guard isNorm, node.layout.shape.ne0 != result.layout.shape.ne0 else {
                    return isNorm || node.keepsSums ? nil : node.asObstacle
                }
                return "normalises all heads together (\(node.kind) '\(node.name)')"
            }
        }
    }

    private var layers: [Int] { Set(nodes.compactMap(\.layer)).sorted() }

    private func result(_ part: NodeRole.Part, layer: Int?) -> Node? {
        nodes.last { $0.role.result == part && $0.layer == layer }
    }

    fileprivate static func lacks(_ part: NodeRole.Part, layer: Int?) -> String {
        "has no '\(part.rawValue)'" + (layer.map { " in layer \($0)" } ?? "")
    }

    private func obstacle(toResult part: NodeRole.Part) -> String? {
        for layer in part.isOfLayer ? layers.map(Optional.init) : [nil] where result(part, layer: layer) == nil {
            return Self.lacks(part, layer: layer)
        }
        return nil
    }

    /// What is done to a part between its matrix and its result, in each layer.
    private func obstacle(
        along part: NodeRole.Part, in wanted: [Int]? = nil, _ problem: (Node, _ result: Node) -> String?
    ) -> String? {
        for layer in wanted ?? layers {
            guard let result = result(part, layer: layer) else { return Self.lacks(part, layer: layer) }
            var node = result
            while !(node.operation is MatMul) {
                if let problem = problem(node, result) { return problem }
                guard case .node(let index)? = node.inputs.first else { return node.asObstacle }
                node = nodes[index]
            }
        }
        return nil
    }

    private var obstacleToSum: String? {
        guard let embedding = result(.embedding, layer: nil) else { return Self.lacks(.embedding, layer: nil) }
        let sparse = layers.filter { result(.expertOutput, layer: $0) != nil }
        for layer in sparse {
            if let problem = obstacleToSumOfExperts(in: layer) { return problem }
        }
        for part in [NodeRole.Part.attentionWrite, .feedForwardWrite] {
            let wanted = part == .feedForwardWrite ? layers.filter { !sparse.contains($0) } : layers
            let problem = obstacle(along: part, in: wanted) { node, _ in
                node.keepsSums || node.operation is RMSNorm || node.operation is Mul ? nil : node.asObstacle
            }
            if let problem { return problem }
        }
        var stream = embedding
        for layer in layers {
            guard let node = result(.layerOutput, layer: layer) else { return Self.lacks(.layerOutput, layer: layer) }
            let writes = [NodeRole.Part.attentionWrite, .feedForwardWrite].map { result($0, layer: layer)!.index }
            let expected = Set(([stream.index] + writes).map { unpicked(.node($0)) })
            guard terms(of: node, in: layer) == expected else { return node.asObstacle }
            stream = node
        }
        return nil
    }

    /// What a sum of the stream adds, by way of the sums before it in the layer.
    private func terms(of sum: Node, in layer: Int) -> Set<Source> {
        let sums: Set<NodeRole> = [.init(.attentionResidual), .init(.layerOutput, .partial)]
        return sum.inputs.reduce(into: []) { terms, source in
            let source = unpicked(source)
            guard case .node(let index) = source, nodes[index].layer == layer, nodes[index].operation is Add,
                sums.contains(nodes[index].role)
            else {
                terms.insert(source)
                return
            }
            terms.formUnion(self.terms(of: nodes[index], in: layer))
        }
    }

    /// What a layer with experts writes must be the sum of what they make, and of what the one for all tokens makes.
    private func obstacleToSumOfExperts(in layer: Int) -> String? {
        guard let write = result(.feedForwardWrite, layer: layer) else {
            return Self.lacks(.feedForwardWrite, layer: layer)
        }
        var open = [write]
        while let node = open.popLast() {
            if [.expertOutput, .sharedOutput].contains(node.role.result) { continue }
            guard node.operation is Add || node.operation.isView || node.operation is Cont else {
                return node.asObstacle
            }
            for source in node.inputs {
                guard case .node(let index) = source else { return node.asObstacle }
                open.append(nodes[index])
            }
        }
        return nil
    }

    /// The rows that others were picked from.
    private func unpicked(_ source: Source) -> Source {
        guard case .node(let index) = source, nodes[index].operation is GetRows, nodes[index].layer != nil else {
            return source
        }
        return nodes[index].inputs[0]
    }

    private var obstacleToReadout: String? {
        guard let logits = result(.logits, layer: nil) else { return Self.lacks(.logits, layer: nil) }
        guard result(.finalNorm, layer: nil) != nil else { return Self.lacks(.finalNorm, layer: nil) }
        guard let stream = lastStream, readout != nil else { return logits.asObstacle }
        return stream.index < logits.index ? nil : logits.asObstacle
    }

    /// The residual stream after the last layer.
    private var lastStream: Node? { nodes.last { $0.role.result?.isResidual ?? false } }

    /// What makes logits of the residual stream after the last layer, as a graph of its own with one input, `residual`;
    /// `nil` if it reads anything else that is no weight.
    var readout: Graph? {
        guard let stream = lastStream else { return nil }
        var (leaves, kept, sources) = ([Leaf](), [Node](), [Source: Source]())
        func leaf(_ source: Source, _ leaf: Leaf) {
            leaves.append(leaf)
            sources[source] = .leaf(leaves.count - 1)
        }
        leaf(.node(stream.index), Leaf(name: "residual", layout: stream.layout, role: .input))
        for node in nodes[(stream.index + 1)...] {
            // Tokens chosen after the last layer: here there is one.
            if node.operation is GetRows, node.inputs[0] == .node(stream.index) {
                sources[.node(node.index)] = sources[node.inputs[0]]
                continue
            }
            for source in node.inputs where sources[source] == nil {
                guard case .leaf(let index) = source, self.leaves[index].role == .weight else { return nil }
                leaf(source, self.leaves[index])
            }
            sources[.node(node.index)] = .node(kept.count)
            kept.append(node.moved(to: kept.count, inputs: node.inputs.map { sources[$0]! }))
        }
        return Graph(leaves: leaves, nodes: kept)
    }
}

extension Node {
    /// Whether the sum of two inputs gives the sum of their outputs, biases aside.
    fileprivate var keepsSums: Bool {
        operation.isView || operation is RoPE || operation is Scale || operation is Add || operation is Cont
            || operation is GetRows
    }

    fileprivate var asObstacle: String { "has \(kind) '\(name)' there" }
}
