import Recording
import Tracing

/// The result of `experts`: which token went where, how the load is shared out, and what was read.
public struct ExpertsReport: Report {
    struct Layer: Encodable {
        let layer: Int
        let nExperts: Int
        let nUsed: Int
        let nTokens: Int
        /// Tokens that went through each expert.
        let load: [Int]
        let nDistinct: Int
        @OrNull var entropyBits: Double?
        let loadEntropyBits: Double
        @OrNull var alike: Double?
        let alikeIfEven: Double
    }

    struct Pass: Encodable {
        let step: Int
        let nTokens: Int
        let nDistinct: Int
        let nExperts: Int
        let bytesRead: Int
        let bytesAll: Int
        let share: Double
        let shareIfEven: Double
    }

    struct Choice: Encodable {
        let step: Int
        let position: Int
        let piece: String
        let layer: Int
        let slot: Int
        let expert: Int
        @OrNull var logit: Double?
        @OrNull var probability: Double?
        @OrNull var score: Double?
        @OrNull var weight: Double?
        @OrNull var margin: Double?
    }

    let trace: String
    let layers: [Layer]
    let passes: [Pass]
    let choices: [Choice]
    private let pieces: [String]
    /// The token whose choices are spelled out.
    private let token: Int?
    private let isOneLayer: Bool

    private enum CodingKeys: CodingKey { case trace, layers, passes, choices }

