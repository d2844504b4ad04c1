import ComputeGraph
import LlamaModel
import Operations
import Quantization
import Tensors
import Tokenization

/// The logit lens: the residual stream between two layers, read as if the network ended there.
///
/// `logits = W_output · RMSNorm(x)`, by the operations and kernels of a real pass and one position at a time, as a pass
/// computes its last: after the last layer, the lens is the real output to the bit.
/// Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
public struct LogitLens: Sendable {
    private let model: Llama
    private let graph: Graph
    private let workers: Workers

    public init(_ model: Llama, threads: Int) throws(GraphError) {
        self.model = model
        workers = Workers(threads: threads, instructions: .best)
        let (c, weights) = (model.configuration, model.weights)
        var builder = GraphBuilder()
        let residual = builder.leaf("residual", Layout(.f32, Shape(c.embedding)), .input)
        let normWeight = builder.leaf("output_norm.weight", weights.outputNorm.tensor.layout, .weight)
        let output = builder.leaf("output.weight", weights.output.tensor.layout, .weight)
        let normed = try builder.apply(
            RMSNorm(epsilon: c.normEpsilon), residual, name: "norm", role: .init(.finalNorm, .unweighted))
        let scaled = try builder.apply(Mul(), normed, normWeight, name: "result_norm", role: .init(.finalNorm))
        builder.expand(try builder.apply(MatMul(), output, scaled, name: "result_output", role: .init(.logits)))
        graph = builder.build()
    }

    /// - Parameter residual: one position's residual stream, `n_embd` values.
    public func prediction(from residual: [Float]) throws -> Prediction {
        let leaves = graph.leaves.map { leaf in
            switch leaf.name {
            case "residual": Tensor.floats(residual, Shape(residual.count))
            case "output.weight": model.weights.output.tensor
            default: model.weights.outputNorm.tensor
            }
        }
        var interpreter = Interpreter(graph: graph, leaves: leaves, workers: workers)
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
