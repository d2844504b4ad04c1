import ComputeGraph
import LlamaModel
import Quantization
import Tensors
import Tokenization

/// The logit lens: the residual stream between two layers, read as if the network ended there.
///
/// What makes logits of the stream after the last layer, taken from the model's own network and run one position at a time, as
/// a pass runs its last: after the last layer, the lens is the real output to the bit. In a llama,
/// `logits = W_output · RMSNorm(x)`.
/// Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
public struct LogitLens: Sendable {
    /// What the lens needs of a network.
    public static let analysis = Analysis(
        "lens", needs: [.result(.embedding), .result(.layerOutput), .readout])

    private let graph: Graph
    /// The tensors of the graph's leaves; the first, the stream, differs from call to call.
    private let leaves: [Tensor]
    private let workers: Workers

    /// - Throws: `AnalysisProblem` if the model's logits need more than the stream.
    public init(_ model: Llama, threads: Int) throws {
        let network = try model.networkOfOneToken
        try Self.analysis.check(network.graph, of: model.configuration.architecture)
        workers = Workers(threads: threads, instructions: .best)
        graph = network.graph.readout!
        let tensors = Dictionary(
            zip(network.graph.leaves.map(\.name), network.leaves), uniquingKeysWith: { first, _ in first })
        leaves = graph.leaves.map { tensors[$0.name] ?? Tensor.zeros($0.layout.type, $0.layout.shape) }
    }

    /// - Parameter residual: one position's residual stream, `n_embd` values.
    public func prediction(from residual: [Float]) throws -> Prediction {
        let stream = Tensor.floats(residual, Shape(residual.count))
        var interpreter = Interpreter(graph: graph, leaves: [stream] + leaves.dropFirst(), workers: workers)
        try interpreter.run()
        return Prediction(logits: interpreter.value(of: .node(graph.nodes.count - 1))!.floats())
    }
}

/// What the lens shows at one layer and position.
public struct LensReading: Sendable {
    /// The layer that was just done; -1: none yet, the embedding.
    public let layer: Int
    /// The most probable next tokens, best first.
    public let top: [Candidate]
    /// Shannon entropy of the distribution over all tokens.
    public let entropyBits: Double
    /// The token that is followed through the layers.
    public let followed: Candidate
    /// How many tokens are more probable than it.
    public let rank: Int
}

/// The lens through all layers at one position of a run.
public struct LensColumn: Sendable {
    public let position: Int
    /// The pass that evaluated the position, by its step.
    public let step: Int
    /// What the last layer, which is the model itself, says.
    public let final: Candidate
    /// The embedding's first, the last layer's last.
    public let readings: [LensReading]

    /// - Parameters:
    ///   - stream: the residual stream as embedded and after each layer.
    ///   - token: the token to follow; the final one if `nil`.
    ///   - top: how many of the most probable tokens to keep.
    public init(
        position: Int, step: Int, stream: [[Float]], through lens: LogitLens, following token: Int?, top: Int,
        vocabulary: Vocabulary
    ) throws {
        let predictions = try stream.map(lens.prediction)
        final = predictions.last!.top(1, vocabulary)[0]
        let followed = token ?? final.token
        self.position = position
        self.step = step
        readings = predictions.enumerated().map { number, prediction in
            LensReading(
                layer: number - 1, top: prediction.top(top, vocabulary), entropyBits: prediction.entropyBits,
                followed: prediction.candidate(followed, vocabulary), rank: prediction.rank(of: followed))
        }
    }
}
