import ComputeGraph
import LlamaModel
import Measuring
import Recording
import Tensors

/// Parts of a run that are changed one at a time.
public struct SweepPlan: Sendable {
    /// What the parts are.
    public enum Unit: String, Sendable, CaseIterable {
        /// What one attention head mixes, before the output matrix.
        case heads
        /// What attention, and what the feed-forward network, of a layer adds to the stream.
        case layers
        /// The stream after a layer, at one position.
        case positions
        /// What one expert adds to the stream, where the router chose it.
        case experts

        /// What it needs of a network.
        public func analysis(_ command: String) -> Analysis {
            switch self {
            case .heads: Analysis("\(command) --over heads", needs: [.result(.mix), .result(.logits)])
            case .layers:
                Analysis("\(command) --over layers", needs: [.result(.attentionWrite), .result(.feedForwardWrite)])
            case .positions: Analysis("\(command) --over positions", needs: [.result(.layerOutput)])
            case .experts: Analysis("\(command) --over experts", needs: [.result(.logits)])
            }
        }
    }

    /// One part: some elements of one node's output.
    public struct Part: Sendable {
        /// A row of the result, and a column of it: a layer, and a head, a position, an expert, or 0 and 1 for attention and
        /// feed-forward network.
        public let layer: Int
        public let column: Int
        /// llama.cpp's name of the node.
        public let name: String
        let node: Int
        /// In the node's output.
        let regions: [Region]
    }

    /// Elements `[rows of ne0] x [tokens]` of a node's output, and where in the other run's the same are.
    struct Region: Sendable {
        let ranges: [Range<Int>]
        /// Where the other run's node has what stands for them; `nil`: nowhere, it is zero there.
        let source: [Range<Int>]?
    }

    public let unit: Unit
    public let parts: [Part]
    /// What columns are called.
    public let columns: [String]
    public var layers: [Int] { Array(Set(parts.map(\.layer))).sorted() }

    /// - Parameters:
    ///   - positions: positions that are changed; `nil`: all.
    ///   - choices: of each layer's router the experts in order of preference, `[X,T]`, of this run and of the other.
    public init(
        _ unit: Unit, in graph: Graph, of model: Llama, tokens: Int, positions: Set<Int>?,
        choices: (_ layer: Int) -> (own: Tensor, other: Tensor?)?
    ) {
        self.unit = unit
        var builder = Builder(graph: graph, model: model, tokens: tokens, positions: positions ?? Set(0..<tokens))
        switch unit {
        case .heads: builder.addHeads()
        case .layers: builder.addLayers()
        case .positions: builder.addPositions()
        case .experts: builder.addExperts(choices)
        }
        parts = builder.parts
        switch unit {
        case .layers: columns = ["attention", "feed-forward"]
        default: columns = (0..<((parts.map(\.column).max() ?? -1) + 1)).map(String.init)
        }
    }
}

extension SweepPlan {
    /// Some of the parts.
    func limited(to isMeant: (Part) -> Bool) -> SweepPlan {
        SweepPlan(unit: unit, parts: parts.filter(isMeant), columns: columns)
    }

    private init(unit: Unit, parts: [Part], columns: [String]) {
        (self.unit, self.parts, self.columns) = (unit, parts, columns)
    }
}

private struct Builder {
    let graph: Graph
    let model: Llama
    let tokens: Int
    let positions: Set<Int>
    var parts: [SweepPlan.Part] = []

    private var layers: Range<Int> { 0..<model.configuration.layers }

    private func result(_ part: NodeRole.Part, _ layer: Int) -> Node? {
        graph.nodes.last { $0.role.result == part && $0.layer == layer }
    }

    /// The index ranges of a node's tokens that are meant, one for each run of neighbours. After the last layer's attention
    /// a node may have the last tokens only.
    private func tokenRanges(_ node: Node, only: Set<Int>? = nil) -> [Range<Int>] {
        let extent = node.layout.shape[node.tokenDimension]
        let meant = (only ?? positions).map { $0 - (tokens - extent) }.filter { $0 >= 0 }.sorted()
        return meant.reduce(into: []) { ranges, token in
            if let last = ranges.last, last.upperBound == token {
                ranges[ranges.count - 1] = last.lowerBound..<token + 1
            } else {
                ranges.append(token..<token + 1)
            }
        }
    }

    private func region(_ node: Node, _ first: Range<Int>?, _ tokens: Range<Int>) -> SweepPlan.Region {
        var ranges = (0..<4).map { 0..<node.layout.shape[$0] }
        if let first { ranges[0] = first }
        ranges[node.tokenDimension] = tokens
        return .init(ranges: ranges, source: ranges)
    }

    private mutating func add(_ node: Node, _ column: Int, _ regions: [SweepPlan.Region]) {
        guard !regions.isEmpty else { return }
        parts.append(
            .init(layer: node.layer!, column: column, name: node.name, node: node.index, regions: regions))
    }

    mutating func addHeads() {
        for layer in layers {
            guard let node = result(.mix, layer) else { continue }
            let heads = model.configuration.perLayer[layer].heads
            let size = node.layout.shape.ne0 / heads
            for head in 0..<heads {
                add(node, head, tokenRanges(node).map { region(node, head * size..<(head + 1) * size, $0) })
            }
        }
    }

    mutating func addLayers() {
        for layer in layers {
            for (column, part) in [NodeRole.Part.attentionWrite, .feedForwardWrite].enumerated() {
                guard let node = result(part, layer) else { continue }
                add(node, column, tokenRanges(node).map { region(node, nil, $0) })
            }
        }
    }

    mutating func addPositions() {
        for layer in layers {
            guard let node = result(.layerOutput, layer) else { continue }
            for position in positions.sorted() {
                add(node, position, tokenRanges(node, only: [position]).map { region(node, nil, $0) })
            }
        }
    }

    mutating func addExperts(_ choices: (Int) -> (own: Tensor, other: Tensor?)?) {
        for layer in layers {
            guard let node = result(.expertOutput, layer), let choice = choices(layer) else { continue }
            let (used, extent) = (node.layout.shape.ne1, node.layout.shape.ne2)
            func chosen(_ tensor: Tensor, _ token: Int) -> [Int] {
                let row = token + tensor.shape.ne1 - extent
                return tensor.withRow(of: Int32.self, row) { row in (0..<used).map { Int(row[$0]) } }
            }
            for expert in 0..<choice.own.shape.ne0 {
                var regions: [SweepPlan.Region] = []
                for token in tokenRanges(node).joined() {
                    for slot in 0..<used where chosen(choice.own, token)[slot] == expert {
                        let ranges = [0..<node.layout.shape.ne0, slot..<slot + 1, token..<token + 1, 0..<1]
                        let other = choice.other.flatMap { chosen($0, token).firstIndex(of: expert) }
                        regions.append(
                            .init(
                                ranges: ranges,
                                source: other.map { [ranges[0], $0..<$0 + 1, ranges[2], ranges[3]] }))
                    }
                }
                add(node, expert, regions)
            }
        }
    }
}
