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

    /// The B-trees of the file: its tables and indices. The smallest takes a page.
    private enum Tree: CaseIterable {
        case model, metadata, weight, weightByName, run, token, pass, passByStep, operation, operationByPlace
        case operationByName, input, inputBySource, tensor, tensorByOperation, gqaMap, attentionHead, kvCache, logit
        case logitByPass, quantError, intervention, patchValue, patchValueByStep
    }

    /// Pages of each tree, the last one by its filled part.
    private typealias Pages = [Tree: Double]

    /// Pages that hold the text of the schema.
    private static let schemaPages = 5.0

    /// - Parameters:
    ///   - promptTokens: tokens of the prefill pass.
    ///   - decodes: passes of one token that follow it.
    /// - Throws: `TraceError.noMatch` if one of the capture's names fits no operation.
    public init(model: Llama, capture: Capture, promptTokens: Int, decodes: Int) throws {
        var cache = KVCache(model.configuration, capacity: max(promptTokens + decodes, Session.defaultContext))
        func cost(tokens: Int, at position: Int) throws -> PassSize {
            cache.count = position
            let graph = try LlamaGraph(
                model.configuration, model.weights, tokens: Array(repeating: 0, count: tokens), cache: cache
            ).graph
            try Self.checkNames(of: capture, in: graph)
            return Self.cost(of: graph, tokens: tokens, capture)
        }
        let prefill = try cost(tokens: promptTokens, at: 0)
        var values = prefill.values
        var pages = Self.modelPages(model).merging(prefill.pages, uniquingKeysWith: +)
        if decodes > 0 {
            // A decode pass grows by the same amount each time, so first and last give the mean.
            for position in [promptTokens, promptTokens + decodes - 1] {
                let pass = try cost(tokens: 1, at: position)
                values += pass.values * decodes / 2
                pages.merge(pass.pages.mapValues { $0 * Double(decodes) / 2 }, uniquingKeysWith: +)
            }
        }
        let passes = decodes + 1
        pages[.logit] = PageCount.table(passes * 20, rowBytes: RowBytes.logit)
        pages[.logitByPass] = PageCount.index(passes * 20, keyBytes: 14)  // its pages are half full
        pages[.kvCache] = PageCount.index(passes * model.configuration.layers, keyBytes: RowBytes.kvCache)
        pages[.token] = PageCount.index(promptTokens + passes, keyBytes: RowBytes.token)
        var total = Self.schemaPages
        for tree in Tree.allCases {
            let leaves = max(1, (pages[tree] ?? 0).rounded(.up))
            // Several leaves have a root above them; of indices it is part of what was measured.
            let isTable = [Tree.operation, .tensor, .weight, .logit].contains(tree)
            total += leaves + (isTable && leaves > 1 ? 1 : 0)
        }
        self.values = values
        rows = Int(total) * PageCount.pageBytes - values
    }

    /// - Throws: `TraceError.tooLarge` if the trace would take more than `limit` bytes.
    public func check(limit: Int) throws(TraceError) {
        if total > limit { throw .tooLarge(estimate: total, limit: limit) }
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
        var pages: Pages = [:]
    }

    private static func cost(of graph: Graph, tokens: Int, _ capture: Capture) -> PassSize {
        guard capture.policy != .none else { return PassSize() }
        var size = PassSize()
        var (operations, tensors) = (PageCount(), PageCount())
        for node in graph.nodes {
            let name = node.name.utf8.count
            operations.append(
                RowBytes.operation + name + node.kind.utf8.count + node.operation.parametersJSON.utf8.count)
            size.pages[.operationByName, default: 0] += PageCount.index(1, keyBytes: name + 5)
            for input in node.inputs {
                size.pages[.input, default: 0] += PageCount.index(1, keyBytes: RowBytes.input + names(of: input, graph))
            }
            size.pages[.inputBySource, default: 0] += PageCount.index(node.inputs.count, keyBytes: 7)
            if node.kind == "SOFT_MAX" {
                size.pages[.attentionHead, default: 0] += PageCount.index(
                    node.layout.shape.rows, keyBytes: RowBytes.attentionHead)
            }
            let inputs = node.inputs.map(graph.layout(of:))
            if let selection = Selection(node, inputs: inputs, tokens: tokens, capture: capture) {
                size.values += selection.bytes
                tensors.append(RowBytes.tensor + selection.bytes)
                size.pages[.tensorByOperation, default: 0] += PageCount.index(1, keyBytes: 8)
            }
        }
        size.pages[.operation] = operations.pages
        size.pages[.operationByPlace] = PageCount.index(graph.nodes.count, keyBytes: 8)
        size.pages[.tensor] = tensors.pages
        return size
    }

    /// Bytes of an input's name; inputs of the run have it in column `leaf` too.
    private static func names(of source: Source, _ graph: Graph) -> Int {
        let bytes = graph.name(of: source).utf8.count
        if case .leaf(let index) = source, graph.leaves[index].role != .weight { return 2 * bytes }
        return bytes
    }

    private static func modelPages(_ model: Llama) -> Pages {
        let card = ModelCard(model)
        var weights = PageCount()
        var pages: Pages = [:]
        for weight in card.weights {
            weights.append(RowBytes.weight + weight.name.utf8.count + weight.role.utf8.count)
            pages[.weightByName, default: 0] += PageCount.index(1, keyBytes: weight.name.utf8.count + 5)
        }
        for entry in card.entries {
            let bytes = RowBytes.metadata + entry.key.utf8.count + entry.type.utf8.count + entry.value.utf8.count
            pages[.metadata, default: 0] += PageCount.index(1, keyBytes: bytes)
        }
        pages[.weight] = weights.pages
        pages[.gqaMap] = PageCount.index(
            card.configuration.layers * card.configuration.heads, keyBytes: RowBytes.gqaMap)
        return pages
    }
}
