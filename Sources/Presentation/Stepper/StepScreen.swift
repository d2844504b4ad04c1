import Stepping

/// The stepper's screen: what is known of a location and of the keyboard, as lines of a terminal.
public struct StepScreen {
    public struct Size: Hashable, Sendable {
        public var rows: Int
        public var columns: Int

        public init(rows: Int, columns: Int) {
            self.rows = rows
            self.columns = columns
        }
    }

    private struct Section {
        let lines: [String]
        /// What has least goes first where there is no room.
        let importance: Int
    }

    private let view: StepperView
    private let console: StepConsole
    private let size: Size
    private let style: Style

    public init(_ view: StepperView, _ console: StepConsole, size: Size, isColored: Bool) {
        self.view = view
        self.console = console
        self.size = size
        style = Style(isColored: isColored, width: size.columns)
    }

    /// Lines that a page can show on a terminal of this height.
    public static func pageHeight(_ size: Size) -> Int { max(1, size.rows - 3) }

    /// Exactly as many lines as the terminal has rows, none wider than its columns.
    public var lines: [String] {
        var lines = console.page.map(page) ?? operation
        lines = Array(lines.prefix(max(0, size.rows - footer.count)))
        lines += Array(repeating: "", count: max(0, size.rows - footer.count - lines.count))
        return (lines + footer).prefix(size.rows).map { $0.clipped(to: size.columns) }
    }

    // MARK: the operation

    private var operation: [String] {
        let card = StepCard(view: view)
        let diagram = LayerDiagram(view)
        let room = size.rows - footer.count
        var sections = [
            Section(lines: [header], importance: 4),
            Section(lines: [card.location(style)], importance: 9),
            Section(lines: [""], importance: 0),
            Section(lines: size.columns >= diagram.width ? diagram.lines(style) : [], importance: 3),
            Section(lines: [""], importance: 1),
            Section(lines: [card.title(style)], importance: 10),
            Section(lines: [card.meaning], importance: 8),
            Section(lines: [card.formula(style)], importance: 6),
            Section(lines: [card.inputs(style)], importance: 6),
            Section(lines: [card.users(style)], importance: 5),
            Section(lines: [card.statistics(style)], importance: 7),
            Section(lines: [card.cost(style)], importance: 5),
            Section(lines: card.expectation(style).map { [$0] } ?? [], importance: 8),
        ]
        // A picture of fewer rows than this says little.
        let leastPicture = size.rows >= 18 ? 5 : 0
        while sections.reduce(0, { $0 + $1.lines.count }) + leastPicture > room,
            let least = sections.indices.filter({ !sections[$0].lines.isEmpty }).min(by: {
                sections[$0].importance < sections[$1].importance
            }), sections.count > 1
        {
            sections.remove(at: least)
        }
        let lines = sections.flatMap(\.lines)
        return lines + picture(room: room - lines.count)
    }

    private var header: String {
        let name = view.trace.split(separator: "/").last.map(String.init) ?? view.trace
        let run = view.run.isComplete ? "" : ", cut off"
        return style.bold("quipu step") + "  " + style.dim("\(name), run \(view.run.id)\(run)  ")
            + "‹\(view.run.prompt.onOneLine)›"
    }

    private func picture(room: Int) -> [String] {
        guard let picture = view.picture else { return room > 1 ? [style.dim(view.pictureProblem ?? "")] : [] }
        return room >= 4 ? StepHeatMap(view: view, picture: picture).lines(style, rows: room - 2) : []
    }

    // MARK: a page

    private func page(_ page: StepConsole.Page) -> [String] {
        let height = Self.pageHeight(size)
        return [style.bold(page.title)] + page.lines[min(page.offset, page.lines.count)...].prefix(height)
    }

    // MARK: the last two lines

    private var footer: [String] {
        if let typed = console.typed {
            // Of a line that is too long, the end is where one types.
            var shown = typed.onOneLine
            while shown.displayWidth > max(1, size.columns - 2) { shown.removeFirst() }
            let line = ":" + shown + "█"
            return size.rows > 3 ? [style.dim("Enter runs the command, Esc leaves it; help lists all"), line] : [line]
        }
        if let page = console.page { return [pageFooter(page)] }
        let paint = console.isComplaint ? style.warning : style.accent
        let words = console.message.onOneLine.split(separator: " ").map(String.init)
        let message = words.wrapped(to: max(20, size.columns), indent: "").prefix(max(1, size.rows / 6)).map(paint)
        return size.rows > 3 ? message + [keys] : Array(message.prefix(1))
    }

    private func pageFooter(_ page: StepConsole.Page) -> String {
        let height = Self.pageHeight(size)
        let end = min(page.lines.count, page.offset + height)
        let scroll =
            page.lines.count > height
            ? "\(page.offset + 1) to \(end) of \(page.lines.count) lines, arrows and space scroll; " : ""
        let digits = page.digitCommand.map { _ in "a digit goes there; " } ?? ""
        return style.dim(scroll + digits + "Esc or Enter returns")
    }

    /// As many keys as fit, the most needed first.
    private var keys: String {
        let all = [
            ("n p", "op"), ("N P", "layer"), ("?", "help"), ("q", "quit"), (":", "command"), ("i u", "in out"),
            ("w", "why"),
            ("/", "find"), ("[ ]", "pass"), ("h", "heat"), ("b", "back"), ("c C", "run"),
        ]
        var (texts, used) = ([String](), 0)
        for (key, word) in all {
            let width = key.count + word.count + 1 + (texts.isEmpty ? 0 : 3)
            guard used + width <= size.columns else { break }
            texts.append(style.bold(key) + " " + style.dim(word))
            used += width
        }
        return texts.joined(separator: "   ")
    }
}
