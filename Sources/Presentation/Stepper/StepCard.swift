import Recording
import Stepping

/// One operation in a few lines: the part of the stepper's page that both screen and line mode show.
struct StepCard {
    let view: StepperView

    /// Where one is: `pass 0 of 4: the prompt, 28 tokens · layer 3 of 30 · op 132 of 1086`.
    func location(_ style: Style) -> String {
        let pass = view.pass
        let what =
            pass.tokens > 1 || pass.step == 0
            ? "the prompt, \(Numbers.count(pass.tokens, "token"))"
            : "token ‹\((view.tokens.first?.piece ?? "?").onOneLine)›"
        let layer = view.operation.layer.map { "layer \($0) of \(view.layers)" } ?? "outside the layers"
        let parts = [
            "pass \(pass.step)" + (view.passes > 1 ? " of \(view.passes)" : "") + ": " + what, layer,
            "op \(view.operation.seq) of \(view.operations)",
        ]
        return parts.joined(separator: style.dim("  ·  "))
    }

    func title(_ style: Style) -> String {
        let operation = view.operation
        let number = view.occurrence.of > 1 ? style.dim("#\(view.occurrence.index)") : ""
        let dimensions = OperationGlossary.dimensions(of: operation).map { names in
            names.prefix(operation.shape.significant.count).joined(separator: " x ")
        }
        return style.bold(style.accent(operation.name.onOneLine)) + number + "   \(operation.kind)   "
            + "\(operation.type.name) \(operation.shape)" + (dimensions.map { style.dim("  \($0)") } ?? "")
    }

    var meaning: String { OperationGlossary.meaning(of: view.operation) }

    func formula(_ style: Style) -> String {
        let parameters = OperationGlossary.parameters(of: view.operation)
        return style.accent(view.operation.operation?.formula ?? "")
            + (parameters.isEmpty ? "" : style.dim("   \(parameters)"))
    }

    /// `in   0 kq-3 28x28x9 · 1 attn_inp_kq_mask 28x28`.
    func inputs(_ style: Style) -> String {
        let texts = view.inputs.map { input in
            let origin =
                switch input.origin {
                case .operation(let source): " \(input.shape)" + style.dim(" op \(source.seq)")
                case .weight(let weight): " \(weight.type) \(input.shape)"
                case .leaf: " \(input.shape)" + style.dim(" given")
                }
            return style.dim("\(input.slot) ") + input.name.onOneLine + origin
        }
        return style.dim("in   ") + texts.joined(separator: style.dim(" · "))
    }

    func users(_ style: Style) -> String {
        guard !view.users.isEmpty else {
            let isCache = view.operation.isWrite
            return style.dim("out  ") + (isCache ? "the cache" : "the result of the pass")
        }
        return style.dim("out  ")
            + view.users.map { $0.operation.name.onOneLine + style.dim(" op \($0.operation.seq)") }
            .joined(separator: style.dim(" · "))
    }

    func statistics(_ style: Style) -> String {
        let operation = view.operation
        guard operation.rms != nil else { return style.dim("rms ") + "no finite values" }
        let pairs = [
            ("rms", operation.rms), ("min", operation.minimum), ("max", operation.maximum), ("mean", operation.mean),
            ("std", operation.std),
        ]
        var parts = pairs.map { style.dim($0 + " ") + Numbers.short($1) }
        if operation.zeros > 0 {
            let share = Double(operation.zeros) / Double(max(1, operation.count))
            parts.append(style.dim("zeros ") + Numbers.percent(share))
        }
        let odd = [("NaN", operation.nans), ("inf", operation.infinities)].filter { $1 > 0 }
        parts += odd.map { style.warning("\($1) \($0)") }
        return parts.joined(separator: "  ")
    }

    func cost(_ style: Style) -> String {
        let operation = view.operation
        if operation.bytesRead + operation.bytesWritten == 0 {
            return Numbers.duration(nanoseconds: operation.nanoseconds) + style.dim("  no bytes move")
        }
        let bytes = Double(operation.bytesRead + operation.bytesWritten)
        return [
            Numbers.duration(nanoseconds: operation.nanoseconds),
            Numbers.scaled(operation.flops) + style.dim(" operations"),
            style.dim("reads ") + "\(ByteSize(operation.bytesRead))",
            style.dim("writes ") + "\(ByteSize(operation.bytesWritten))",
            Numbers.short(bytes / Double(max(1, operation.nanoseconds))) + style.dim(" GB/s"),
        ].joined(separator: "  ")
    }

    /// What the pass expects next, where this is its last operation.
    func expectation(_ style: Style) -> String? {
        guard !view.candidates.isEmpty else { return nil }
        return style.dim("next token  ")
            + view.candidates.prefix(5).map { candidate in
                "‹\(candidate.piece.onOneLine)›" + (candidate.probability.map { " " + Numbers.percent($0) } ?? "")
            }.joined(separator: style.dim(" · "))
    }

    /// All of it, each line within the page.
    func lines(_ style: Style) -> [String] {
        let all = [
            location(style), title(style), meaning, formula(style), inputs(style), users(style), statistics(style),
            cost(style), expectation(style),
        ]
        return all.compactMap { $0?.clipped(to: style.width) }
    }
}

extension String {
    /// At most `width` columns of text with colours in it; what was on is off at the end of a cut one.
    func clipped(to width: Int) -> String {
        guard width > 0 else { return "" }
        guard shownWidth > width else { return self }
        let pieces = split(separator: "\u{1B}", omittingEmptySubsequences: false)
        guard pieces.count > 1 else { return cut(to: width) }
        var (text, used) = ("", 0)
        for (number, piece) in pieces.enumerated() {
            var visible = piece
            if number > 0 {
                guard let end = piece.firstIndex(of: "m") else { continue }
                text += "\u{1B}" + piece[...end]
                visible = piece[piece.index(after: end)...]
            }
            for character in visible {
                guard used + character.displayWidth < width else { return text + "…\u{1B}[0m" }
                text.append(character)
                used += character.displayWidth
            }
        }
        return text
    }

    /// Columns on the screen, colours aside.
    var shownWidth: Int {
        split(separator: "\u{1B}", omittingEmptySubsequences: false).enumerated().reduce(0) { sum, part in
            let visible = part.offset == 0 ? part.element : part.element.drop { $0 != "m" }.dropFirst()
            return sum + String(visible).displayWidth
        }
    }
}
