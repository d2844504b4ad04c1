import LlamaModel
import Measuring

/// The result of `lens`: what each layer would say, at one position in full, at several as a grid.
public struct LensReport: Report {
    struct Token: Encodable {
        let tokenId: Int
        let piece: String
        let logit: Double
        let probability: Double

        init(_ candidate: Candidate) {
            tokenId = candidate.token
            piece = candidate.piece
            logit = candidate.logit
            probability = candidate.probability
        }
    }

    struct Layer: Encodable {
        /// -1: the embedding.
        let layer: Int
        let entropyBits: Double
        let top: [Token]
        let followed: Token
        /// Of the followed token; 0: the most probable.
        let rank: Int
    }

    struct Position: Encodable {
        let position: Int
        let step: Int
        /// The token at the position, after which the next one is predicted.
        let piece: String
        /// What the model predicts there.
        let predicts: Token
        let layers: [Layer]
    }

    let trace: String
    /// The file of a tuned lens, through which the stream is read.
    @OrNull var translator: String?
    let positions: [Position]

    /// The text of all positions.
    private let tokens: [String]
    /// The token that was asked for; `nil`: what the model predicts at each position.
    private let named: String?

    private enum CodingKeys: CodingKey { case trace, translator, positions }

    public init(
        trace: String, tokens: [String], columns: [LensColumn], named: String?, top: Int, translator: String? = nil
    ) {
        self.translator = translator
        self.trace = trace
        self.tokens = tokens
        self.named = named
        positions = columns.map { column in
            Position(
                position: column.position, step: column.step, piece: tokens[column.position],
                predicts: Token(column.final),
                layers: column.readings.map { reading in
                    Layer(
                        layer: reading.layer, entropyBits: reading.entropyBits,
                        top: reading.top.prefix(top).map(Token.init), followed: Token(reading.followed),
                        rank: reading.rank)
                })
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        (positions.count == 1 ? single(positions[0], style) : grid(style)).joined(separator: "\n")
    }

    private static func name(_ layer: Int) -> String { layer < 0 ? "embd" : "\(layer)" }

    /// A token between quotes, so that its spaces are seen.
    private static func quoted(_ piece: String) -> String { "'\(piece)'" }

    private func single(_ position: Position, _ style: Style) -> [String] {
        let text = tokens[...position.position].joined()
        let room = style.width - 12
        let tail = text.count > room ? "…" + text.suffix(room - 1) : text
        var lines = [
            style.bold("\(translator == nil ? "Logit lens" : "Tuned lens") of \(trace)"),
            "position \(position.position), step \(position.step): what comes after",
            "  " + style.accent(tail.onOneLine),
        ]
        lines += sentence(
            "The model says \(Self.quoted(position.predicts.piece)) with \(percent(position.predicts)). After each "
                + "layer, if the network ended there:", style)
        lines += [""]
        let followed = named ?? position.predicts.piece
        var table = Table([
            ("layer", .whole), ("first", .left), ("p", .right), ("second", .left), ("third", .left), ("rank", .right),
            ("p", .right), ("bits", .right),
        ])
        for layer in position.layers {
            func piece(_ rank: Int) -> String { rank < layer.top.count ? Self.quoted(layer.top[rank].piece) : "" }
            table.add([
                Self.name(layer.layer), piece(0), percent(layer.top[0]), piece(1), piece(2),
                Numbers.grouped(layer.rank), percent(layer.followed), Numbers.fixed(layer.entropyBits),
            ])
        }
        lines += table.lines(style) + [""]
        lines += sentence(
            "rank and the second p: of \(Self.quoted(followed)), 0 is the most probable; bits: entropy of the whole "
                + "distribution.", style, style.dim)
        return lines + sentence(verdict(position, followed), style)
    }

    private func verdict(_ position: Position, _ followed: String) -> String {
        let ranks = position.layers.map(\.rank)
        let quoted = Self.quoted(followed)
        guard ranks.last == 0 else { return "\(quoted) is not what the model says in the end." }
        let first = position.layers[(ranks.lastIndex { $0 != 0 } ?? -1) + 1].layer
        return first < 0
            ? "\(quoted) is on top from the embedding on."
            : "From layer \(first) on, \(quoted) is on top and stays there."
    }

    private func percent(_ token: Token) -> String {
        token.probability < 5e-5 ? "0 %" : Numbers.percent(token.probability)
    }

    private func sentence(_ text: String, _ style: Style, _ paint: (String) -> String = { $0 }) -> [String] {
        text.wrapped(to: style.width, indent: "", paint: paint)
    }

    // MARK: the grid

    private static let cellWidth = 9

    private func grid(_ style: Style) -> [String] {
        var lines = [style.bold("\(translator == nil ? "Logit lens" : "Tuned lens") of \(trace)")]
        let what =
            named.map {
                "Rank of \(Self.quoted($0)) after each layer (0: most probable), and how probable it is there."
            } ?? "What each layer would say comes next, if the network ended there."
        lines += sentence(what + " The last row is the model's real output.", style)
        let perBand = max(1, (style.width - 6) / Self.cellWidth)
        for start in stride(from: 0, to: positions.count, by: perBand) {
            lines += [""] + band(positions[start..<min(start + perBand, positions.count)], style)
        }
        return lines + [""]
            + sentence(
                style.isColored
                    ? "The darker, the more probable. --positions with one number shows it in full."
                    : "The bar after each token is its probability, █ for all of it. --positions with one number shows it in full.",
                style, style.dim)
    }

    private func band(_ columns: ArraySlice<Position>, _ style: Style) -> [String] {
        func line(_ label: String, _ cells: [String]) -> String {
            label.leftPadded(to: 5) + " " + cells.joined()
        }
        let width = Self.cellWidth
        var lines = [
            style.dim(line("at", columns.map { "\($0.position)".cut(to: width - 1).padded(to: width) })),
            style.dim(
                line("token", columns.map { $0.piece.onOneLine.cut(to: width - 1).padded(to: width) })),
        ]
        for row in columns.first!.layers.indices {
            lines.append(
                line(Self.name(columns.first!.layers[row].layer), columns.map { cell($0.layers[row], style) }))
        }
        return lines
    }

    private func cell(_ layer: Layer, _ style: Style) -> String {
        let shown = named == nil ? layer.top[0] : layer.followed
        let text = named == nil ? shown.piece.onOneLine : Numbers.grouped(layer.rank)
        let room = Self.cellWidth - (style.isColored ? 1 : 2)
        let padded = text.cut(to: room).padded(to: room)
        guard style.isColored else { return padded + Bar.sparkline([shown.probability]) + " " }
        return HeatMap.cell(padded, share: shown.probability, style) + " "
    }
}
