import GGUF
import Tokenization

/// The result of `tokenize`.
public struct TokenizeReport: Report {
    let ids: [Int]
    let pieces: [String]
    /// What each is for: `normal`, `control`, `byte`, …
    let kinds: [String]
    /// What the ids stand for, where no text was given.
    @OrNull var text: String?
    @OrNull var steps: [Step]?
    /// The text that a chat template made of a conversation.
    @OrNull var chat: String?

    private var segments: ChatPromptPage?

    private enum CodingKeys: CodingKey { case ids, pieces, kinds, text, steps, chat }

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

    /// - Parameters:
    ///   - chat: what a chat template wrote, if one did.
    ///   - text: what the ids stand for, if they were what was given.
    public init(
        ids: [Int], steps: [TokenizationStep]?, vocabulary: Vocabulary, chat: [UInt8]? = nil, text: [UInt8]? = nil
    ) {
        self.ids = ids
        kinds = ids.map { vocabulary.kind($0).words }
        self.text = text.map { String(storedBytes: $0).showingBytes() }
        self.chat = chat.map { String(storedBytes: $0).showingBytes() }
        segments = chat.map { _ in ChatPromptPage(ids, vocabulary) }
        pieces = ids.map(vocabulary.displayPiece)
        self.steps = steps?.map { step in
            Step(
                fragment: step.text, symbols: step.symbols,
                merges: step.merges.map {
                    Merge(left: $0.left, right: $0.right, result: $0.result, reason: $0.reason.words)
                }, takenWhole: step.isTakenWhole, ids: step.ids)
        }
    }

    public func page(_ style: Style) -> String {
        let hasKinds = text != nil
        var table = Table(
            [("position", .right), ("id", .right), ("piece", .left)] + (hasKinds ? [("kind", .left)] : []))
        for (position, (id, piece)) in zip(ids, pieces).enumerated() {
            table.add(["\(position)", "\(id)", "‹\(piece)›"] + (hasKinds ? [kinds[position]] : []))
        }
        var lines = segments.map { [$0.text(style, listsIds: false), ""] } ?? []
        lines += [style.bold(Numbers.count(ids.count, "token"))] + (ids.isEmpty ? [] : table.lines(style))
        if let text { lines += ["", "‹\(text)›"] }
        lines += spaceNote.map { ["", style.dim($0)] } ?? []
        for step in steps ?? [] {
            let note = step.takenWhole ? "  is in the vocabulary whole" : ""
            let title = "‹\(step.fragment)›".onOneLine.cut(to: style.width - note.displayWidth)
            lines += ["", style.bold(title) + note]
            if !step.symbols.isEmpty, !step.takenWhole { lines += row("start", step.symbols, style) }
            for merge in step.merges {
                let pair = "  merge  \(merge.left) + \(merge.right) -> ".onOneLine
                let result = merge.result.onOneLine.cut(to: max(8, style.width - pair.displayWidth))
                let room = style.width - pair.displayWidth - result.displayWidth - 3
                let reason = room > 12 ? "   " + style.dim(merge.reason.cut(to: room)) : ""
                lines.append(pair.cut(to: style.width - 8) + style.accent(result) + reason)
            }
            lines += row("ids", step.ids.map(String.init), style)
        }
        return lines.joined(separator: "\n")
    }

    /// What the vocabulary writes for a space, if a step shows it.
    private var spaceNote: String? {
        let symbols = (steps ?? []).flatMap(\.symbols)
        guard let mark = ["Ġ", "▁"].first(where: { mark in symbols.contains { $0.hasPrefix(mark) } }) else {
            return nil
        }
        return "Neighbours merge in the order of the model's list. \(mark) stands for a space."
    }

    private func row(_ label: String, _ words: [String], _ style: Style) -> [String] {
        let lines = words.map(\.onOneLine).wrapped(to: style.width - 9, indent: "")
        return lines.enumerated().map { "  " + ($0 == 0 ? label : "").padded(to: 7) + $1 }
    }
}

extension TokenizationStep.Reason {
    fileprivate var words: String {
        switch self {
        case .rank(let rank): "rank \(rank), the lowest left"
        case .score(let score): "score \(score), the highest left"
        }
    }
}

extension TokenKind {
    fileprivate var words: String {
        switch self {
        case .undefined: "undefined"
        case .normal: "normal"
        case .unknown: "unknown"
        case .control: "control"
        case .userDefined: "user-defined"
        case .unused: "unused"
        case .byte: "byte"
        }
    }
}
