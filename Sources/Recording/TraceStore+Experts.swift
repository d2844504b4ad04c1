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
    /// By step, layer, position and slot; none for a model without experts.
    public func expertChoices(of run: RecordedRun) throws -> [ExpertChoice] {
        guard try has("expert_choice") else { return [] }
        return try fetch(
            "expert_choice", by: ["step", "layer", "position", "slot"],
            """
            SELECT pass.step, c.* FROM expert_choice AS c JOIN pass ON pass.id = c.pass_id WHERE pass.run_id = ?
            ORDER BY pass.step, c.layer, c.position, c.slot
            """, [run.id]
        ) { row in
            ExpertChoice(
                step: try row.int("step"), layer: try row.int("layer"), position: try row.int("position"),
                slot: try row.int("slot"), expert: try row.int("expert"), logit: try row.real("logit"),
                probability: try row.real("probability"), score: try row.real("score"), weight: try row.real("weight"),
                margin: try row.real("margin"))
        }
    }

    /// By step, layer and position.
    public func routerDecisions(of run: RecordedRun) throws -> [RouterDecision] {
        guard try has("router") else { return [] }
        return try fetch(
            "router", by: ["step", "layer", "position"],
            """
            SELECT pass.step, r.* FROM router AS r JOIN pass ON pass.id = r.pass_id WHERE pass.run_id = ?
            ORDER BY pass.step, r.layer, r.position
            """, [run.id]
        ) { row in
            let experts = try row.int("n_experts", in: 1...Self.mostExperts)
            return RouterDecision(
                step: try row.int("step"), layer: try row.int("layer"), position: try row.int("position"),
                experts: experts, used: try row.int("n_used", in: 1...experts),
                entropyBits: try row.real("entropy_bits"))
        }
    }

    /// Bytes that the matrices of all experts of a layer take, by layer.
    public func expertBytes(of run: RecordedRun) throws -> [Int: Int] {
        let rows = try fetch(
            "weight", by: ["layer"],
            """
            SELECT layer, sum(n_bytes) AS bytes FROM weight
            WHERE model_id = ? AND layer IS NOT NULL AND role LIKE 'ffn\\_%\\_exps' ESCAPE '\\' GROUP BY layer
            """, [run.modelID]
        ) { row in (try row.int("layer"), try row.int("bytes")) }
        return Dictionary(uniqueKeysWithValues: rows)
    }

    /// Of a layer.
    private static let mostExperts = 1 << 16
}
