import ComputeGraph
import LlamaModel

/// How large a trace will be, before anything runs.
///
/// Shapes, names and parameters are known from the graph, so rows are counted one by one and laid out in pages as SQLite
/// does. Only numbers vary in length; their mean was measured on traces of models of 1 to 30 layers, within 5 %.
public struct TraceEstimate: Sendable, Equatable {
    /// Captured values, in bytes.
    public let values: Int
    /// Everything else in the file, in bytes: rows of all tables, indices, and the unused rest of pages.
    public let rows: Int
    public var total: Int { values + rows }

    /// Bytes of a row besides its texts and blobs.
    private enum RowBytes {
        static let operation = 90
        static let input = 17
        static let tensor = 17
        static let attentionHead = 37
        static let weight = 28
        static let token = 30
        static let logit = 33
        static let kvCache = 23
        static let gqaMap = 8
        static let metadata = 5
    }

    /// Trees of the file, the smallest of which take a page, and the schema's own pages.
    private static let fixedPages = 20.0 + 3

    /// - Parameters:
    ///   - promptTokens: tokens of the prefill pass.
    ///   - decodes: passes of one token that follow it.
    /// - Throws: `TraceError.noMatch` if one of the capture's names fits no operation.
    public init(model: Llama, capture: Capture, promptTokens: Int, decodes: Int) throws {
        var cache = KVCache(model.configuration, capacity: max(promptTokens + decodes, Session.defaultContext))
        func cost(tokens: Int, at position: Int) throws -> PassSize {
            cache.count = position
            let graph = try LlamaGraph(
                model.configuration, model.weights, tokens: Array(repeating: 0, count: tokens), cache: cache).graph
            try Self.checkNames(of: capture, in: graph)
            return Self.cost(of: graph, tokens: tokens, capture)
        }
        var size = try cost(tokens: promptTokens, at: 0)
        if decodes > 0 {
            // A decode pass grows by the same amount each time, so first and last give the mean.
            let first = try cost(tokens: 1, at: promptTokens)
            let last = try cost(tokens: 1, at: promptTokens + decodes - 1)
            size.values += (first.values + last.values) * decodes / 2
            size.pages += (first.pages + last.pages) * Double(decodes) / 2
        }
        let passes = decodes + 1
        let pages =
            Self.fixedPages + size.pages + Self.modelPages(model)
            + Self.pages(passes * 20, of: RowBytes.logit) + PageCount.index(passes * 20, keyBytes: 8)
            + PageCount.index(passes * model.configuration.layers, keyBytes: Double(RowBytes.kvCache))
            + PageCount.index(promptTokens + passes, keyBytes: Double(RowBytes.token))
        values = size.values
        rows = Int(pages * Double(PageCount.pageBytes)) - size.values
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

    private struct PassSize {
        /// Bytes of captured values, which the pages contain.
        var values = 0
        var pages = 0.0
    }

    private static func cost(of graph: Graph, tokens: Int, _ capture: Capture) -> PassSize {
        guard capture.policy != .none else { return PassSize() }
        var size = PassSize()
        var (operations, tensors) = (PageCount(), PageCount())
        for node in graph.nodes {
            let name = node.name.utf8.count
            operations.append(
                RowBytes.operation + name + node.kind.utf8.count + node.operation.parametersJSON.utf8.count)
            // The indices by place and by name.
            size.pages += PageCount.index(1, keyBytes: 8) + PageCount.index(1, keyBytes: Double(name + 5))
            for input in node.inputs { size.pages += inputPages(input, graph) }
            if node.kind == "SOFT_MAX" {
                size.pages += PageCount.index(node.layout.shape.rows, keyBytes: Double(RowBytes.attentionHead))
            }
            let inputs = node.inputs.map(graph.layout(of:))
            if let selection = Selection(node, inputs: inputs, tokens: tokens, capture: capture) {
                size.values += selection.bytes
                tensors.append(RowBytes.tensor + selection.bytes)
                size.pages += PageCount.index(1, keyBytes: 8)
            }
        }
        size.pages += operations.pages + tensors.pages
        return size
    }

    /// An edge and its place in the index by source.
    private static func inputPages(_ source: Source, _ graph: Graph) -> Double {
        var bytes = RowBytes.input + graph.name(of: source).utf8.count
        // Inputs of the run have their name in column `leaf` too.
        if case .leaf(let index) = source, graph.leaves[index].role != .weight { bytes += graph.leaves[index].name.utf8.count }
        return PageCount.index(1, keyBytes: Double(bytes)) + PageCount.index(1, keyBytes: 7.5)
    }

    private static func modelPages(_ model: Llama) -> Double {
        let card = ModelCard(model)
        var weights = PageCount()
        var pages = PageCount.index(card.configuration.layers * card.configuration.heads, keyBytes: Double(RowBytes.gqaMap))
        for weight in card.weights {
            weights.append(RowBytes.weight + weight.name.utf8.count + weight.role.utf8.count)
            pages += PageCount.index(1, keyBytes: Double(weight.name.utf8.count + 5))
        }
        for entry in card.entries {
            let bytes = RowBytes.metadata + entry.key.utf8.count + entry.type.utf8.count + entry.value.utf8.count
            pages += PageCount.index(1, keyBytes: Double(bytes))
        }
        return pages + weights.pages
    }

    private static func pages(_ count: Int, of rowBytes: Int) -> Double {
        var rows = PageCount()
        for _ in 0..<count { rows.append(rowBytes) }
        return rows.pages
    }
}
