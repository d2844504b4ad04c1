/// A candidate for the next token, as recorded.
public struct RecordedCandidate: Sendable {
    public let piece: String
    public let logit: Double?
    /// 0 to 1.
    public let probability: Double?
}

extension TraceStore {
    /// What a pass expected after its last token, best first; empty if it was cut off before.
    public func candidates(after pass: RecordedPass) throws -> [RecordedCandidate] {
        try fetch(
            "logit", by: ["pass_id", "rank"],
            "SELECT pass_id, rank, piece, logit, probability FROM logit WHERE pass_id = ? AND lens_layer IS NULL ORDER BY rank",
            [pass.id]
        ) {
            RecordedCandidate(
                piece: try $0.text("piece"), logit: try $0.real("logit"), probability: try $0.real("probability"))
        }
    }
}
