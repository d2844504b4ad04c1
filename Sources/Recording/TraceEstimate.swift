import ComputeGraph
import LlamaModel

/// How large a trace will be, before anything runs.
public struct TraceEstimate: Sendable, Equatable {
    /// Captured values, in bytes.
    public let values: Int
    /// Rows of all tables, indices included, in bytes.
    public let rows: Int
    public var total: Int { values + rows }

    /// Measured on traces of models of 64 to 49,152 tokens, 1 to 30 layers: bytes a row of each kind takes, indices and
    /// page overhead included.
    private enum RowBytes {
        static let operation = 330
        static let input = 75
        static let tensor = 60
        static let attentionHead = 62
        static let weight = 130
        static let file = 400_000
    }

    /// - Parameters:
    ///   - promptTokens: tokens of the prefill pass.
    ///   - decodes: passes of one token that follow it.
    /// - Throws: `TraceError.noMatch` if one of the capture's names fits no operation.
    public init(model: Llama, capture: Capture, promptTokens: Int, decodes: Int) throws {
        var cache = KVCache(model.configuration, capacity: max(promptTokens + decodes, Session.defaultContext))
        func cost(tokens: Int, at position: Int) throws -> (values: Int, rows: Int) {
            cache.count = position
            let graph = try LlamaGraph(
                model.configuration, model.weights, tokens: Array(repeating: 0, count: tokens), cache: cache).graph
            try Self.checkNames(of: capture, in: graph)
            return Self.cost(of: graph, tokens: tokens, capture)
        }
        var (values, rows) = try cost(tokens: promptTokens, at: 0)
        if decodes > 0 {
            // A decode pass grows by the same amount each time, so first and last give the mean.
            let first = try cost(tokens: 1, at: promptTokens)
            let last = try cost(tokens: 1, at: promptTokens + decodes - 1)
            values += (first.values + last.values) * decodes / 2
            rows += (first.rows + last.rows) * decodes / 2
        }
        let vocabularyText = 60 * 1024  // metadata: a chat template and the like
        self.values = values
        self.rows = rows + model.file.tensors.count * RowBytes.weight + vocabularyText + (decodes + 1) * 20 * 60
    }

    private static func checkNames(of capture: Capture, in graph: Graph) throws {
        for pattern in capture.names {
            let single = Capture(.all, names: [pattern])
            guard graph.nodes.contains(where: { single.keepsValues(of: $0.name) }) else {
                throw TraceError.noMatch(
                    pattern: pattern, suggestions: nearest(to: pattern, in: graph.nodes.map(\.name)))
            }
        }
    }

    private static func cost(of graph: Graph, tokens: Int, _ capture: Capture) -> (values: Int, rows: Int) {
        guard capture.policy != .none else { return (0, 0) }
        var (values, rows) = (0, 0)
        for node in graph.nodes {
            rows += RowBytes.operation + node.inputs.count * RowBytes.input
            if node.kind == "SOFT_MAX" { rows += node.layout.shape.rows * RowBytes.attentionHead }
            let inputs = node.inputs.map(graph.layout(of:))
            if let selection = Selection(node, inputs: inputs, tokens: tokens, capture: capture) {
                values += selection.bytes
                rows += RowBytes.tensor
            }
        }
        return (values, rows)
    }
}
