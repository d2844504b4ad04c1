import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// The residual stream of a recorded run, position by position: from the trace where it was captured, else evaluated
/// again.
public struct ResidualStream {
    private let replay: Replay
    private let store: TraceStore
    private let threads: Int
    private let passes: [RecordedPass]
    private let layers: Int
    /// Of the step in hand.
    private var step: Int?
    private var recorded: [RecordedValues?] = []
    private var replayed: [Tensor]?
    private var replayedAll: [Tensor]?

    public init(_ replay: Replay, in store: TraceStore, threads: Int) throws {
        self.replay = replay
        self.store = store
        self.threads = threads
        passes = try store.passes(of: replay.run)
        layers = replay.model.configuration.layers
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
    public mutating func columns(at position: Int) throws -> [[Float]] {
        let pass = pass(of: position)
        if step != pass.step {
            step = pass.step
            recorded = try capturedValues(step: pass.step)
            (replayed, replayedAll) = (nil, nil)
        }
        let column = position - pass.firstPosition
        return try (0...layers).map { try values(number: $0, column: column, of: pass) }
    }

    private mutating func values(number: Int, column: Int, of pass: RecordedPass) throws -> [Float] {
        // The last layer of a recorded pass computes its last token only, in most architectures.
        let isShort = number == layers && column != pass.tokens - 1
        func index(in shape: Shape) -> Int { number == layers && shape.ne1 == 1 ? 0 : column }
        let width = replay.model.configuration.embedding
        if !isShort, let found = recorded[number], let values = found.column(index(in: found.shape), width) {
            return values
        }
        if isShort {
            if replayedAll == nil { replayedAll = try evaluated(pass.step, outputs: 0..<pass.tokens) }
            return replayedAll![number].row(column)
        }
        if replayed == nil { replayed = try evaluated(pass.step, outputs: nil) }
        return replayed![number].row(index(in: replayed![number].shape))
    }

    /// What the trace holds of the embedding and of each layer's output.
    private func capturedValues(step: Int) throws -> [RecordedValues?] {
        let operations = try store.operations(of: replay.run, step: step)
        return try stream.map { part, layer in
            guard let operation = operations.last(where: { $0.isResult(of: part) && $0.layer == layer }) else {
                return nil
            }
            do {
                return try store.values(of: operation, in: replay.run)
            } catch TraceError.notCaptured {
                return nil
            }
        }
    }

    private func evaluated(_ step: Int, outputs: Range<Int>?) throws -> [Tensor] {
        let interpreter = try replay.pass(step, threads: threads, outputs: outputs).interpreter
        return stream.map { part, layer in
            let node = interpreter.graph.nodes.last { $0.role.result == part && $0.layer == layer }
            return interpreter.value(of: .node(node!.index))!
        }
    }

    /// What shows the stream before each layer and after the last.
    private var stream: [(part: NodeRole.Part, layer: Int?)] {
        [(.embedding, nil)] + (0..<layers).map { (.layerOutput, $0) }
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
