import ComputeGraph
import LlamaModel
import Measuring
import Operations
import Recording
import Tensors

/// What every head of a run pays attention to: the softmaxed scores.
public struct AttentionPatterns: Sendable {
    /// Weights of one head: row q holds what position q gives to positions 0 to q; they sum to 1.
    public typealias Pattern = [[Float]]

    /// By layer, of those that were asked for, and head.
    private var patterns: [Int: [Pattern]] = [:]
    /// How many positions, its own included, a position sees in layers with a window, by layer.
    public private(set) var windows: [Int: Int] = [:]

    init() {}

    /// - Precondition: the layer was asked for.
    public subscript(layer: Int, head: Int) -> Pattern { patterns[layer]![head] }

    public var layers: [Int] { patterns.keys.sorted() }

    /// Adds the rows of a pass: softmax values `[N, T, H]`, of which the query at `first + t` may see `first + t + 1`.
    ///
    /// - Precondition: N is `first + T` or more.
    mutating func add(_ values: [Float], _ shape: Shape, layer: Int, first: Int, window: Int?) {
        windows[layer] = window
        var heads = patterns[layer] ?? Array(repeating: [], count: shape.ne2)
        for head in 0..<shape.ne2 {
            for token in 0..<shape.ne1 {
                let start = (head * shape.ne1 + token) * shape.ne0
                heads[head].append(Array(values[start..<start + first + token + 1]))
            }
        }
        patterns[layer] = heads
    }

    /// As recorded.
    ///
    /// - Returns: `nil` if not all of it was captured.
    public static func recorded(
        _ run: RecordedRun, in store: TraceStore, layers: Range<Int>
    ) throws -> AttentionPatterns? {
        var result = AttentionPatterns()
        let (heads, passes) = (try store.sizes(of: run).heads, try store.passes(of: run))
        if passes.isEmpty { throw TraceError.noPass(path: store.path, step: 0, steps: 0) }
        for pass in passes {
            let operations = try store.operations(of: run, step: pass.step)
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
                do {
                    let values = try store.values(of: operation, in: run).all.compactMap { $0 }
                    guard values.count == operation.shape.count else { return nil }
                    result.add(
                        values, operation.shape, layer: layer, first: pass.firstPosition, window: operation.window)
                } catch TraceError.notCaptured {
                    return nil
                }
            }
        }
        return result
    }

    /// What attention patterns need of a network.
    public static let analysis = Analysis("attention", needs: [.result(.pattern)])

    /// Evaluated again.
    ///
    /// - Throws: `AnalysisProblem` if a layer has no pattern.
    public static func replayed(_ replay: Replay, layers: Range<Int>, threads: Int) throws -> AttentionPatterns {
        try analysis.check(replay.model)
        let observer = AttentionObserver(layers: layers)
        try replay.evaluateAll(threads: threads, observers: [observer])
        return observer.patterns
    }
}

/// Collects the patterns of passes as they are evaluated.
final class AttentionObserver: ExecutionObserver {
    private(set) var patterns = AttentionPatterns()
    private let layers: Range<Int>

    init(layers: Range<Int>) { self.layers = layers }

    func didEvaluate(_ evaluation: Evaluation) {
        guard evaluation.node.role.result == .pattern, let layer = evaluation.node.layer, layers.contains(layer) else {
            return
        }
        let shape = evaluation.output.shape
        patterns.add(
            evaluation.output.floats(), shape, layer: layer, first: shape.ne0 - shape.ne1,
            window: (evaluation.node.operation as? SoftMax)?.window)
    }
}
