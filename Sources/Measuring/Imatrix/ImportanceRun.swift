import ComputeGraph
import LlamaModel
import Operations
import Quantization
import Quantizing
import Tensors

/// Runs a model over a text, chunk by chunk, and gathers what an importance matrix is made of.
public struct ImportanceRun {
    public let model: Llama
    public let text: ScoredText
    /// Whether the output head has sums too, where it is a matrix of its own.
    public let includesOutput: Bool
    public private(set) var sums: ImportanceSums
    /// The next chunk to read.
    public private(set) var nextChunk = 0
    private let session: Session

    public init(
        _ model: Llama, on text: ScoredText, includesOutput: Bool, threads: Int, instructions: InstructionSet = .best
    ) throws {
        guard text.chunkSize >= ImportanceCollector.fewestRows else {
            throw ImportanceProblem.chunkTooShort(chunk: text.chunkSize)
        }
        try ScoredText.check(text.chunkSize, for: model)
        (self.model, self.text, self.includesOutput) = (model, text, includesOutput)
        sums = ImportanceSums(chunkSize: text.chunkSize)
        session = Session(model, capacity: text.chunkSize, threads: threads, instructions: instructions)
    }

    public var isDone: Bool { nextChunk == text.chunks.count }

    /// Begins with the sums of other texts.
    ///
    /// - Throws: `ImportanceProblem` if they are another model's, `QuantizeProblem` if they do not fit each other.
    public mutating func add(_ other: ImportanceSums, from path: String) throws {
        try check(other, path)
        try sums.merge(other, from: path)
    }

    /// Goes on where a run was stopped: with its sums, at its next chunk.
    ///
    /// - Throws: `ImportanceProblem` if they are another model's.
    public mutating func resume(_ earlier: ImportanceSums, at chunk: Int, from path: String) throws {
        try check(earlier, path)
        guard (0...text.chunks.count).contains(chunk), earlier.chunkSize == text.chunkSize else {
            throw ImportanceProblem.otherRun(file: path, what: "text")
        }
        (sums, nextChunk) = (earlier, chunk)
    }

    private func check(_ other: ImportanceSums, _ path: String) throws {
        for (name, entry) in other.entries.sorted(by: { $0.key < $1.key }) {
            guard let shape = model.file.tensor(named: name)?.shape,
                entry.sums.count == shape.ne0 * shape.ne2 * shape.ne3 || entry.sums.count == shape.ne0
            else {
                throw ImportanceProblem.otherTensors(model: model.file.path, file: path, tensor: name)
            }
        }
    }

    /// Reads the next chunk.
    ///
    /// - Parameter progress: called after every operation with the share of them that is done; what it throws ends the
    ///   pass, and the sums stay what they were.
    /// - Throws: `ImportanceProblem.notFinite`.
    public mutating func readChunk(progress: @escaping (_ share: Double) throws -> Void = { _ in }) throws {
        let tokens = text.chunks[nextChunk]
        // All tokens get logits, so that the last layer sees all of them. The logits themselves are not needed.
        let (collector, share) = (ImportanceCollector(adding: sums, of: model.file.path), PassObserver(progress))
        var pass = try session.pass(over: tokens, outputs: 0..<tokens.count, observers: [collector, share])
        let graph = pass.interpreter.graph
        (collector.graph, share.nodes) = (graph, 0..<graph.nodes.count)
        let head = graph.nodes.first { collector.weight(of: $0) == "output.weight" }
        let end = graph.nodes.first { $0.role.part == .logits }?.index ?? graph.nodes.count
        try pass.interpreter.run(until: includesOutput ? head?.index ?? end : end)
        if includesOutput, let head {
            let inputs = head.inputs.map { pass.interpreter.value(of: $0)! }
            try collector.add("output.weight", head, inputs)
        }
        sums = collector.sums
        if nextChunk == 0 { sums.datasets.append(text.name) }
        nextChunk += 1
    }

    /// A number that differs where the model's tensors, the text, its chunks or what is summed do.
    public var fingerprint: String {
        var fingerprint = Fingerprint(model, text)
        fingerprint.add("\(includesOutput)".utf8)
        return fingerprint.hexDigits
    }
}
