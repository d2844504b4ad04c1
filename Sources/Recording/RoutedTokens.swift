import ComputeGraph
import GRDB
import RealModule
import Tensors

/// What the router of a layer made of the tokens of a pass, out of the nodes that tell.
struct RoutedTokens: Sendable {
    private var layer = 0
    /// [X,T]
    private var scores: Tensor?
    private var probabilities: Tensor?
    /// What experts were chosen by, and the experts in the order of it. [X,T]
    private var ratings: Tensor?
    private var order: Tensor?
    /// [U,T], whatever the shape.
    private var weights: Tensor?

    /// Bytes that wait in memory.
    var bytes: Int {
        [scores, probabilities, ratings, order, weights].compactMap { $0?.layout.byteCount }.reduce(0, +)
    }

    /// - Returns: whether all is there: the weights come last.
    mutating func add(_ evaluation: Evaluation) -> Bool {
        switch evaluation.node.role.result {
        case .routerScores:
            self = RoutedTokens()
            layer = evaluation.node.layer ?? 0
            scores = evaluation.output
        case .routerProbabilities: probabilities = evaluation.output
        case .routerChoice: (ratings, order) = (evaluation.inputs[0], evaluation.output)
        case .expertWeights:
            weights = evaluation.output
            return scores != nil && order != nil
        default: break
        }
        return false
    }

    func write(_ pass: PassRow, _ db: Database) throws {
        guard let scores, let ratings, let order, let weights else { return }
        let (experts, tokens) = (scores.shape.ne0, scores.shape.ne1)
        let used = weights.shape.count / tokens
        let shares = weights.floats()
        var (routers, choices) = ([RouterRow](), [ExpertChoiceRow]())
        for token in 0..<tokens {
            // From the last layer's attention on there is only the last token.
            let position = pass.firstPosition + pass.tokens - tokens + token
            let logits = scores.row(token), rating = ratings.row(token)
            let probabilities = probabilities?.row(token)
            let ranked = order.row(token).map { Int($0) }
            routers.append(
                RouterRow(
                    passID: pass.id, layer: layer, position: position, experts: experts, used: used,
                    entropyBits: probabilities.flatMap(Self.entropyBits)))
            let next = used < experts ? rating[ranked[used]] : nil
            for (slot, expert) in ranked.prefix(used).enumerated() {
                choices.append(
                    ExpertChoiceRow(
                        passID: pass.id, layer: layer, position: position, slot: slot, expert: expert,
                        logit: logits[expert], probability: probabilities?[expert], score: rating[expert],
                        weight: shares[token * used + slot], margin: next.map { rating[expert] - $0 }))
            }
        }
        try RouterRow.insert(routers, db)
        try ExpertChoiceRow.insert(choices, db)
    }

    /// Of the probabilities, made to add up to 1 where each is a number of its own.
    private static func entropyBits(_ probabilities: [Float]) -> Double? {
        let sum = probabilities.reduce(0.0) { $0 + Double($1) }
        guard sum.isFinite, sum > 0 else { return nil }
        return probabilities.reduce(0.0) { entropy, probability in
            let share = Double(probability) / sum
            return share > 0 ? entropy - share * Double.log2(share) : entropy
        }
    }
}

/// How decided a layer's router was about a token.
private struct RouterRow: TraceRow {
    static let insertion = Insertion(
        into: "router", columns: ["pass_id", "layer", "position", "n_experts", "n_used", "entropy_bits"], batch: 16)

    let passID: Int
    let layer: Int
    let position: Int
    let experts: Int
    let used: Int
    let entropyBits: Double?

    func bind(to row: RowBinder) {
        row.set(1, passID)
        row.set(2, layer)
        row.set(3, position)
        row.set(4, experts)
        row.set(5, used)
        row.set(6, entropyBits)
    }
}

/// An expert that a token goes through.
private struct ExpertChoiceRow: TraceRow {
    static let insertion = Insertion(
        into: "expert_choice",
        columns: [
            "pass_id", "layer", "position", "slot", "expert", "logit", "probability", "score", "weight", "margin",
        ], batch: 16)

    let passID: Int
    let layer: Int
    let position: Int
    let slot: Int
    let expert: Int
    let logit: Float
    let probability: Float?
    /// What it was chosen by: the probability, with a bias where the router has one.
    let score: Float
    let weight: Float
    /// To the best expert that was not chosen; infinite if none could have been.
    let margin: Float?

    func bind(to row: RowBinder) {
        row.set(1, passID)
        row.set(2, layer)
        row.set(3, position)
        row.set(4, slot)
        row.set(5, expert)
        row.set(6, Double(logit))
        row.set(7, probability.map { Double($0) })
        row.set(8, Double(score))
        row.set(9, Double(weight))
        row.set(10, margin.flatMap { $0.isFinite ? Double($0) : nil })
    }
}
