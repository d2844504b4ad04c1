import ComputeGraph
import LlamaModel
import Recording
import TestSupport
import Testing
import Tracing

@Suite struct ReplayTests {
    /// What is evaluated again is what was recorded, node by node, to the bit, in prompt and generation.
    @Test(arguments: TinyModel.allCases)
    func valuesAreTheRecordedOnes(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.all))
        let run = try recorded.store.run()
        let replay = try Replay(run, in: recorded.store, model: recorded.model)
        for (step, expected) in recorded.passes.enumerated() {
            let observer = Recorded.Photographer()
            let pass = try replay.pass(step, threads: 2, observers: [observer])
            #expect(pass.tokens == replay.tokens[step])
            #expect(pass.logits == expected.prediction.logits)
            let operations = try recorded.operations(step: step)
            try #require(operations.count == observer.nodes.count)
            for (operation, found) in zip(operations, observer.nodes) {
                #expect(operation.name == found.evaluation.node.name)
                #expect(operation.shape == found.evaluation.node.layout.shape)
            }
            for (found, expected) in zip(observer.nodes, expected.nodes) {
                #expect(found.values.map(\.bitPattern) == expected.values.map(\.bitPattern))
            }
        }
    }

    @Test func anotherModelIsRefused() async throws {
        let recorded = try await Recorded(.gqa, generate: 1, Capture(.stats))
        let run = try recorded.store.run()
        let other = try TinyModel.biases.load()
        #expect {
            try Replay(run, in: recorded.store, model: other)
        } throws: { error in
            guard case .otherModel(_, let path, let recorded, let found) = error as? ReplayProblem else { return false }
            return path == TinyModel.biases.path && recorded == run.modelDigest && found != recorded
        }
    }

    @Test func passThatIsNotThere() async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.none))
        let run = try recorded.store.run()
        let replay = try Replay(run, in: recorded.store, model: recorded.model)
        #expect(throws: TraceError.noPass(path: recorded.path, step: 7, steps: run.steps)) {
            _ = try replay.pass(7, threads: 1)
        }
    }
}
