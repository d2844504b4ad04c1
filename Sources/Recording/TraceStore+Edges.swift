extension TraceStore {
    /// The operations that read an operation's output, in order, each with the slot that reads it.
    public func users(of operation: RecordedOperation) throws -> [(slot: Int, operation: RecordedOperation)] {
        try fetch(
            "op", by: ["id"],
            """
            SELECT op_input.slot AS slot, op.*, pass.step, pass.first_position, pass.n_tokens
            FROM op_input JOIN op ON op.id = op_input.op_id JOIN pass ON pass.id = op.pass_id
            WHERE op_input.source_op_id = ? ORDER BY op.seq, op_input.slot
            """, [operation.id]
        ) { (slot: try $0.int("slot", in: 0...RecordedInput.mostSlots), operation: try RecordedOperation($0)) }
    }

    /// The operation with this id; `nil` if there is none.
    public func operation(id: Int) throws -> RecordedOperation? {
        try fetch(
            "op", by: ["id"],
            """
            SELECT op.*, pass.step, pass.first_position, pass.n_tokens FROM op JOIN pass ON pass.id = op.pass_id
            WHERE op.id = ?
            """, [id], RecordedOperation.init
        ).first
    }

    /// The names of the inputs of all operations of a pass, by operation.
    public func inputNames(of pass: RecordedPass) throws -> [Int: [String]] {
        let pairs = try fetch(
            "op_input", by: ["op_id", "slot"],
            """
            SELECT op_input.op_id, op_input.slot, op_input.name FROM op_input JOIN op ON op.id = op_input.op_id
            WHERE op.pass_id = ? ORDER BY op_input.op_id, op_input.slot
            """, [pass.id]
        ) { (id: try $0.int("op_id"), name: try $0.text("name")) }
        return Dictionary(grouping: pairs, by: \.id).mapValues { $0.map(\.name) }
    }
}
