import Foundation
import GGUF
import LlamaModel
import Measuring
import Tensors
import TestSupport
import Testing

/// Heads pooled, copied, exchanged and dropped, against models that say the same in another way.
@Suite struct HeadChangeTests {
    private static let tokens = [1, 17, 5, 100, 30, 9, 201, 44, 44, 8]

    private func logits(_ model: Llama) throws -> [Float] {
        var session = Session(model, capacity: 16, threads: 2)
        return try session.logits(after: Self.tokens) + (try session.logits(after: [77]))
    }

    private func text(_ model: Llama) throws -> ScoredText {
        let bytes = try Data(contentsOf: URL(filePath: ScoringGolden.text))
        return try ScoredText(Array(bytes), name: "text", for: model, chunkSize: 32, limit: 2)
    }

    /// K and V of a layer as `[head][row][column]`.
    private func heads(_ linear: LlamaWeights.Linear, size: Int) -> [[[Float]]] {
        let values = linear.weight.tensor.floats()
        let width = linear.weight.tensor.shape.ne0
        return stride(from: 0, to: values.count, by: width * size).map { head in
            (0..<size).map { Array(values[head + $0 * width..<head + ($0 + 1) * width]) }
        }
    }

    private func separate(_ layer: LlamaWeights.Layer) throws -> (key: LlamaWeights.Linear, value: LlamaWeights.Linear)
    {
        guard case .separate(_, let key, let value) = layer.attention else { throw CancellationError() }
        return (key, value)
    }

    /// A model in which every KV head of each pair is the same, held as F32.
    private func withEqualHeads(_ model: Llama) throws -> Llama {
        let c = model.configuration
        var tensors: [String: Tensor] = [:]
        for layer in model.weights.layers {
            let (key, value) = try separate(layer)
            for linear in [key, value] {
                let heads = heads(linear, size: c.headSize)
                let equal = heads.indices.flatMap { heads[$0 / 2 * 2].flatMap(\.self) }
                tensors[linear.weight.info.name] = .floats(equal, linear.weight.tensor.shape)
            }
        }
        return model.replacing(tensors)
    }

    @Test func equalHeadsPooledChangeNothing() throws {
        let model = try withEqualHeads(try TinyModel.stories.load())
        try #require(model.configuration.kvHeads == 4)
        let plan = try HeadPlan(.pool(to: 2), of: model)
        #expect(plan.kvHeads == 2 && plan.layers.allSatisfy { $0.cached == 2 })
        let pooled = plan.applied(to: plan.prepared(model))
        #expect(pooled.configuration.kvHeads == 2)
        #expect(try logits(pooled) == logits(model))
        let effect = try HeadEffect(plan, of: model, on: try text(model), threads: 2)
        #expect(effect.divergence.divergences.maximum == 0 && effect.divergence.divergences.minimum == 0)
        #expect(effect.divergence.sameTop.value == 1 && effect.format == nil)
        // Heads that are not equal do change something.
        let one = try HeadEffect(try HeadPlan(.pool(to: 1), of: model), of: model, on: try text(model), threads: 2)
        #expect(one.divergence.meanDivergence.value > 1e-6)
    }

    /// The pooled model is the one that a file with the means and fewer heads in its metadata is.
    @Test(arguments: [1, 2])
    func pooledIsAFileOfMeans(count: Int) throws {
        let model = try TinyModel.stories.load()
        let c = model.configuration
        var tensors: [String: Tensor] = [:]
        for layer in model.weights.layers {
            let (key, value) = try separate(layer)
            for linear in [key, value] {
                let heads = heads(linear, size: c.headSize)
                let group = c.kvHeads / count
                let means = (0..<count).flatMap { new in
                    (0..<c.headSize).flatMap { row in
                        (0..<c.embedding).map { column -> Float in
                            let members = heads[new * group..<(new + 1) * group]
                            return Float(members.reduce(0.0) { $0 + Double($1[row][column]) } / Double(group))
                        }
                    }
                }
                tensors[linear.weight.info.name] = .floats(means, Shape(c.embedding, count * c.headSize))
            }
        }
        let entries = model.file.metadata.entries.map { entry in
            entry.key == "llama.attention.head_count_kv"
                ? Metadata.Entry(key: entry.key, value: .uint32(UInt32(count))) : entry
        }
        let folder = try TemporaryFolder()
        try GGUFWriter(
            metadata: Metadata(entries),
            tensors: model.file.tensors.map { info in
                tensors[info.name].map { .init(name: info.name, $0) } ?? .init(info, of: model.file)
            }
        ).write(to: folder.path("pooled.gguf"), overwrite: false)
        let written = try Llama(file: GGUFFile(path: folder.path("pooled.gguf")))
        let plan = try HeadPlan(.pool(to: count), of: model)
        #expect(try logits(plan.applied(to: plan.prepared(model))) == logits(written))
        #expect(plan.cacheBytes(c, positions: 9) == KVCache.bytes(written.configuration, heads: count, positions: 9))
    }

