import GRDB

/// An expert that a token went through, as table `expert_choice` has it.
public struct ExpertChoice: Sendable, Equatable {
    public let step: Int
    public let layer: Int
    public let position: Int
    /// 0: the first choice.
    public let slot: Int
    public let expert: Int
    public let logit: Double?
    public let probability: Double?
    /// What it was chosen by.
    public let score: Double?
    public let weight: Double?
    /// Of the score to that of the best expert that was not chosen.
    public let margin: Double?
}

/// How a layer's router decided about a token, as table `router` has it.
public struct RouterDecision: Sendable, Equatable {
    public let step: Int
    public let layer: Int
    public let position: Int
    public let experts: Int
    public let used: Int
    public let entropyBits: Double?
}

extension TraceStore {
    /// Traces of earlier versions, whose models had none, lack the tables.
    private func hasExperts() throws -> Bool {
        try !fetch("SELECT 1 FROM sqlite_schema WHERE name = 'expert_choice'") { _ in true }.isEmpty
    }

    /// By step, layer, position and slot; none for a model without experts.
    public func expertChoices(of run: RecordedRun) throws -> [ExpertChoice] {
        guard try hasExperts() else { return [] }
        return try fetch(
            """
            SELECT pass.step, c.* FROM expert_choice AS c JOIN pass ON pass.id = c.pass_id WHERE pass.run_id = ?
            ORDER BY pass.step, c.layer, c.position, c.slot
            """, [run.id]
        ) { row in
            ExpertChoice(
                step: row["step"], layer: row["layer"], position: row["position"], slot: row["slot"],
                expert: row["expert"], logit: row["logit"], probability: row["probability"], score: row["score"],
                weight: row["weight"], margin: row["margin"])
        }
    }

    /// By step, layer and position.
    public func routerDecisions(of run: RecordedRun) throws -> [RouterDecision] {
        guard try hasExperts() else { return [] }
        return try fetch(
            """
            SELECT pass.step, r.* FROM router AS r JOIN pass ON pass.id = r.pass_id WHERE pass.run_id = ?
            ORDER BY pass.step, r.layer, r.position
            """, [run.id]
        ) { row in
            RouterDecision(
                step: row["step"], layer: row["layer"], position: row["position"], experts: row["n_experts"],
                used: row["n_used"], entropyBits: row["entropy_bits"])
        }
    }

    /// Bytes that the matrices of all experts of a layer take, by layer.
    public func expertBytes(of run: RecordedRun) throws -> [Int: Int] {
        let rows = try fetch(
            """
            SELECT layer, sum(n_bytes) AS bytes FROM weight
            WHERE model_id = ? AND layer IS NOT NULL AND role LIKE 'ffn\\_%\\_exps' ESCAPE '\\' GROUP BY layer
            """, [run.modelID]
        ) { row in (row["layer"] as Int, row["bytes"] as Int) }
        return Dictionary(uniqueKeysWithValues: rows)
    }
}
