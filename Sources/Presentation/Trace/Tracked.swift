import LlamaModel

/// What was said about a token that is followed through a run, after one of its positions.
public struct Tracked: Encodable, Sendable {
    /// Of the token that the prediction is made after.
    let position: Int
    /// That token.
    let after: String
    let tokenId: Int
    let piece: String
    /// How many tokens are more probable.
    let rank: Int
    let logit: Double
    let probability: Double

    /// - Parameter ids: of the run's tokens, by position.
    public init(_ token: TrackedToken, in ids: [Int], _ model: Llama) {
        let candidate = token.candidate
        (position, rank) = (token.position, token.rank)
        after = model.vocabulary.displayPiece(ids[token.position])
        (tokenId, piece) = (candidate.token, candidate.piece)
        (logit, probability) = (candidate.logit, candidate.probability)
    }

    static func lines(_ tracked: [Tracked], _ style: Style) -> [String] {
        var table = Table([
            ("   position", .right), ("after", .left), ("token", .left), ("rank", .right), ("probability", .left),
        ])
        for token in tracked {
            table.add(
                "\(token.position)", "‹\(token.after)›", "‹\(token.piece)›", "\(token.rank + 1)",
                Numbers.percent(token.probability).padded(to: 9) + Bar.horizontal(token.probability, width: 16))
        }
        return table.lines(style)
    }
}
