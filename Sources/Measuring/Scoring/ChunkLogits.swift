import ComputeGraph
import LlamaModel
import Quantization
import Tensors

/// Evaluates a model on the chunks of a text, each in one pass from an empty cache.
public struct ChunkLogits {
    public let model: Llama
    public let text: ScoredText
    private let session: Session

    /// - Throws: `ScoringProblem` if a chunk is longer than the model can take.
    public init(
        _ model: Llama, on text: ScoredText, threads: Int, instructions: InstructionSet = .best
    ) throws(ScoringProblem) {
        try ScoredText.check(text.chunkSize, for: model)
        self.model = model
        self.text = text
        session = Session(model, capacity: text.chunkSize, threads: threads, instructions: instructions)
    }

    /// Logits `[V, S]`: a row for each of the chunk's scored positions, `text.scored`, in their order.
    ///
    /// - Parameter progress: called after every operation with the share of them that is done; what it throws ends the pass.
    /// - Throws: `LlamaError` if a token is not in the model's vocabulary.
    public func callAsFunction(
        _ chunk: Int, progress: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> Tensor {
        try evaluate(chunk, progress: progress).logits
    }

    /// The same, with some values of the pass, or from some on.
    ///
    /// - Parameters:
    ///   - kept: nodes whose values are wanted, too.
    ///   - begin: where to begin, and the values of the nodes before that are read after.
    func evaluate(
        _ chunk: Int, keeping kept: Set<Int> = [], after begin: (cut: Cut, values: [Int: Tensor])? = nil,
        progress: @escaping (_ share: Double) throws -> Void
    ) throws -> (logits: Tensor, kept: [Int: Tensor]) {
        let observer = PassObserver(keeping: kept, progress)
        var pass = try session.pass(over: text.chunks[chunk], outputs: text.scored, observers: [observer])
        if let begin { pass.interpreter.begin(after: begin.cut, values: begin.values) }
        observer.nodes = pass.interpreter.position..<pass.interpreter.graph.nodes.count
        try pass.interpreter.run()
        return (pass.logitRows!, observer.values)
    }

    /// The graph of a chunk, the same for each.
    func graph() throws -> Graph {
        try session.pass(over: text.chunks[0], outputs: text.scored).interpreter.graph
    }

    /// What `body` makes of each row of logits, computed on all threads.
    ///
    /// - Throws: `ScoringProblem.notFinite` if `body` gives `nil`.
    func scores<Score: BitwiseCopyable & Sendable>(
        of chunk: Int, _ body: @escaping @Sendable (_ row: Int, _ target: Int) -> Score?
    ) throws(ScoringProblem) -> [Score] {
        let targets = text.targets(of: chunk)
        let scores = session.workers.map(targets.count) { body($0, targets[$0]) }
        let finite = scores.compactMap(\.self)
        guard finite.count == scores.count else {
            throw .notFinite(file: model.file.path, text: text.name, chunk: chunk)
        }
        return finite
    }
}

/// Tells the share of a pass that is done, and keeps values.
final class PassObserver: ExecutionObserver {
    /// Those to evaluate.
    var nodes = 0..<1
    private(set) var values: [Int: Tensor] = [:]
    private let kept: Set<Int>
    private let progress: (Double) throws -> Void
    var looksAtScores: Bool { !kept.isEmpty }
    var looksAtViews: Bool { !kept.isEmpty }

    init(keeping kept: Set<Int> = [], _ progress: @escaping (Double) throws -> Void) {
        (self.kept, self.progress) = (kept, progress)
    }

    // No part of a value is looked at.
    var takesParts: Bool { true }

    func didEvaluate(_ evaluation: Evaluation) throws {
        let index = evaluation.node.index
        if kept.contains(index) { values[index] = evaluation.output }
        try progress(Double(index + 1 - nodes.lowerBound) / Double(nodes.count))
    }
}

extension Workers {
    /// `body` of each number below `count`, on all threads.
    func map<Result: BitwiseCopyable & Sendable>(
        _ count: Int, _ body: @escaping @Sendable (Int) -> Result?
    ) -> [Result?] {
        let stride = MemoryLayout<Result?>.stride
        let results = Buffer(byteCount: count * stride)
        run(items: count) { items in
            results.withMutableElements(
                of: Result?.self, in: items.lowerBound * stride..<items.upperBound * stride
            ) { out in
                for item in items { out[item - items.lowerBound] = body(item) }
            }
        }
        return results.withBytes(in: 0..<count * stride) { bytes in
            bytes.withElements(of: Result?.self) { elements in elements.indices.map { elements[$0] } }
        }
    }
}
