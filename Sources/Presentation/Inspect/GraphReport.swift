import ComputeGraph
import Tensors

/// The result of `graph`: the nodes of one pass in order of evaluation.
public struct GraphReport: Report {
    struct Line: Encodable {
        let seq: Int
        let name: String
        let kind: String
        @OrNull var layer: Int?
        let type: String
        let shape: [Int]
        let sources: [String]
        let flops: Int
        let bytesRead: Int
        let bytesWritten: Int
    }

    let nTokens: Int
    let nNodes: Int
    let nodes: [Line]
    private let edges: [(from: String, to: Int)]

    private enum CodingKeys: CodingKey { case nTokens, nNodes, nodes }

    /// - Parameter layer: only this layer's nodes; `nil`: all.
    public init(_ graph: Graph, tokens: Int, layer: Int?) {
        nTokens = tokens
        nNodes = graph.nodes.count
        let shown = graph.nodes.filter { layer == nil || $0.layer == layer }
        nodes = shown.map { node in
            let cost = graph.cost(of: node)
            return Line(
                seq: node.index, name: node.name, kind: node.kind, layer: node.layer, type: node.layout.type.name,
                shape: node.layout.shape.dimensions, sources: node.inputs.map(graph.name(of:)), flops: cost.operations,
                bytesRead: cost.bytesRead, bytesWritten: cost.bytesWritten)
        }
        edges = shown.flatMap { node in
            node.inputs.map { source in
                switch source {
                case .node(let index): ("n\(index)", node.index)
                case .leaf(let index): ("leaf \(index):\(graph.leaves[index].name)", node.index)
                }
            }
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([("seq", .right), ("kind", .left), ("name", .left), ("shape", .left), ("from", .left)])
        for node in nodes {
            table.add(
                "\(node.seq)", node.kind, node.name, "\(node.type) \(Shape(node.shape))",
                node.sources.joined(separator: ", "))
        }
        let title = nodes.count == nNodes ? "\(nNodes) nodes" : "\(nodes.count) of \(nNodes) nodes"
        return ([style.bold("\(title), a pass over \(Numbers.count(nTokens, "token"))")] + table.lines(style)).joined(
            separator: "\n")
    }

    /// The graph for Graphviz: a cluster a layer, weights and inputs as plain text.
    public var dot: String {
        func quoted(_ text: String) -> String { "\"" + text.replacing("\"", with: "\\\"") + "\"" }
        var lines = ["digraph llama {", "  rankdir=TB; node [shape=box, fontname=\"sans-serif\"];"]
        let byLayer = Dictionary(grouping: nodes, by: \.layer)
        for (layer, members) in byLayer.sorted(by: { ($0.key ?? .max) < ($1.key ?? .max) }) {
            if let layer { lines.append("  subgraph cluster_\(layer) { label=\"layer \(layer)\";") }
            for node in members {
                let label = "\(node.name)\\n\(node.kind)  \(node.type) \(Shape(node.shape))"
                lines.append("    n\(node.seq) [label=\(quoted(label))];")
            }
            if layer != nil { lines.append("  }") }
        }
        let known = Set(nodes.map { "n\($0.seq)" })
        for outside in Set(edges.map(\.from)).subtracting(known).sorted() {
            let label =
                outside.hasPrefix("leaf ")
                ? String(outside[outside.firstIndex(of: ":")!...].dropFirst()) : "node \(outside.dropFirst())"
            lines.append("  \(quoted(outside)) [label=\(quoted(label)), shape=plaintext];")
        }
        for edge in edges { lines.append("  \(quoted(edge.from)) -> n\(edge.to);") }
        return (lines + ["}"]).joined(separator: "\n")
    }
}