    /// Not of the model whose keys are unpacked from one vector: its heads cannot be changed one by one.
    @Test(arguments: TinyModel.allCases.filter { $0 != .unpackedLatent })
    func copiesChangeNothing(tiny: TinyModel) throws {
        let model = try tiny.load()
        let c = model.configuration
        let plan = try HeadPlan(.expand(to: c.heads), of: model)
        let expanded = plan.applied(to: plan.prepared(model))
        #expect(expanded.configuration.kvHeads == c.heads && plan.requantized(in: model).isEmpty)
        #expect(try logits(expanded) == logits(model))
        #expect(plan.cacheBytes(c, positions: 7) == KVCache.bytes(c, heads: c.heads, positions: 7))
        let one = try HeadPlan(.expand(to: c.heads), layers: [0], of: model)
        #expect(try logits(one.applied(to: model)) == logits(model))
        let layer = KVCache.bytes(c, heads: 1, positions: 7) / c.layers
        #expect(one.cacheBytes(c, positions: 7) == layer * (c.heads + (c.layers - 1) * c.kvHeads))
    }

    /// Copies of heads change nothing, if the change is not refused: in OLMo 2 all keys of a token are normalised together,
    /// in DeepSeek they share a rotated part.
    @Test(arguments: ArchitectureFixture.all)
    func copiesChangeNothingOrAreRefused(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        let c = model.configuration
        guard c.kvHeads < c.heads else { return }
        let reasons = ["olmo2": "olmo2 normalises", "deepseek2": "deepseek2 has CONCAT 'Kcur-0' there"]
        if let reason = reasons[fixture.name] {
            #expect {
                try HeadPlan(.expand(to: c.heads), of: model)
            } throws: {
                "\($0)".hasPrefix("gqa what-if needs heads of the key that do not depend on each other; \(reason)")
            }
            return
        }
        let plan = try HeadPlan(.expand(to: c.heads), of: model)
        #expect(try logits(plan.applied(to: plan.prepared(model))) == logits(model))
    }

    /// The mean of two heads' rows makes the mean of the heads only where nothing but rotation follows.
    @Test(arguments: ArchitectureFixture.all)
    func poolingIsRefusedWhereKeysAreNormalised(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        guard model.configuration.kvHeads > 1 else { return }
        func plan() throws -> HeadPlan { try HeadPlan(.pool(to: 1), of: model) }
        switch fixture.name {
        case "qwen3", "qwen3moe", "olmo2": #expect(throws: AnalysisProblem.self) { try plan() }
        default: #expect(try plan().kvHeads == 1)
        }
    }

    /// Exchanging KV heads twice, or reading the head one reads anyway, is no change; exchanging them once is the remap of
    /// all their readers.
    @Test(arguments: [TinyModel.gqa, .biases, .stories])
    func swapsAndRemapsAgree(tiny: TinyModel) throws {
        let model = try tiny.load()
        let c = model.configuration
        let pair = HeadChange.Pair(0, c.kvHeads - 1)
        func changed(_ change: HeadChange) throws -> [Float] {
            try logits(try HeadPlan(change, of: model).applied(to: model))
        }
        let plain = try logits(model)
        #expect(try changed(.swap([pair, pair])) == plain)
        #expect(try changed(.remap([.init(0, 0)])) == plain)
        let readers = (0..<c.heads).compactMap { head -> HeadChange.Pair? in
            switch c.kvHead(ofQueryHead: head) {
            case 0: .init(head, c.kvHeads - 1)
            case c.kvHeads - 1: .init(head, 0)
            default: nil
            }
        }
        let swapped = try changed(.swap([pair]))
        #expect(try changed(.remap(readers)) == swapped)
        #expect(swapped != plain)
        // A head that no one reads needs no place in the cache.
        let unread = try HeadPlan(.remap((0..<c.groupSize).map { .init($0, c.kvHeads - 1) }), of: model)
        #expect(unread.layers.allSatisfy { $0.cached == c.kvHeads - 1 })
    }

    /// Without heads a layer's attention adds nothing but its bias, as if its output matrix were zeros.
    @Test(arguments: TinyModel.allCases.filter { $0 != .unpackedLatent })
    func droppingAllHeadsIsNoAttention(tiny: TinyModel) throws {
        let model = try tiny.load()
        let last = model.configuration.layers - 1
        let output = model.weights.layers[last].attentionOutput.weight
        let silent = model.replacing([output.info.name: .zeros(output.tensor.type, output.tensor.shape)])
        let plan = try HeadPlan(.drop([.init(layer: last, heads: .all)]), of: model)
        #expect(plan.changed == [last] && plan.layers[last].cached == 0)
        #expect(try logits(plan.applied(to: model)) == logits(silent))
        #expect(try logits(silent) != logits(model))
    }

    /// Dropping a KV head is dropping its readers; each drops what it writes, as setting its values to 0 does.
    /// Means of quantised rows are held as F32; what that alone does is told apart.
    @Test func theFormatsShareIsToldApart() throws {
        let model = try TinyModel.gqa.load()
        let plan = try HeadPlan(.pool(to: 1), layers: [0], of: model)
        let held = plan.requantized(in: model)
        #expect(held.map(\.info.name) == ["blk.0.attn_k.weight", "blk.0.attn_v.weight"])
        let effect = try HeadEffect(plan, of: model, on: try text(model), threads: 2)
        let format = try #require(effect.format)
        let prepared = plan.prepared(model)
        let direct = try Divergence(
            of: ChunkLogits(prepared, on: text(model), threads: 2),
            from: ChunkLogits(model, on: text(model), threads: 2))
        #expect(format.tokens.map(\.divergence) == direct.tokens.map(\.divergence))
        #expect(format.meanDivergence.value > 0 && effect.divergence.meanDivergence.value > 0)
        guard case .separate(_, let key, _) = prepared.weights.layers[0].attention else { throw CancellationError() }
        #expect(key.weight.tensor.type == .f32)
        guard case .separate(_, let key, _) = prepared.weights.layers[1].attention else { throw CancellationError() }
        #expect(key.weight.tensor.type == key.weight.info.type)
    }

    @Test func whatAModelCannotBe() throws {
        let model = try TinyModel.stories.load()
        func problem(_ change: HeadChange) -> String? {
            do {
                _ = try HeadPlan(change, of: model)
                return nil
            } catch { return "\(error)" }
        }
        #expect(problem(.pool(to: 3))?.contains("the model has 4, which can become 1, 2.") == true)
        #expect(problem(.pool(to: 4)) != nil && problem(.pool(to: 0)) != nil)
        #expect(problem(.expand(to: 6))?.contains("which can become 8.") == true)
        #expect(problem(.swap([.init(1, 4)]))?.contains("no KV head 4; the model has KV heads 0 to 3") == true)
        #expect(problem(.swap([.init(1, 1)]))?.contains("one head") == true)
        #expect(problem(.remap([.init(8, 1)]))?.contains("no query head 8") == true)
        #expect(problem(.drop([.init(layer: 5, heads: .all)]))?.contains("no layer 5") == true)
        #expect(problem(.drop([.init(layer: 0, heads: .kv(-1))]))?.contains("no KV head -1") == true)
    }
}
