import ComputeGraph
import GGUF
import LlamaModel
import Measuring
import Quantization
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

/// Changes to a run: what they change, what they leave alone, and that a trace made with them can be made again.
@Suite struct InterventionTests {
    static let prompt = "Once upon a time"

    /// Every pass of a run, recorded, with changes.
    static func record(
        _ model: TinyModel, _ records: [InterventionRecord], parent: Recorded? = nil
    ) async throws -> (recorded: Recorded, changes: ChangedRun) {
        let interventions = try Interventions(records)
        var changes = ChangedRun(interventions)
        if let parent {
            let replay = try Replay(parent.store.run(), in: parent.store, model: model.load())
            changes = try ChangedRun(adding: interventions, to: replay, in: parent.store)
        }
        let recorded = try await Recorded(
            changes.interventions.applied(to: model.load()), prompt: prompt, generate: 3, Capture(.all),
            in: TemporaryFolder(), interventions: changes.interventions.records
        ) { pass, step in try changes.prepare(&pass, step: step) }
        return (recorded, changes)
    }

    private static func bits(_ recorded: Recorded) -> [[UInt32]] {
        recorded.passes.flatMap { $0.nodes.map { $0.values.map(\.bitPattern) } }
    }

    private static func values(_ recorded: Recorded, _ name: String, step: Int = 0) throws -> [Float] {
        try #require(recorded.passes[step].nodes.last { $0.node.name == name }).values
    }

    static func set(_ target: String, _ value: String = "0") -> InterventionRecord {
        InterventionRecord(.set, target: target, spec: value)
    }

    @Test func headsDroppedGiveZeros() async throws {
        let model = try TinyModel.gqa.load()
        let c = model.configuration
        let byKV = try HeadPlan(.drop([.init(layer: 0, heads: .kv(1))]), of: model)
        let readers = (c.groupSize..<2 * c.groupSize).map { HeadChange.Dropped(layer: 0, heads: .query($0)) }
        let byReaders = try HeadPlan(.drop(readers), of: model)
        #expect(byKV.layers == byReaders.layers && byKV.layers[0].cached == c.kvHeads - 1)

        let one = try HeadPlan(.drop([.init(layer: 0, heads: .query(1))]), of: model)
        #expect(one.layers[0].cached == c.kvHeads && one.kvHeads == c.heads)
        let (set, _) = try await Self.record(.gqa, [Self.set("kq_soft_max-0[:, :, 1]")])
        var session = Session(one.applied(to: model), capacity: 64, threads: 2)
        let prompt = try model.tokenizer.encode(Self.prompt)
        #expect(try session.logits(after: prompt) == set.passes[0].prediction.logits)
    }

    @Test(arguments: TinyModel.withGoldenNodes)
    func changesOfNothingChangeNoBit(model: TinyModel) async throws {
        let plain = try await Recorded(model, prompt: Self.prompt, generate: 3, Capture(.all))
        let weight = try #require(try model.file().tensors.first { $0.name == "blk.0.attn_output.weight" })
        let part = weight.type.blockElements > 1 ? "block=0,scale" : "column=0,value"
        let itself = try InterventionRecord.patch("l_out-0", from: plain.store.run(), in: plain.store)
        for records in [
            [], [InterventionRecord(.scale, target: "l_out-0", spec: "1")], [itself],
            [InterventionRecord(.weight, target: "\(weight.name)@row=0,\(part)", spec: "*1")],
        ] {
            let (recorded, _) = try await Self.record(model, records)
            #expect(Self.bits(recorded) == Self.bits(plain), "\(records)")
        }
    }

    @Test func aHeadThatIsDroppedIsDroppedAndNoOther() async throws {
        let plain = try await Recorded(.gqa, prompt: Self.prompt, generate: 3, Capture(.all))
        let (changed, _) = try await Self.record(.gqa, [Self.set("kq_soft_max-0[:, :, 1]")])
        let (before, after) = (try Self.values(plain, "kqv_out-0"), try Self.values(changed, "kqv_out-0"))
        let c = changed.model.configuration
        for index in before.indices {
            let head = index % (c.heads * c.headSize) / c.headSize
            #expect(after[index] == (head == 1 ? 0 : before[index]))
        }
        #expect(try Self.values(changed, "l_out-0") != Self.values(plain, "l_out-0"))
        // Recorded as it was changed, and summed up as such.
        let run = try changed.store.run()
        let operation = try changed.store.operation(TensorAddress("kq_soft_max-0"), run: run, step: 0)
        #expect(try changed.store.values(of: operation, in: run)[ElementIndex(0, 0, 1)] == 0)
        #expect(operation.zeros >= operation.shape.ne0 * operation.shape.ne1)
    }

