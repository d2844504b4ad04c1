import Tokenization

/// The result of `tokenize`.
public struct TokenizeReport: Report {
    let ids: [Int]
    let pieces: [String]
    let steps: [Step]?

    struct Step: Encodable {
        let fragment: String
        let symbols: [String]
        let merges: [Merge]
        let takenWhole: Bool
        let ids: [Int]
    }

    struct Merge: Encodable {
        let left: String
        let right: String
        let result: String
        let reason: String
    }

    public init(ids: [Int], steps: [TokenizationStep]?, tokenizer: Tokenizer) {
        self.ids = ids
        pieces = ids.map(tokenizer.displayPiece)
        self.steps = steps?.map { step in
            Step(
                fragment: step.text, symbols: step.symbols,
                merges: step.merges.map {
                    Merge(left: $0.left, right: $0.right, result: $0.result, reason: $0.reason.words)
                }, takenWhole: step.isTakenWhole, ids: step.ids)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([("place", .right), ("id", .right), ("piece", .left)])
        for (place, (id, piece)) in zip(ids, pieces).enumerated() { table.add("\(place)", "\(id)", "‹\(piece)›") }
        var lines = [style.bold("\(ids.count) tokens")] + table.lines(style)
        for step in steps ?? [] {
            lines += ["", style.bold("‹\(step.fragment)›") + (step.takenWhole ? "  is in the vocabulary whole" : "")]
            if !step.symbols.isEmpty, !step.takenWhole { lines.append("  start  " + step.symbols.joined(separator: " ")) }
            for merge in step.merges {
                lines.append("  merge  \(merge.left) + \(merge.right) -> \(style.accent(merge.result))   \(style.dim(merge.reason))")
            }
            lines.append("  ids    " + step.ids.map(String.init).joined(separator: " "))
        }
        return lines.joined(separator: "\n")
    }
}

extension TokenizationStep.Reason {
    fileprivate var words: String {
        switch self {
        case .rank(let rank): "rank \(rank) in the list of merges, the lowest left"
        case .score(let score): "score \(score), the highest left"
        }
    }
}
