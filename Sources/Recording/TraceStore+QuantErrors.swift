import GRDB
import LlamaModel

/// How far a weight tensor is from a reference, as table `quant_error` has it. Units as the weights'.
public struct QuantErrorRecord: Sendable {
    public var weight: String
    /// The format whose error this is.
    public var type: String
    /// What it is compared with: a path, or `self` for the file's own weights.
    public var reference: String
    public var count: Int
    public var mse: Double
    public var maximum: Double
    public var meanAbsolute: Double
    public var p95: Double?
    public var relativeRMSE: Double
    public var sqnr: Double
    public var cosine: Double
    /// Mean square of the reference, which relative errors of several tensors together need.
    public var referenceMeanSquare: Double

    public init(
        weight: String, type: String, reference: String, count: Int, mse: Double, maximum: Double, meanAbsolute: Double,
        p95: Double?, relativeRMSE: Double, sqnr: Double, cosine: Double, referenceMeanSquare: Double
    ) {
        self.weight = weight
        self.type = type
        self.reference = reference
        self.count = count
        self.mse = mse
        self.maximum = maximum
        self.meanAbsolute = meanAbsolute
        self.p95 = p95
        self.relativeRMSE = relativeRMSE
        self.sqnr = sqnr
        self.cosine = cosine
        self.referenceMeanSquare = referenceMeanSquare
    }
}

extension TraceStore {
    /// Adds errors of a model's weights; those of the same weight, type and reference are replaced.
    public func record(_ errors: [QuantErrorRecord], of model: Llama) async throws {
        let (card, digest) = (ModelCard(model), DigestMemory.shared.hexDigest(of: model.file))
        try await TraceStore.wrapping(path) {
            try await database.write { db in
                let modelID = try ModelRows.write(card, digest, db)
                try ModelRows.setDigest(digest, ofModel: modelID, db)
                let ids = try ModelRows.weightIDs(modelID, of: path, db)
                for error in errors {
                    guard let id = ids[error.weight] else { throw missingWeight(error.weight) }
                    try QuantErrorRow(weightID: id, error: error).insert(db)
                }
            }
        }
    }
}

/// A weight tensor against a reference.
struct QuantErrorRow: TraceRow {
    static let insertion = Insertion(
        into: "quant_error",
        columns: [
            "weight_id", "type", "reference", "n", "mse", "rmse", "max_abs", "mean_abs", "p95_abs", "rel_rmse",
            "sqnr_db",
            "cosine", "ref_mean_square",
        ])

    let weightID: Int
    let error: QuantErrorRecord

    func bind(to row: RowBinder) {
        row.bind(
            weightID, error.type, error.reference, error.count, error.mse, error.mse.squareRoot(), error.maximum,
            error.meanAbsolute, error.p95, error.relativeRMSE, error.sqnr, error.cosine, error.referenceMeanSquare)
    }
}
