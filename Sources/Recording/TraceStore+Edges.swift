import GRDB
import Tensors

/// A tensor of the model's file as a reader of the trace sees it.
public struct RecordedWeight: Sendable {
    public let name: String
    public let type: String
    public let shape: Shape
    /// Bytes.
    public let size: Int
    /// Bytes from the start of the file.
    public let fileOffset: Int
}

/// A candidate for the next token, as recorded.
public struct RecordedCandidate: Sendable {
    public let piece: String
    public let logit: Double?
    /// 0 to 1.
    public let probability: Double?
}

extension TraceStore {
    /// The operations that read an operation's output, in order, each with the slot that reads it.
    public func users(of operation: RecordedOperation) throws -> [(slot: Int, operation: RecordedOperation)] {
        try fetch(
            """
            SELECT op_input.slot AS slot, op.*, pass.step, pass.first_position, pass.n_tokens
            FROM op_input JOIN op ON op.id = op_input.op_id JOIN pass ON pass.id = op.pass_id
            WHERE op_input.source_op_id = ? ORDER BY op.seq, op_input.slot
            """, [operation.id]
        ) { (slot: $0["slot"], operation: RecordedOperation($0)) }
    }

    /// The operation with this id; `nil` if there is none.
    public func operation(id: Int) throws -> RecordedOperation? {
        try fetch(
            """
            SELECT op.*, pass.step, pass.first_position, pass.n_tokens FROM op JOIN pass ON pass.id = op.pass_id
            WHERE op.id = ?
            """, [id], RecordedOperation.init
        ).first
    }

    /// The weight with this id; `nil` if there is none.
    public func weight(id: Int) throws -> RecordedWeight? {
        try fetch("SELECT * FROM weight WHERE id = ?", [id]) { row in
            RecordedWeight(
                name: row["name"], type: row["type"],
                shape: Shape(row["ne0"], row["ne1"], row["ne2"], row["ne3"]), size: row["n_bytes"],
                fileOffset: row["file_offset"])
        }.first
    }

    /// What a pass expected after its last token, best first; empty if it was cut off before.
    public func candidates(after pass: RecordedPass) throws -> [RecordedCandidate] {
        try fetch(
            "SELECT piece, logit, probability FROM logit WHERE pass_id = ? AND lens_layer IS NULL ORDER BY rank",
            [pass.id]
        ) { RecordedCandidate(piece: $0["piece"], logit: $0["logit"], probability: $0["probability"]) }
    }

    /// The names of the inputs of all operations of a pass, by operation.
    public func inputNames(of pass: RecordedPass) throws -> [Int: [String]] {
        let pairs = try fetch(
            """
            SELECT op_input.op_id, op_input.name FROM op_input JOIN op ON op.id = op_input.op_id
            WHERE op.pass_id = ? ORDER BY op_input.op_id, op_input.slot
            """, [pass.id]
        ) { (id: $0["op_id"] as Int, name: $0["name"] as String) }
        return Dictionary(grouping: pairs, by: \.id).mapValues { $0.map(\.name) }
    }
}
