import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// The residual stream of a recorded run at some positions: from the trace where it was captured, else evaluated again.
public struct ResidualStream {
    private let replay: Replay
    private let store: TraceStore
    private let threads: Int
    private let passes: [RecordedPass]
    private let layers: Int
    /// Those that may be asked for.
    private let wanted: [Int]
    /// Of the step in hand: the columns by position.
    private var step: Int?
    private var columns: [Int: [[Float]]] = [:]

    /// - Parameter wanted: positions that will be asked for; `nil`: any. The fewer, the less memory it takes.
    public init(_ replay: Replay, in store: TraceStore, positions wanted: [Int]? = nil, threads: Int) throws {
        self.replay = replay
        self.store = store
        self.threads = threads
        passes = try store.passes(of: replay.run)
        layers = replay.model.configuration.layers
        self.wanted = wanted ?? Array(0..<replay.tokens.reduce(0) { $0 + $1.count })
    }

    /// Positions that were evaluated.
    public var positions: Range<Int> { 0..<replay.tokens.reduce(0) { $0 + $1.count } }

    /// The pass that evaluated a position.
    ///
    /// - Precondition: it is one of `positions`.
    public func pass(of position: Int) -> RecordedPass {
        passes.last { $0.firstPosition <= position }!
    }

    /// The stream at one position: the embedding, then what each layer left; `n_embd` values each. Quick if positions
    /// are asked for in order.
    ///
    /// - Precondition: it is one of the positions wanted.
    public mutating func columns(at position: Int) throws -> [[Float]] {
        let pass = pass(of: position)
        if step != pass.step {
            columns = try read(pass)
            step = pass.step
        }
        return columns[position]!
    }

    /// The columns of all wanted positions of a pass.
    private func read(_ pass: RecordedPass) throws -> [Int: [[Float]]] {
        let range = pass.firstPosition..<pass.firstPosition + pass.tokens
        let asked = Set(wanted.filter(range.contains).map { $0 - pass.firstPosition }).sorted()
        var found = StreamColumns(stream, tokens: asked)
        try readCaptured(pass, into: &found)
        // The last layer of a recorded pass computes its last token only, in most architectures: for the others it is
        // evaluated otherwise, and sums of several rows have another order.
        let last = asked.filter { $0 == pass.tokens - 1 }
        let others = asked.filter { $0 != pass.tokens - 1 }
        for (tokens, outputs) in [(others, 0..<pass.tokens), (last, nil)] where found.lacks(any: tokens) {
            let observer = StreamObserver(found, tokens: tokens)
            try replay.evaluate(pass.step, threads: threads, outputs: outputs, observers: [observer]) { graph in
                graph.nodes.last { $0.role.result == .layerOutput && $0.layer == layers - 1 }.map { $0.index + 1 }
            }
            found = observer.columns
        }
        return Dictionary(uniqueKeysWithValues: asked.map { ($0 + pass.firstPosition, found.all(of: $0)) })
    }

    /// What the trace holds of the embedding and of each layer's output.
    private func readCaptured(_ pass: RecordedPass, into columns: inout StreamColumns) throws {
        let operations = try store.operations(of: replay.run, step: pass.step)
        for (number, (part, layer)) in stream.enumerated() {
            let operation = operations.last { $0.isResult(of: part) && $0.layer == layer }
            guard let operation else { continue }
            do {
                let values = try store.values(of: operation, in: replay.run)
                for token in columns.tokens {
                    // Where there is one column, it is the last token's.
                    let isShort = values.shape.ne1 == 1 && pass.tokens > 1
                    if isShort, token != pass.tokens - 1 { continue }
                    columns[number, token] = values.column(isShort ? 0 : token, replay.model.configuration.embedding)
                }
            } catch TraceError.notCaptured { continue }
        }
    }

    /// What shows the stream before each layer and after the last.
    private var stream: [StreamColumns.Row] {
        [(.embedding, nil)] + (0..<layers).map { (.layerOutput, $0) }
    }
}

/// Columns of the stream, as far as they are known.
private struct StreamColumns {
    typealias Row = (part: NodeRole.Part, layer: Int?)

    let stream: [Row]
    /// Counted from the pass's first.
    let tokens: [Int]
    private var values: [Int: [[Float]?]] = [:]

    init(_ stream: [Row], tokens: [Int]) {
        (self.stream, self.tokens) = (stream, tokens)
        for token in tokens { values[token] = Array(repeating: nil, count: stream.count) }
    }

    subscript(number: Int, token: Int) -> [Float]? {
        get { values[token]![number] }
        set { values[token]![number] = newValue }
    }

    func lacks(any tokens: [Int]) -> Bool { tokens.contains { values[$0]!.contains { $0 == nil } } }

    /// - Precondition: nothing of it is missing.
    func all(of token: Int) -> [[Float]] { values[token]!.map { $0! } }
}

/// Takes the columns that are missing as they are evaluated.
private final class StreamObserver: ExecutionObserver {
    private(set) var columns: StreamColumns
    private let tokens: [Int]
    var takesParts: Bool { true }
    var looksAtScores: Bool { false }

    init(_ columns: StreamColumns, tokens: [Int]) { (self.columns, self.tokens) = (columns, tokens) }

    func didEvaluate(_ evaluation: Evaluation) {
        let (node, output) = (evaluation.node, evaluation.output)
        guard let result = node.role.result, result == .embedding || result == .layerOutput,
            let number = columns.stream.firstIndex(where: { $0.part == result && $0.layer == node.layer })
        else { return }
        for token in tokens where columns[number, token] == nil {
            columns[number, token] = output.row(output.shape.ne1 == 1 ? 0 : token)
        }
    }
}

extension RecordedValues {
    /// `nil` unless all of the column was captured, and it is as long as the stream is wide.
    fileprivate func column(_ column: Int, _ width: Int) -> [Float]? {
        guard shape.ne0 == width else { return nil }
        let values = (0..<width).compactMap { self[ElementIndex($0, column)] }
        return values.count == width ? values : nil
    }
}
