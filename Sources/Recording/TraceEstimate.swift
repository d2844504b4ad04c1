import ComputeGraph
import LlamaModel
import Tensors

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
        static let statistics = 57
        static let operation = 31
        static let input = 18
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
        case model, metadata, weight, weightByName, run, token, pass, passByStep, passByGraph, graph, operation
        case operationByName, operationByRole, input, inputBySource, statistics, tensor, tensorByOperation, gqaMap
        case attentionHead, kvCache, logit, logitByPass, quantError, quantBlock, opError, intervention, patchValue,
            patchValueByStep, expertChoice, router, sweep, tracked
    }

    /// Pages of each tree, the last one by its filled part.
    private typealias Pages = [Tree: Double]

    /// Pages that hold the text of the schema: a root, and two for its 15 KB.
    private static let schemaPages = 3.0
    /// Pages of a trace without rows: what migrations leave free is used as tables grow.
    private static let emptyPages = 37.0

    /// - Parameters:
    ///   - promptTokens: tokens of the prefill pass.
    ///   - decodes: passes of one token that follow it.
    /// - Throws: `TraceError.noMatch` if one of the capture's names fits no operation.
    public init(model: Llama, capture: Capture, promptTokens: Int, decodes: Int) throws {
        try self.init(model: model, capture: capture, prompts: [promptTokens], decodes: decodes)
    }

    /// The same for a run of each prompt.
    ///
    /// - Parameter prompts: how many tokens each has.
    public init(model: Llama, capture: Capture, prompts: [Int], decodes: Int) throws {
        var size = PassSize()
        for (tokens, runs) in Dictionary(grouping: prompts, by: \.self).mapValues(\.count) {
            let run = try Self.run(model, capture, promptTokens: tokens, decodes: decodes)
            size.values += run.values * runs
            size.add(run.pages.mapValues { $0 * Double(runs) })
        }
        var pages = Self.modelPages(model).merging(size.pages, uniquingKeysWith: +)
        let passes = (decodes + 1) * prompts.count
        pages[.logit] = PageCount.table(passes * 20, rowBytes: RowBytes.logit)
        pages[.logitByPass] = PageCount.index(passes * 20, keyBytes: 14)  // its pages are half full
        pages[.kvCache] = PageCount.index(passes * model.configuration.layers, keyBytes: RowBytes.kvCache)
        pages[.token] = PageCount.index(prompts.reduce(0, +) + passes, keyBytes: RowBytes.token)
        var total = Self.schemaPages
        for tree in Tree.allCases {
            let leaves = max(1, (pages[tree] ?? 0).rounded(.up))
            // Several leaves have a root above them; of indices it is part of what was measured.
            let isTable = [Tree.statistics, .tensor, .weight, .logit].contains(tree)
            total += leaves + (isTable && leaves > 1 ? 1 : 0)
        }
        total = max(total, Self.emptyPages)
        // What SQLite is told of them in the end: `TraceStore.takeStock`.
        if pages[.attentionHead] != nil { total += 1 }
        values = size.values
        rows = Int(total) * PageCount.pageBytes - values
    }

    /// Operations and values of a run.
    private static func run(
        _ model: Llama, _ capture: Capture, promptTokens: Int, decodes: Int
    ) throws -> PassSize {
        var cache = KVCache(model.configuration, capacity: max(promptTokens + decodes, Session.defaultContext))
        func llamaGraph(tokens: Int, at position: Int) throws -> LlamaGraph {
            cache.count = position
            return try LlamaGraph(
                model, tokens: Array(repeating: 0, count: tokens), cache: cache)
        }
        let prompt = try llamaGraph(tokens: promptTokens, at: 0).graph
        try Self.checkNames(of: capture, in: prompt)
        var size = Self.size(of: prompt, tokens: promptTokens, capture)
        size.add(Self.shared(by: prompt, capture))
        if decodes > 0 {
            let decode = try llamaGraph(tokens: 1, at: promptTokens)
            size.add(Self.shared(by: decode.graph, capture))
            // A decode pass grows by the same amount each time, so first and last give the mean.
            for graph in [decode.graph, try decode.graph(attended: promptTokens + decodes)] {
                let pass = Self.size(of: graph, tokens: 1, capture)
                size.values += pass.values * decodes / 2
                size.add(pass.pages.mapValues { $0 * Double(decodes) / 2 })
            }
        }
        return size
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

        mutating func add(_ more: Pages) { pages.merge(more, uniquingKeysWith: +) }
    }

    private static func size(of graph: Graph, tokens: Int, _ capture: Capture) -> PassSize {
        guard capture.policy != .none else { return PassSize() }
        var size = PassSize()
        var tensors = PageCount()
        for node in graph.nodes {
            if node.role.result == .pattern {
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
        size.pages[.statistics] = PageCount.table(graph.nodes.count, rowBytes: RowBytes.statistics)
        size.pages[.tensor] = tensors.pages
        return size
    }

    /// Pages of what is written once for all passes with this graph.
    private static func shared(by graph: Graph, _ capture: Capture) -> Pages {
        guard capture.policy != .none else { return [:] }
        var pages: Pages = [:]
        for node in graph.nodes {
            let name = node.name.utf8.count
            let role = node.role.rawValue.utf8.count
            let texts = name + node.kind.utf8.count + node.operation.parametersJSON.utf8.count + role
            pages[.operation, default: 0] += PageCount.index(1, keyBytes: RowBytes.operation + texts)
            pages[.operationByName, default: 0] += PageCount.index(1, keyBytes: name + 5)
            pages[.operationByRole, default: 0] += PageCount.index(1, keyBytes: role + 5)
            for input in node.inputs {
                pages[.input, default: 0] += PageCount.index(1, keyBytes: RowBytes.input + names(of: input, graph))
            }
            pages[.inputBySource, default: 0] += PageCount.index(node.inputs.count, keyBytes: 8)
        }
        return pages
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
            card.sizes.layers * card.sizes.heads, keyBytes: RowBytes.gqaMap)
        return pages
    }
}