    /// - Parameters:
    ///   - pieces: the run's tokens.
    ///   - token: the position whose choices are spelled out.
    ///   - isOneLayer: whether the traffic is that of a layer that the user chose.
    public init(trace: String, _ traffic: ExpertTraffic, pieces: [String], token: Int?, isOneLayer: Bool) {
        self.trace = trace
        (self.pieces, self.token, self.isOneLayer) = (pieces, token, isOneLayer)
        layers = traffic.layers.map {
            Layer(
                layer: $0.layer, nExperts: $0.experts, nUsed: $0.used, nTokens: $0.tokens, load: $0.load,
                nDistinct: $0.distinct, entropyBits: $0.entropyBits, loadEntropyBits: $0.loadEntropyBits,
                alike: $0.alike, alikeIfEven: $0.alikeIfEven)
        }
        passes = traffic.passes.map {
            Pass(
                step: $0.step, nTokens: $0.tokens, nDistinct: $0.distinct, nExperts: $0.experts,
                bytesRead: $0.bytesRead, bytesAll: $0.bytesAll, share: $0.share, shareIfEven: $0.shareIfEven)
        }
        choices = traffic.choices.filter { choice in token.map { $0 == choice.position } ?? true }.map {
            Choice(
                step: $0.step, position: $0.position, piece: pieces[safe: $0.position] ?? "", layer: $0.layer,
                slot: $0.slot, expert: $0.expert, logit: $0.logit, probability: $0.probability, score: $0.score,
                weight: $0.weight, margin: $0.margin)
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let parts =
            token == nil
            ? [head(style), picture(style), layerLines(style), passLines(style)] : [head(style), choiceLines(style)]
        return parts.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private func head(_ style: Style) -> [String] {
        let kinds = Set(layers.map { "\($0.nUsed) of \(Numbers.count($0.nExperts, "expert"))" }).sorted()
        let where_ = isOneLayer ? "layer \(layers[0].layer)" : Numbers.count(layers.count, "layer")
        return [
            style.dim(trace.cutAtFront(to: style.width)),
            style.bold("A token goes through \(kinds.joined(separator: " or ")), in \(where_)"),
        ]
    }

    private static let labelWidth = 16
    /// Rows of the picture.
    private static let mostRows = 48

    /// Rows are tokens, columns experts, layer beside layer as many as the page has room for.
    private func picture(_ style: Style) -> [String] {
        let positions = Set(choices.map(\.position)).sorted()
        let shown = positions.suffix(Self.mostRows)
        let room = style.width - Self.labelWidth - 1
        let widths = layers.map { min($0.nExperts, room) }
        var weights: [Int: [Int: [Int: Double]]] = [:]  // layer, position, expert
        for choice in choices {
            weights[choice.layer, default: [:]][choice.position, default: [:]][choice.expert] = choice.weight ?? 0
        }
        var (lines, first) = ([String](), 0)
        while first < layers.count {
            var (end, used) = (first, 0)
            while end < layers.count, end == first || used + widths[end] + 2 <= room {
                used += widths[end] + (end == first ? 0 : 2)
                end += 1
            }
            let band = first..<end
            let names = band.map { "\(layers[$0].layer)".padded(to: widths[$0]).cut(to: max(1, widths[$0])) }
            if first > 0 { lines.append("") }
            let title = "layer".leftPadded(to: Self.labelWidth) + " "
            lines.append(style.dim((title + names.joined(separator: "  ")).withoutTrailingSpaces))
            for position in shown {
                let piece = (pieces[safe: position] ?? "").onOneLine.cut(to: Self.labelWidth - 6)
                let label = "\(position)".leftPadded(to: 4) + " " + piece
                let cells = band.map { index in
                    row(weights[layers[index].layer]?[position], layers[index].nExperts, widths[index], style)
                }
                lines.append((label.padded(to: Self.labelWidth) + " " + cells.joined(separator: "  ")))
            }
            first = end
        }
        var note = "A row is a token, a column an expert, its mark the weight. \(HeatMap.shareLegend(style))"
        if zip(layers, widths).contains(where: { $0.nExperts > $1 }) {
            note += " A column stands for neighbouring experts, the largest weight of which it shows."
        }
        if shown.count < positions.count { note += " The last \(shown.count) of \(positions.count) tokens." }
        note += " In the last layer, only tokens that were predicted from go on. --token spells one out."
        return lines.map(\.withoutTrailingSpaces) + note.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    private func row(_ weights: [Int: Double]?, _ experts: Int, _ width: Int, _ style: Style) -> String {
        guard let weights else { return String(repeating: " ", count: width) }
        return (0..<width).map { column in
            let range = column * experts / width..<(column + 1) * experts / width
            let largest = range.compactMap { weights[$0] }.max()
            // What was chosen shows, however little it counts.
            return largest.map { HeatMap.mark(max(0.02, min(1, $0)), width: 1, style) }
                ?? (style.isColored ? " " : style.dim("."))
        }.joined()
    }

    private func layerLines(_ style: Style) -> [String] {
        var table = Table([
            ("layer", .right), ("tokens", .right), ("met", .right), ("router", .right), ("load", .right),
            ("alike", .right), ("even", .right), ("load by expert", .left),
        ])
        for layer in layers {
            let most = Double(max(1, layer.load.max() ?? 1))
            table.add(
                "\(layer.layer)", "\(layer.nTokens)", "\(layer.nDistinct)/\(layer.nExperts)",
                layer.entropyBits.map { Numbers.fixed($0) } ?? "-", Numbers.fixed(layer.loadEntropyBits),
                layer.alike.map(Numbers.percent) ?? "-", Numbers.percent(layer.alikeIfEven),
                Bar.sparkline(layer.load.map { $0 == 0 ? 0 : Double($0) / most }))
        }
        let legend = """
            Met: experts that some token went through. Router: mean entropy of its probabilities in bits; load: that of \
            the tokens' choices, at most log2 of the experts. Alike: share of a token's experts that the next token went \
            through too; even: if choices were even and independent.
            """
        return [style.bold("Load")] + table.lines(style) + legend.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    private func passLines(_ style: Style) -> [String] {
        var table = Table([
            ("step", .right), ("tokens", .right), ("experts", .right), ("read", .right), ("of", .right),
            ("share", .right), ("even", .right), ("", .left),
        ])
        for pass in passes.prefix(20) {
            table.add(
                "\(pass.step)", "\(pass.nTokens)", "\(pass.nDistinct)/\(pass.nExperts)",
                ByteSize(pass.bytesRead).description, ByteSize(pass.bytesAll).description,
                Numbers.percent(pass.share), Numbers.percent(pass.shareIfEven),
                Bar.horizontal(pass.share, width: 10))
        }
        var legend = """
            Bytes of the experts' matrices, each expert that a pass needs once. Even: the share if every token chose by \
            itself and evenly, 1 - (1 - k/n)^T. What is saved is reading; all experts have to be in memory.
            """
        if passes.count > 20 { legend += " The first 20 of \(passes.count) passes; --json has all." }
        return [style.bold("Expert weights read by each pass")] + table.lines(style)
            + legend.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    /// One token, layer by layer.
    private func choiceLines(_ style: Style) -> [String] {
        guard let first = choices.first, let token else {
            return [
                "Token \(token ?? 0) '\((pieces[safe: token ?? 0] ?? "").onOneLine)' was not evaluated: it was generated last."
            ]
        }
        var table = Table([
            ("layer", .right), ("slot", .right), ("expert", .right), ("logit", .right), ("probability", .right),
            ("score", .right), ("weight", .right), ("margin", .right),
        ])
        for choice in choices {
            table.add(
                "\(choice.layer)", "\(choice.slot)", "\(choice.expert)", Numbers.short(choice.logit),
                Numbers.short(choice.probability), Numbers.short(choice.score), Numbers.short(choice.weight),
                Numbers.short(choice.margin))
        }
        let legend = """
            The logit is the router's product; the probability made of it; the score what the expert was chosen by (with \
            a bias, if the router has one); the weight by what its output is multiplied; the margin that to the best \
            expert not chosen.
            """
        return [style.bold("Token \(token) '\(first.piece.onOneLine)'")] + table.lines(style)
            + legend.wrapped(to: style.width, indent: "", paint: style.dim)
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
