import GRDB
import LlamaModel

/// What the residual stream after a layer says about the next token: rows of `logit` with a `lens_layer`.
public struct LensRecord: Sendable {
    public let pass: RecordedPass
    public let position: Int
    /// The layer that was just done; -1: none yet, the embedding.
    public let layer: Int
    /// Best first.
    public let candidates: [Candidate]

    public init(pass: RecordedPass, position: Int, layer: Int, candidates: [Candidate]) {
        self.pass = pass
        self.position = position
        self.layer = layer
        self.candidates = candidates
    }
}

extension TraceStore {
    /// Adds readings of the logit lens. Those of the same pass, position and layer are replaced.
    public func record(_ readings: [LensRecord]) throws {
        try TraceStore.wrapping(path) {
            try database.write { db in
                for reading in readings {
                    try db.execute(
                        sql: "DELETE FROM logit WHERE pass_id = ? AND position = ? AND lens_layer = ?",
                        arguments: [reading.pass.id, reading.position, reading.layer])
                    for (rank, candidate) in reading.candidates.enumerated() {
                        try LogitRow(
                            passID: reading.pass.id, position: reading.position, lensLayer: reading.layer, rank: rank,
                            candidate: candidate
                        ).insert(db)
                    }
                }
            }
        }
    }
}
