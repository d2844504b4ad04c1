import Measuring
import Recording
import Tracing

/// The result of `patch sweep` and `ablate sweep`.
public struct SweepReport: Report {
    struct Cell: Encodable {
        let layer: Int
        /// The head, position or expert; of layers 0 for attention and 1 for the feed-forward network.
        let index: Int
        /// llama.cpp's name of the node that was changed.
        let name: String
        let value: Double
        /// From the run itself.
        let change: Double
    }

    let command: String
    let trace: String
    @OrNull var corrupt: String?
    let model: String
    let over: String
    let change: String
    /// `23.3 query`, of path patching.
    @OrNull var to: String?
    let metric: String
    /// Of the metric: of the run itself, and of the other.
    let base: Double
    @OrNull var other: Double?
    let columns: [String]
    let cells: [Cell]
    /// Of the operations of as many whole runs, those that were evaluated.
    let evaluatedShare: Double
    let prompt: [String]
    private let limit: Int

    private enum CodingKeys: CodingKey {
        case command, trace, corrupt, model, over, change, to, metric, base, other, columns, cells, evaluatedShare,
            prompt
    }

    public init(
        _ sweep: Sweep, of run: Replay, command: String, trace: String, corrupt: String?, change: String,
        metric: String, to receiver: PathReceiver? = nil, limit: Int
    ) {
        to = receiver?.name
        (self.command, self.trace, self.change, self.metric) = (command, trace, change, metric)
        (model, over, base) = (run.model.file.path, sweep.plan.unit.rawValue, sweep.base)
        self.corrupt = corrupt
        other = sweep.other
        columns = sweep.plan.columns
        cells = sweep.cells.map {
            Cell(
                layer: $0.layer, index: $0.column, name: $0.name, value: $0.value, change: $0.value - sweep.base)
        }
        evaluatedShare = sweep.share
        prompt = run.tokens[0].map { run.model.vocabulary.displayPiece($0) }
        self.limit = limit
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(trace.cutAtFront(to: style.width))]
        let what =
            corrupt.map { "gets the values that it had in \($0)" }
            ?? (change == "zero" ? "is zero" : "is its mean over the positions")
        let path = to.map { name in
            let parts = name.split(separator: " ")
            return
                "; of what follows, only what it does to the \(parts[1]) of head \(parts[0]) counts, the heads between kept "
                + "as they were"
        }
        lines += words("One \(noun) at a time \(what)\(path ?? "").", style)
        lines += words(
            "\(metric): \(Numbers.signed(base)) of the run itself"
                + (other.map { ", \(Numbers.signed($0)) of the other" } ?? "") + ".", style)
        lines += ["", style.bold("Change of it: layers down, \(across) across")]
        lines += heatLines(style)
        lines += ["", style.bold("The largest")] + [""] + tableLines(style)
        if cells.count > limit { lines.append(style.dim("… and \(cells.count - limit) more; --limit shows them")) }
        lines += words(
            "\(cells.count) runs; computed were \(Numbers.percent(evaluatedShare)) of their operations.", style)
        return lines.joined(separator: "\n")
    }

    private var noun: String {
        switch over {
        case "layers": "part of a layer"
        default: String(over.dropLast())
        }
    }

    private var across: String { over == "layers" ? "attention and feed-forward network" : over }

    private func heatLines(_ style: Style) -> [String] {
        let layers = Array(Set(cells.map(\.layer))).sorted()
        var values = [Double?](repeating: nil, count: layers.count * columns.count)
        let rows = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1, $0) })
        for cell in cells { values[rows[cell.layer]! * columns.count + cell.index] = cell.change }
        let map = HeatMap(rows: layers.count, columns: columns.count, values: values)
        return map.lines(
            style, maximumRows: 64, firstRow: layers.first ?? 0, axes: "\(across) right, layers down")
    }

    private func tableLines(_ style: Style) -> [String] {
        var table = Table([
            ("layer", .right), (over == "layers" ? "part" : noun, .left), ("node", .whole), ("value", .right),
            ("change", .right), ("", .left),
        ])
        let sorted = cells.sortedWorstFirst { abs($0.change) }
        let most = max(abs(sorted.first?.change ?? 0), .leastNonzeroMagnitude)
        for cell in sorted.prefix(limit) {
            let index =
                over == "positions" && prompt.indices.contains(cell.index)
                ? "\(cell.index) \(prompt[cell.index])" : columns[cell.index]
            table.add(
                "\(cell.layer)", index, cell.name, Numbers.signed(cell.value), Numbers.signed(cell.change),
                Bar.horizontal(abs(cell.change) / most, width: 12))
        }
        return table.lines(style)
    }

    private func words(_ text: String, _ style: Style) -> [String] { text.wrapped(to: style.width) }
}
