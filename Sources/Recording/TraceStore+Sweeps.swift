import GRDB

/// What a run's prediction becomes with one part of it changed, as table `sweep` has it.
public struct SweepRecord: Sendable {
    /// `heads`, `layers`, `positions` or `experts`.
    public var unit: String
    /// `patch`, `zero` or `mean`.
    public var change: String
    /// The trace that values are from; empty without one.
    public var source: String
    /// As it was asked for: `' Mary' - ' John'`, or `kld`.
    public var metric: String
    /// Positions that were changed, as they were asked for.
    public var positions: String
    /// The head by which alone the part has its effect, `23.3 query`; empty where nothing is kept from it.
    public var receiver: String
    public var layer: Int
    /// The head, position or expert; of layers 0 for attention and 1 for the feed-forward network.
    public var item: Int
    /// Of the operation that was changed.
    public var name: String
    /// The metric of the run itself, of the other run, and with the change.
    public var base: Double
    public var other: Double?
    public var value: Double

    public init(
        unit: String, change: String, source: String, metric: String, positions: String, receiver: String = "",
        layer: Int, item: Int, name: String, base: Double, other: Double?, value: Double
    ) {
        (self.unit, self.change, self.source, self.metric) = (unit, change, source, metric)
        (self.positions, self.receiver) = (positions, receiver)
        (self.layer, self.item, self.name) = (layer, item, name)
        (self.base, self.other, self.value) = (base, other, value)
    }
}

extension TraceStore {
    /// Adds the parts of a sweep over a run; those of the same question are replaced.
    public func record(_ parts: [SweepRecord], of run: RecordedRun) throws {
        try TraceStore.wrapping(path) {
            try database.write { db in for part in parts { try SweepRow(runID: run.id, part: part).insert(db) } }
        }
    }
}

private struct SweepRow: TraceRow {
    static let insertion = Insertion(
        into: "sweep",
        columns: [
            "run_id", "unit", "change", "source", "metric", "positions", "receiver", "layer", "item", "name",
            "base", "other", "value",
        ])

    let runID: Int
    let part: SweepRecord

    func bind(to row: RowBinder) {
        row.bind(
            runID, part.unit, part.change, part.source, part.metric, part.positions, part.receiver, part.layer,
            part.item, part.name, part.base, part.other, part.value)
    }
}
