import LlamaModel
import Recording
import Tracing

/// How another run differs from the page's: where they part, how far each operation is, which predictions flip.
public struct ComparisonDigest: Encodable, Sendable {
    /// An operation of the first pass an item; `seq` is the page's run's.
    struct Operations: Encodable, Sendable {
        let seq: [Int]
        let name: [String]
        let role: [String]
        let layer: [Int?]
        /// Squared error over the squares of the page's run; `null` where values were not captured in both.
        let nmse: [Double?]
        let cosine: [Double?]
        let maxAbs: [Double?]
    }

    /// What each run expects after a step.
    struct Prediction: Encodable, Sendable {
        let step: Int
        let position: Int
        let pieces: [String]
        let probabilities: [Double?]
        let isFlipped: Bool
        /// Of the other's distribution from the page's, in nats.
        let kld: Double?
    }

    struct Place: Encodable, Sendable {
        let step: Int
        let seq: Int
        let name: String
    }

    let trace: String
    let run: Int
    let prompt: String
    let model: String
    let isIdentical: Bool
    let hasSameTokens: Bool
    let steps: Int
    let flips: Int
    /// Operations that only the page's run has, and only the other.
    let unpaired: [Int]
    let first: Place?
    let operations: Operations
    let predictions: [Prediction]

    /// - Parameter diff: its first side is the page's run.
    init(_ diff: TraceDiff) {
        let other = diff.sides.1
        (trace, run, prompt) = (other.store.path, other.run.id, other.run.prompt)
        model = other.run.modelPath
        (isIdentical, hasSameTokens, steps, flips) = (diff.isIdentical, diff.hasSameTokens, diff.steps, diff.flips)
        unpaired = [diff.unpaired.0, diff.unpaired.1]
        first = diff.firstDivergence.map {
            Place(step: $0.operation.step, seq: $0.operation.seq, name: $0.operation.name)
        }
        let pairs = diff.pairs.filter { $0.operation.step == 0 }
        operations = Operations(
            seq: pairs.map(\.operation.seq), name: pairs.map(\.operation.name),
            role: pairs.map { $0.operation.role?.rawValue ?? "" }, layer: pairs.map(\.operation.layer),
            nmse: pairs.map { $0.nmse?.digits(6) }, cosine: pairs.map { $0.cosine?.digits(6) },
            maxAbs: pairs.map { $0.maximum?.digits(6) })
        predictions = diff.outlooks.map { outlook in
            Prediction(
                step: outlook.step, position: outlook.position,
                pieces: [outlook.first.piece, outlook.second.piece],
                probabilities: [outlook.first.probability.digits(6), outlook.second.probability.digits(6)],
                isFlipped: outlook.isFlipped, kld: outlook.divergence?.digits(6))
        }
    }
}
