import Tokenization

/// A conversation as its template wrote it, before it runs: the text with special tokens marked, and the ids.
public struct ChatPromptPage {
    private let segments: [Vocabulary.Segment]
    private let ids: [Int]

    public init(_ ids: [Int], _ vocabulary: Vocabulary) { (segments, self.ids) = (vocabulary.segments(of: ids), ids) }

    public func text(_ style: Style) -> String { text(style, listsIds: true) }

    func text(_ style: Style, listsIds: Bool) -> String {
        let title = "The prompt, as the model's chat template writes it (⟦special tokens⟧ in brackets)"
        let idLines = ids.map(String.init).wrapped(to: style.width, indent: "")
        let list = listsIds ? ["", style.bold(Numbers.count(ids.count, "token"))] + idLines : []
        return ([style.bold(title), marked(style)] + list).joined(separator: "\n")
    }

    /// Special tokens in brackets, so that they cannot be mistaken for text that only looks like them.
    func marked(_ style: Style) -> String {
        segments.map { segment in
            segment.isSpecial ? style.accent("⟦\(segment.text.onOneLine)⟧") : segment.text.withoutControls
        }.joined()
    }
}
