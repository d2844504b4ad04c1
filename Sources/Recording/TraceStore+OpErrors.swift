import GRDB

/// The error of an operation against the same operation in the F32 run, as table `op_error` has it. Units as the
/// operation's output.
public struct OpErrorRecord: Sendable {
    /// `op.seq`.
    public var seq: Int
    /// `local` or `accumulated`.
    public var mode: String
    /// `weights`, `activations` or `both`.
    public var cause: String
    public var count: Int
    public var mse: Double
    public var maximum: Double
    /// Infinite without error, and then NULL.
    public var sqnr: Double
    public var cosine: Double

    public init(
        seq: Int, mode: String, cause: String, count: Int, mse: Double, maximum: Double, sqnr: Double, cosine: Double
    ) {
        self.seq = seq
        self.mode = mode
        self.cause = cause
        self.count = count
        self.mse = mse
        self.maximum = maximum
        self.sqnr = sqnr
        self.cosine = cosine
    }
}

extension TraceStore {
    /// Adds errors of the operations of a run's prompt; those of the same operation, mode and cause are replaced.
    ///
    /// - Parameter reference: what they are held against: a path, or `self`.
    public func record(_ errors: [OpErrorRecord], of run: RecordedRun, reference: String) throws {
        // Each has its own seq; `operations` sees to it.
        let ids = Dictionary(uniqueKeysWithValues: try operations(of: run, step: 0).map { ($0.seq, $0.id) })
        try TraceStore.wrapping(path) {
            try database.write { db in
                for error in errors {
                    guard let id = ids[error.seq] else { throw TraceError.noPass(path: path, step: 0, steps: 0) }
                    try OpErrorRow(operationID: id, reference: reference, error: error).insert(db)
                }
            }
        }
    }
}

struct OpErrorRow: TraceRow {
    static let insertion = Insertion(
        into: "op_error",
        columns: ["op_id", "mode", "cause", "reference", "n", "mse", "rmse", "max_abs", "sqnr_db", "cosine"])

    let operationID: Int
    let reference: String
    let error: OpErrorRecord

    func bind(to row: RowBinder) {
        row.bind(
            operationID, error.mode, error.cause, reference, error.count, error.mse, error.mse.squareRoot(),
            error.maximum, error.sqnr.isFinite ? error.sqnr : nil, error.cosine)
    }
}
