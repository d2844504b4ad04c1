import ComputeGraph
import GGUF
import LlamaModel
import Measuring
import Operations
import Recording
import Tensors

/// What the heads of a run pay attention to, the softmaxed scores: of all heads a few numbers, of some their patterns.
///
/// Patterns grow with the square of the positions. They are read row by row, and only those that are wanted are kept.
public struct AttentionPatterns: Sendable {
    /// Weights of one head: row q holds what position q gives to positions 0 to q; they sum to 1.
    public typealias Pattern = [[Float]]
    /// Whether the pattern of a layer's head is kept.
    public typealias Choice = @Sendable (_ layer: Int, _ head: Int) -> Bool

    /// By layer, of those that were asked for, and head; of those that are not kept empty.
    private var patterns: [Int: [Pattern]] = [:]
    private var sums: [Int: [HeadScores.Sums]] = [:]
    /// How many positions, its own included, a position sees in layers with a window, by layer.
    public private(set) var windows: [Int: Int] = [:]
    private let occurrences: TokenOccurrences
    private let keeps: Choice

    /// - Parameter tokens: the ids at the positions of the patterns.
    init(tokens: [Int], keeping keeps: @escaping Choice) {
        (occurrences, self.keeps) = (TokenOccurrences(tokens), keeps)
    }

    /// - Precondition: the layer was asked for, and the head is kept.
    public subscript(layer: Int, head: Int) -> Pattern { patterns[layer]![head] }

    public var layers: [Int] { patterns.keys.sorted() }

    /// Scores of all heads of the layers.
    public func scores(_ sizes: ModelSizes) -> [HeadScores] {
        layers.flatMap { layer in
            sums[layer]!.enumerated().map { head, sums in
                HeadScores(layer: layer, head: head, kvHead: sizes.kvHead(ofQueryHead: head), sums)
            }
        }
    }

    /// Adds rows of a pass: softmax values `[N, T, H]`, or some rows of one head of them, `[N, rows]`.
    ///
    /// - Parameters:
    ///   - heads: H.
    ///   - first: the position of the first query; position q may see q + 1.
    mutating func add(
        _ values: Tensor, _ part: OutputPart? = nil, heads: Int, layer: Int, first: Int, window: Int?
    ) {
        windows[layer] = window
        if patterns[layer] == nil {
            patterns[layer] = Array(repeating: [], count: heads)
            sums[layer] = Array(repeating: HeadScores.Sums(), count: heads)
        }
        for plane in 0..<values.shape.ne2 {
            let head = part?.plane ?? plane
            for row in 0..<values.shape.ne1 {
                let position = first + row + (part?.rows.lowerBound ?? 0)
                values.withRow(of: Float.self, row, plane) { weights in
                    let weights = weights.extracting(0..<position + 1)
                    sums[layer]![head].add(weights, window: window, occurrences)
                    if keeps(layer, head) {
                        patterns[layer]![head].append(weights.indices.map { weights[$0] })
                    }
                }
            }
        }
    }

    /// As recorded.
    ///
    /// - Parameter keeps: the heads whose patterns are kept.
    /// - Returns: `nil` if not all of it was captured.
    public static func recorded(
        _ run: RecordedRun, in store: TraceStore, layers: Range<Int>,
        keeping keeps: @escaping Choice = { _, _ in true }
    ) throws -> AttentionPatterns? {
        var result = AttentionPatterns(tokens: try store.tokens(of: run).map(\.id), keeping: keeps)
        let (heads, passes) = (try store.sizes(of: run).heads, try store.passes(of: run))
        if passes.isEmpty { throw TraceError.noPass(path: store.path, step: 0, steps: 0) }
        for pass in passes {
            let operations = try store.operations(of: run, step: pass.step)
            let whole = try store.wholeTensors(of: run, step: pass.step)
            for layer in layers {
                guard let operation = operations.last(where: { $0.isResult(of: .pattern) && $0.layer == layer }) else {
                    return nil
                }
                let shape = operation.shape
                guard shape.ne0 >= pass.firstPosition + pass.tokens, shape.ne1 == pass.tokens, shape.ne2 == heads else {
                    let expected = "\(pass.firstPosition + pass.tokens) or more x \(pass.tokens) x \(heads)"
                    throw TraceError.damaged(
                        TraceDamage(operation, in: store.path, "ne0 to ne2", found: "\(shape)", expected: expected))
                }
                guard let values = whole[operation.seq] else { return nil }
                result.add(
                    try store.tensor(of: values), heads: heads, layer: layer, first: pass.firstPosition,
                    window: operation.window)
            }
        }
        return result
    }

    /// What attention patterns need of a network.
    public static let analysis = Analysis("attention", needs: [.result(.pattern)])

    /// Evaluated again.
    ///
    /// - Parameter keeps: the heads whose patterns are kept.
    /// - Throws: `AnalysisProblem` if a layer has no pattern.
    public static func replayed(
        _ replay: Replay, layers: Range<Int>, keeping keeps: @escaping Choice = { _, _ in true }, threads: Int
    ) throws -> AttentionPatterns {
        try analysis.check(replay.model)
        let observer = AttentionObserver(layers: layers, tokens: replay.tokens.flatMap { $0 }, keeping: keeps)
        try replay.evaluateAll(threads: threads, observers: [observer])
        return observer.patterns
    }
}

/// Collects the patterns of passes as they are evaluated.
final class AttentionObserver: ExecutionObserver {
    private(set) var patterns: AttentionPatterns
    private let layers: Range<Int>
    var takesParts: Bool { true }

    init(layers: Range<Int>, tokens: [Int], keeping keeps: @escaping AttentionPatterns.Choice) {
        (self.layers, patterns) = (layers, AttentionPatterns(tokens: tokens, keeping: keeps))
    }

    func didEvaluate(_ evaluation: Evaluation) {
        let node = evaluation.node
        guard node.role.result == .pattern, let layer = node.layer, layers.contains(layer) else { return }
        let shape = node.layout.shape
        patterns.add(
            evaluation.output, evaluation.part, heads: shape.ne2, layer: layer, first: shape.ne0 - shape.ne1,
            window: (node.operation as? SoftMax)?.window)
    }
}
