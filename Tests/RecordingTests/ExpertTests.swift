import ComputeGraph
import Operations
import Recording
import TestSupport
import Tensors
import Testing

/// Tables `expert_choice` and `router` against the values of the nodes they are of.
@Suite struct ExpertTests {
    private static let models = ArchitectureFixture.all.filter { $0.name.contains("moe") || $0.name == "deepseek2" }

    @Test(arguments: models)
    func choicesAreTheNodes(fixture: ArchitectureFixture) async throws {
        try await expectRows(try await Recorded(fixture, generate: 2, Capture(.stats)))
    }

    @Test(arguments: [TinyModel.mixtral, .unpackedLatent])
    func choicesOfOtherFiles(model: TinyModel) async throws {
        try await expectRows(try await Recorded(model, generate: 2, Capture(.stats)))
    }

    private func expectRows(_ recorded: Recorded) async throws {
        let run = try recorded.store.run()
        let choices = try recorded.store.expertChoices(of: run)
        let decisions = try recorded.store.routerDecisions(of: run)
        var seen = 0
        for (step, pass) in recorded.passes.enumerated() {
            let operations = try recorded.operations(step: step)
            for (place, router) in pass.nodes.enumerated() where router.node.role.result == .routerScores {
                let layer = router.node.layer!
                func node(_ part: NodeRole.Part) throws -> Recorded.Snapshot {
                    try #require(pass.nodes.first { $0.node.role.result == part && $0.node.layer == layer })
                }
                let (experts, tokens) = (router.node.layout.shape.ne0, router.node.layout.shape.ne1)
                let order = try node(.routerChoice).values.map { Int($0) }
                let probabilities = try node(.routerProbabilities).values
                let weights = try node(.expertWeights).values
                let used = weights.count / tokens
                for token in 0..<tokens {
                    let position = operations[place].firstPosition + operations[place].tokens - tokens + token
                    let mine = choices.filter { $0.step == step && $0.layer == layer && $0.position == position }
                    #expect(mine.map(\.slot) == Array(0..<used))
                    #expect(mine.map(\.expert) == Array(order[token * experts..<token * experts + used]))
                    for choice in mine {
                        let number = token * experts + choice.expert
                        #expect(choice.logit == Double(router.values[number]))
                        #expect(choice.probability == Double(probabilities[number]))
                        #expect(choice.weight == Double(weights[token * used + choice.slot]))
                        #expect(choice.margin.map { $0 >= 0 } ?? true)
                    }
                    let decision = try #require(
                        decisions.first { $0.step == step && $0.layer == layer && $0.position == position })
                    #expect(decision.experts == experts && decision.used == used)
                    #expect((0...Double(experts)).contains(try #require(decision.entropyBits)))
                    seen += used
                }
            }
        }
        #expect(seen > 0 && choices.count == seen)
    }

    /// A prompt reads the distinct experts, not those that layouts allow for.
    @Test func bytesAreThoseOfTheChosenExperts() async throws {
        let recorded = try await Recorded(.mixtral, prompt: "the the", generate: 1, Capture(.stats))
        let run = try recorded.store.run()
        let choices = try recorded.store.expertChoices(of: run)
        let bytes = try recorded.store.expertBytes(of: run)
        for operation in try recorded.operations(step: 0) where operation.name == "ffn_moe_gate-0" {
            let distinct = Set(choices.filter { $0.step == 0 && $0.layer == 0 }.map(\.expert)).count
            let node = recorded.passes[0].nodes[operation.seq].node
            // Gate, up and down are of one size in this model.
            let inputs = operation.bytesRead - distinct * bytes[0]! / 3 / 5
            #expect(node.operation is MatMulID && inputs > 0 && inputs < bytes[0]! / 3 / 5)
        }
        #expect(try recorded.store.integers("SELECT count(*) FROM v_expert_load") != [0])
        let shares = try recorded.store.integers(
            "SELECT CAST(round(sum(share) * 1000) AS INTEGER) FROM v_expert_load WHERE layer = 0")
        #expect(shares == [2000])
        #expect(try recorded.store.integers("SELECT n_experts FROM v_router") == [5, 5])
        #expect(try recorded.store.integers("SELECT n_pairs FROM v_expert_neighbours WHERE layer = 0") != [])
    }
}