    /// Without heads nothing is attended to: the layer's output is what the feed-forward network makes of its input.
    @Test(arguments: [TinyModel.gqa, .kQuants, .stories])
    func allHeadsDroppedIsNoAttention(model: TinyModel) async throws {
        let (heads, _) = try await Self.record(model, [Self.set("kq_soft_max-0")])
        let (output, _) = try await Self.record(model, [Self.set("attn_out-0")])
        for (a, b) in zip(heads.passes, output.passes) { #expect(a.prediction.logits == b.prediction.logits) }
        if model == .stories {
            #expect(try Self.values(heads, "ffn_inp-0") == Self.values(heads, "embd"))
        }
    }

    @Test func aViewIsChangedWhereItIsComputed() async throws {
        let (shown, _) = try await Self.record(.gqa, [Self.set("Vcur-0[1,0,2]", "0.5")])
        let (computed, _) = try await Self.record(.gqa, [Self.set("Vcur-0#0[1,2]@0", "0.5")])
        let plain = try await Recorded(.gqa, prompt: Self.prompt, generate: 3, Capture(.all))
        #expect(Self.bits(shown) == Self.bits(computed))
        #expect(Self.bits(shown) != Self.bits(plain))
        #expect(try Self.values(shown, "Vcur-0")[1 + 2 * shown.model.configuration.perLayer[0].keyWidth] == 0.5)
    }

    @Test func aStepIsChangedAlone() async throws {
        let plain = try await Recorded(.gqa, prompt: Self.prompt, generate: 3, Capture(.all))
        let (changed, _) = try await Self.record(
            .gqa, [InterventionRecord(.scale, target: "l_out-0[:,0]@1", spec: "3")])
        #expect(changed.passes[0].prediction.logits == plain.passes[0].prediction.logits)
        #expect(changed.passes[1].prediction.logits != plain.passes[1].prediction.logits)
    }

    /// The embedding of another prompt in the place of one's own makes the other prompt's pass.
    @Test func aPatchCarriesARunOver() async throws {
        let other = try await Recorded(.gqa, prompt: "Once a time upon", generate: 1, Capture(.all))
        try #require(try other.promptTokens == other.model.tokenizer.encode(Self.prompt).count)
        let patch = try InterventionRecord.patch("embd", from: other.store.run(), in: other.store)
        #expect(patch.patches.keys.sorted() == [0])
        let (patched, _) = try await Self.record(.gqa, [patch])
        #expect(patched.passes[0].prediction.logits == other.passes[0].prediction.logits)
    }

    /// With a parent and without: the same bits, most of them not computed, in passes after the change as well.
    @Test(arguments: [
        [set("ffn_out-1")], [set("kq_soft_max-1[:,:,0]@1")], [set("Kcur-1[0,0,-1]", "2")], [],
        [InterventionRecord(.weight, target: "blk.1.ffn_norm.weight@row=0,column=3,value", spec: "*2")],
        [set("result_output[260]", "1e6")], [set("embd", "0.1")],
    ])
    func onlyWhatDependsIsComputed(records: [InterventionRecord]) async throws {
        let parent = try await Recorded(.gqa, prompt: Self.prompt, generate: 3, Capture(.all))
        let (alone, _) = try await Self.record(.gqa, records)
        let (child, changes) = try await Self.record(.gqa, records, parent: parent)
        #expect(child.tokens == alone.tokens)
        #expect(Self.bits(child) == Self.bits(alone))
        #expect(records.first?.target == "embd" || changes.recalled > 0)
        #expect(records.isEmpty ? changes.computed == 0 : changes.computed > 0)
        // And once more, on top of the child.
        let more = Self.set("attn_out-0[0]", "1")
        let (grandchild, _) = try await Self.record(.gqa, [more], parent: child)
        let (both, _) = try await Self.record(.gqa, records + [more])
        #expect(Self.bits(grandchild) == Self.bits(both))
    }

    /// What a parent did not capture is computed.
    @Test func aParentWithoutValuesServesAsWell() async throws {
        let parent = try await Recorded(.gqa, prompt: Self.prompt, generate: 3, Capture(.all, names: ["ffn_*"]))
        let (alone, _) = try await Self.record(.gqa, [Self.set("l_out-1")])
        let (child, changes) = try await Self.record(.gqa, [Self.set("l_out-1")], parent: parent)
        #expect(Self.bits(child) == Self.bits(alone))
        #expect(changes.recalled > 0 && changes.computed > changes.recalled)
    }

    /// A trace made with changes is made again with them, the patched values included.
    @Test func replayAppliesWhatWasRecorded() async throws {
        let other = try await Recorded(.gqa, prompt: "Once a time upon", generate: 1, Capture(.all))
        let records = [
            try InterventionRecord.patch("l_out-0[:,1]", from: other.store.run(), in: other.store),
            Self.set("kq_soft_max-1[:,:,0]"),
            InterventionRecord(.weight, target: "blk.0.attn_norm.weight@row=0,column=1,value", spec: "0.25"),
        ]
        let (recorded, _) = try await Self.record(.gqa, records)
        let run = try recorded.store.run()
        #expect(try recorded.store.interventions(of: run) == records)
        let replay = try Replay(run, in: recorded.store, model: TinyModel.gqa.load())
        for step in recorded.passes.indices {
            let pass = try replay.pass(step, threads: 1)
            #expect(pass.logits == recorded.passes[step].prediction.logits)
        }
    }

    @Test func whatCannotBeChangedIsSaidBeforeTheRun() throws {
        let model = try TinyModel.gqa.load()
        func problem(_ target: String) -> String? {
            do {
                try Interventions([Self.set(target)]).check(model, promptTokens: 4, decodes: 1)
                return nil
            } catch { return "\(error)" }
        }
        #expect(problem("ffn_out-0[:,3]") == nil)
        #expect(problem("ffn_out-0[0,0]@1") == nil)
        #expect(problem("ffn_oot-0")?.contains("Did you mean ffn_out-0") == true)
        #expect(problem("ffn_out-0#4")?.contains("#0 to #0") == true)
        #expect(problem("ffn_out-0[:,4]")?.contains("indices 0 to 3") == true)
        #expect(problem("ffn_out-0[:,1]@1")?.contains("indices 0 to 0") == true)
        #expect(problem("ffn_out-0@2")?.contains("steps 0 to 1") == true)
        #expect(problem("ffn_out-0@x")?.contains("a step from 0") == true)
        #expect(problem("cache_k_l0 (view)")?.contains("memory of the cache") == true)
    }
}
