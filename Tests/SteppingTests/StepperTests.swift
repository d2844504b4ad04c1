import LlamaModel
import Recording
import Stepping
import TestSupport
import Testing
import Tracing

/// Walking through a recorded run, held against what the recorder was shown.
@Suite struct StepperTests {
    private func stepper(_ recorded: Recorded) throws -> Stepper {
        let store = try TraceStore.open(path: recorded.path)
        let run = try store.run()
        return try Stepper(
            TraceWalk(run, in: store),
            model: StepModel(threads: 2) { [model = recorded.model] in try Replay(run, in: store, model: model) })
    }

    private func location(after line: String, _ stepper: inout Stepper) throws -> StepLocation {
        _ = try stepper.perform(try #require(try StepperCommand(line)))
        return stepper.state.location
    }

    @Test func walksEveryOperationBothWaysAndStopsAtTheEnds() async throws {
        let recorded = try await Recorded(generate: 3, Capture(.all))
        var stepper = try stepper(recorded)
        let all = recorded.passes.enumerated().flatMap { step, pass in
            pass.nodes.map { (StepLocation(step: step, seq: $0.node.index), $0.node.name) }
        }
        for (location, name) in all {
            #expect(try stepper.state.location == location && stepper.operation.name == name)
            _ = try stepper.perform(.move(.forward, 1))
        }
        #expect(stepper.state.location == all.last!.0)
        for (location, _) in all.reversed() {
            #expect(stepper.state.location == location)
            _ = try stepper.perform(.move(.backward, 1))
        }
        #expect(stepper.state.location == all[0].0)
        #expect(try location(after: "n 1000000", &stepper) == all.last!.0)
        #expect(try location(after: "p 1000000", &stepper) == all[0].0)
    }

    @Test func jumpsAndComesBack() async throws {
        let recorded = try await Recorded(generate: 3, Capture(.all))
        var stepper = try stepper(recorded)
        let nodes = recorded.passes[0].nodes.map(\.node)
        let first = nodes.first { $0.layer == 1 }!.index
        #expect(try location(after: "N", &stepper).seq == nodes.first { $0.layer == 0 }!.index)
        #expect(try location(after: "N", &stepper).seq == first)
        #expect(try location(after: "n 5", &stepper).seq == first + 5)
        #expect(try location(after: "P", &stepper).seq == first)
        #expect(try location(after: "goto kq", &stepper).seq == nodes.first { $0.name == "kq-1" }!.index)
        #expect(try location(after: "goto Qcur-0#0", &stepper).seq == nodes.first { $0.name == "Qcur-0" }!.index)
        #expect(try location(after: "back", &stepper).seq == nodes.first { $0.name == "kq-1" }!.index)
        #expect(try location(after: "]", &stepper).step == 1)
        #expect(try location(after: "goto 7", &stepper) == StepLocation(step: 1, seq: 7))
        for line in [
            "goto 9999", "goto kqq-1", "break layer 99", "heat 99", "delete 1", "inputs 9", "why [99999]", "print [:",
        ] {
            let before = stepper.state
            #expect(throws: (any Error).self, "\(line)") { _ = try location(after: line, &stepper) }
            #expect(stepper.state == before)
        }
    }

    /// Edges lead to the sources that the graph names, and back.
    @Test func inputsAndUsersAreEachOthersInverse() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.stats))
        var stepper = try stepper(recorded)
        for node in recorded.passes[0].nodes {
            _ = try location(after: "goto \(node.node.index)", &stepper)
            #expect(try stepper.inputs().map(\.name) == node.sources)
            for user in try stepper.users() {
                #expect(recorded.passes[0].nodes[user.operation.seq].node.inputs[user.slot] == .node(node.node.index))
            }
        }
    }

    /// Every location where a condition came true, found backwards, against the recorded values themselves.
    @Test(arguments: [("max(abs) > 4", "4"), ("resid[5] > 0", "resid")])
    func reverseWatchFindsEveryOnset(expression: String, kind: String) async throws {
        let recorded = try await Recorded(generate: 3, Capture(.all))
        var expected: [StepLocation] = []
        for (step, pass) in recorded.passes.enumerated() {
            var before = false
            for node in pass.nodes {
                let holds: Bool
                if kind == "resid" {
                    let stems = ["embd", "ffn_inp-\(node.node.layer ?? -1)", "l_out-\(node.node.layer ?? -1)"]
                    guard stems.contains(node.node.name) else { continue }
                    let shape = node.node.layout.shape
                    holds = node.values[5 + shape.ne0 * (shape.ne1 - 1)] > 0
                } else {
                    // Of the cache only what is written counts; the stepper reads what was recorded of it.
                    let store = try TraceStore.open(path: recorded.path)
                    let op = try store.operations(of: store.run(), step: step)[node.node.index]
                    guard let low = op.minimum, let high = op.maximum else { continue }
                    holds = max(abs(low), abs(high)) > 4
                }
                if holds, !before { expected.append(StepLocation(step: step, seq: node.node.index)) }
                before = holds
            }
        }
        #expect(expected.count > 2)
        var stepper = try stepper(recorded)
        _ = try location(after: "G", &stepper)
        for location in expected.reversed().filter({ $0 != stepper.state.location }) {
            #expect(try self.location(after: "rwatch \(expression)", &stepper) == location)
        }
        let last = stepper.state.location
        #expect(try location(after: "rwatch", &stepper) == last)
        // Forwards by a stop, from the start.
        _ = try location(after: "g", &stepper)
        _ = try location(after: "watch \(expression)", &stepper)
        for location in expected where location > stepper.state.location {
            #expect(try self.location(after: "c", &stepper) == location)
        }
    }

    /// The lens after the last layer is the model's own prediction.
    @Test func theTopTokenIsTheModels() async throws {
        let recorded = try await Recorded(.stories, generate: 3, Capture(.all))
        for (step, pass) in recorded.passes.enumerated() {
            let top = pass.prediction.top(1, recorded.model.vocabulary)[0].piece
            var stepper = try stepper(recorded)
            _ = try location(after: "G", &stepper)
            while stepper.state.location.step > step { _ = try location(after: "[", &stepper) }
            let layer = recorded.model.configuration.layers - 1
            _ = try location(after: "goto l_out-\(layer)", &stepper)
            let end = stepper.state.location
            _ = try location(after: "p", &stepper)
            _ = try location(after: "watch top1 == \"\(top)\" and name == \"l_out-\(layer)\"", &stepper)
            #expect(try location(after: "c", &stepper) == end)
        }
    }

    @Test func whatIsMeasuredNowhereIsSaid() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.all))
        var stepper = try stepper(recorded)
        #expect(throws: StepProblem.notMeasured("nothing[3] > 1")) {
            _ = try location(after: "rwatch nothing[3] > 1", &stepper)
        }
        let width = try stepper.operation.shape
        #expect(throws: StepProblem.noElement("resid[99999]", dimension: 0, shape: width)) {
            _ = try location(after: "watch resid[99999] > 1", &stepper)
        }
        let none = try await Recorded(generate: 1, Capture(.none))
        #expect(throws: StepProblem.nothingRecorded(trace: none.path, "none")) { _ = try self.stepper(none) }
    }

    @Test func aSearchCanBeStopped() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.all))
        let store = try TraceStore.open(path: recorded.path)
        let run = try store.run()
        var stepper = try Stepper(
            TraceWalk(run, in: store),
            model: StepModel(threads: 1) { [model = recorded.model] in try Replay(run, in: store, model: model) },
            isCancelled: { true })
        #expect(throws: StepProblem.cancelled) { _ = try stepper.perform(.run(.forward)) }
        #expect(stepper.state.location == StepLocation(step: 0, seq: 0))
    }
}
