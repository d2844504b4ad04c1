import Recording

/// How far operations of the first pass are from the F32 run, as `propagate --output` records it; an item a row.
public struct PropagationDigest: Encodable, Sendable {
    let seq: [Int]
    let name: [String]
    let kind: [String]
    let role: [String?]
    let layer: [Int?]
    let mode: [String]
    let cause: [String]
    let rmse: [Double?]
    let maxAbs: [Double?]
    let sqnrDb: [Double?]
    let cosine: [Double?]

    /// `nil` if the run has none.
    init?(of run: RecordedRun, _ table: DigestQuery) throws {
        guard try table.store.has("op_error") else { return nil }
        let rows = try table.rows(
            """
            SELECT op.seq, op.name, op.kind, op.role, op.layer, mode, cause, e.rmse, e.max_abs, e.sqnr_db, e.cosine
            FROM op_error AS e JOIN op ON op.id = e.op_id JOIN pass ON pass.id = op.pass_id
            WHERE run_id = \(run.id) AND step = 0 ORDER BY op.seq, mode, cause
            """)
        guard !rows.isEmpty else { return nil }
        seq = rows.map { $0[0].int ?? 0 }
        name = rows.map { $0[1].text ?? "" }
        kind = rows.map { $0[2].text ?? "" }
        role = rows.map { $0[3].text }
        layer = rows.map { $0[4].int }
        mode = rows.map { $0[5].text ?? "" }
        cause = rows.map { $0[6].text ?? "" }
        rmse = rows.map { $0[7].double?.digits(6) }
        maxAbs = rows.map { $0[8].double?.digits(6) }
        sqnrDb = rows.map { $0[9].double?.digits(6) }
        cosine = rows.map { $0[10].double?.digits(6) }
    }
}
