import ComputeGraph
import LlamaModel
import Measuring
import Quantization
import Recording
import Tensors

/// The values that nodes have while a model reads a text, chunk by chunk: a row for each token.
///
/// One chunk is in memory at a time. Every token is read as in a whole pass, the last layer's too.
public struct ActivationStream {
    /// A node whose values are wanted.
    public struct Column: Sendable {
        public let name: String
        public let layer: Int?
        /// Values of a token: of a node with heads or slots, one after the other.
        public let width: Int
        public let type: TensorType
        fileprivate let node: Int
    }

    /// The rows of a chunk.
    public struct Rows: Sendable {
        public let chunk: Int
        public let tokens: [Int]
        /// In the chunk, from 0.
        public let positions: [Int]
        /// For each column the rows one after the other.
        public let values: [[Float]]
    }

    public let model: Llama
    public let text: ScoredText
    public let columns: [Column]
    /// Each how-manieth token is kept, counted over the whole text.
    public let every: Int
    private let session: Session

    /// - Parameters:
    ///   - patterns: names of nodes; `*` and `?` stand for anything.
    ///   - every: 1 for all tokens.
    /// - Throws: `ActivationProblem` if a pattern fits no node, or one whose values are not a row for each token.
    public init(
        _ model: Llama, on text: ScoredText, at patterns: [String], every: Int = 1, threads: Int,
        instructions: InstructionSet = .best
    ) throws {
        (self.model, self.text, self.every) = (model, text, every)
        session = Session(model, capacity: text.chunkSize, threads: threads, instructions: instructions)
        let graph = try session.pass(over: text.chunks[0], outputs: 0..<text.chunkSize).interpreter.graph
        columns = try Self.columns(patterns, in: graph, tokens: text.chunkSize)
    }

    private static func columns(_ patterns: [String], in graph: Graph, tokens: Int) throws -> [Column] {
        var chosen: [Int: Node] = [:]
        // Of several nodes of one name the last, as `show` takes it.
        let last = Dictionary(graph.nodes.map { ($0.name, $0) }) { $1 }
        for pattern in patterns {
            let capture = Capture(.all, names: [pattern])
            let found = last.values.filter { capture.keepsValues(of: $0.name) }
            guard !found.isEmpty else {
                throw ActivationProblem.noNode(
                    pattern: pattern, suggestions: nearest(to: pattern, in: Array(last.keys).sorted()))
            }
            let isName = !pattern.contains { $0 == "*" || $0 == "?" }
            for node in found {
                let isRow = isRowForEachToken(node, tokens)
                if !isRow, isName { throw ActivationProblem.notByToken(name: node.name, shape: node.layout.shape) }
                if isRow { chosen[node.index] = node }
            }
        }
        guard !chosen.isEmpty else {
            throw ActivationProblem.noneByToken(patterns: patterns)
        }
        return chosen.values.sorted { $0.index < $1.index }.map { node in
            Column(
                name: node.name, layer: node.layer, width: node.layout.shape.count / tokens, type: node.layout.type,
                node: node.index)
        }
    }

    /// Scores of attention have as many values as there are positions, and the cache is no token's.
    private static func isRowForEachToken(_ node: Node, _ tokens: Int) -> Bool {
        let (shape, dimension) = (node.layout.shape, node.tokenDimension)
        return node.layout.type.isPlain && !node.isWrite && shape[dimension] == tokens
            && ![.scores, .pattern, .keyCache, .valueCache].contains(node.role.part)
            && ((dimension + 1)..<4).allSatisfy { shape[$0] == 1 }
    }

    /// Tokens that are kept of a chunk, by their positions in it.
    public func positions(of chunk: Int) -> [Int] {
        let first = chunk * text.chunkSize
        return (0..<text.chunkSize).filter { (first + $0) % every == 0 }
    }

    /// Reads a chunk.
    ///
    /// - Parameter progress: called after every operation with the share of them that is done; what it throws ends the work.
    public func rows(of chunk: Int, progress: @escaping (_ share: Double) throws -> Void = { _ in }) throws -> Rows {
        let positions = positions(of: chunk)
        let tokens = text.chunks[chunk]
        let collector = Collector(columns.map(\.node), positions, text.chunkSize, progress)
        var pass = try session.pass(over: tokens, outputs: 0..<tokens.count, observers: [collector])
        collector.nodes = pass.interpreter.graph.nodes.count
        try pass.interpreter.run(until: columns.last!.node + 1)
        return Rows(
            chunk: chunk, tokens: positions.map { tokens[$0] }, positions: positions,
            values: columns.map { collector.values[$0.node]! })
    }
}

private final class Collector: ExecutionObserver {
    var values: [Int: [Float]] = [:]
    var nodes = 1
    private let wanted: Set<Int>
    private let positions: [Int]
    private let tokens: Int
    private let progress: (Double) throws -> Void

    init(_ wanted: [Int], _ positions: [Int], _ tokens: Int, _ progress: @escaping (Double) throws -> Void) {
        (self.wanted, self.positions, self.tokens, self.progress) = (Set(wanted), positions, tokens, progress)
    }

    var takesParts: Bool { true }

    func didEvaluate(_ evaluation: Evaluation) throws {
        let node = evaluation.node
        try progress(Double(node.index + 1) / Double(nodes))
        guard wanted.contains(node.index), evaluation.part == nil else { return }
        let output = evaluation.output
        var rows: [Float] = []
        for position in positions {
            if node.tokenDimension == 1 {
                rows += output.row(position)
            } else {
                for i1 in 0..<output.shape.ne1 { rows += output.row(i1, position) }
            }
        }
        values[node.index] = rows
    }
}

/// Values that cannot be given out.
public enum ActivationProblem: InputProblem, Equatable {
    case noNode(pattern: String, suggestions: [String])
    case notByToken(name: String, shape: Shape)
    case noneByToken(patterns: [String])
    case otherWork(folder: String)
    case occupied(folder: String)
    case width(name: String, width: Int, found: Int, what: String)
}

extension ActivationProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noNode(let pattern, let suggestions):
            "--at '\(pattern)': the graph has no operation of this name."
                + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
                + " `quipu graph` lists them; * and ? stand for anything."
        case .notByToken(let name, let shape):
            "--at '\(name)': its shape is \(shape), which is not a row for each token. Name what the residual stream, a "
                + "norm, a head or a hidden unit holds: l_out-0, ffn_swiglu-0."
        case .noneByToken(let patterns):
            "--at '\(patterns.joined(separator: ","))': nothing of these names has a row for each token. l_out-0 and "
                + "ffn_swiglu-0 have."
        case .otherWork(let folder):
            "\(folder): found shards of another model, text or choice of values. Give another --output, or delete it."
        case .occupied(let folder):
            "\(folder): found a folder with something in it, expected none, or one that a run of `activations` began; "
                + "that is gone on with by --resume."
        case .width(let name, let width, let found, let what):
            "\(name) has \(width) values per token; \(what) is \(found)."
        }
    }
}
