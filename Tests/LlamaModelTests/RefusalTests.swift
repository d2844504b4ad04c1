import GGUF
import LlamaModel
import Tensors
import TestSupport
import Testing

/// A copy of a tiny model with one change: files that are valid GGUF, but no model that runs.
private struct Surgery {
    private let original: GGUFFile
    private var entries: [Metadata.Entry]
    private var tensors: [GGUFWriter.TensorEntry]

    init(_ path: String = TinyModel.gqa.path) throws {
        original = try GGUFFile(path: path)
        entries = original.metadata.entries
        tensors = original.tensors.map { [original] in .init($0, of: original) }
    }

    /// Sets a key, or removes it.
    mutating func set(_ key: String, _ value: GGUFValue?) {
        let index = entries.firstIndex { $0.key == key }
        switch (index, value) {
        case (let index?, let value?): entries[index] = .init(key: key, value: value)
        case (let index?, nil): entries.remove(at: index)
        case (nil, let value?): entries.append(.init(key: key, value: value))
        case (nil, nil): Issue.record("\(key) is not there to be removed")
        }
    }

    /// Replaces a tensor by zeros of another type or shape, adds one, or removes one (`nil`).
    mutating func set(tensor name: String, _ layout: Layout?) {
        let index = tensors.firstIndex { $0.name == name }
        let entry = layout.map { GGUFWriter.TensorEntry(name: name, .zeros($0.type, $0.shape)) }
        switch (index, entry) {
        case (let index?, let entry?): tensors[index] = entry
        case (let index?, nil): tensors.remove(at: index)
        case (nil, let entry?): tensors.append(entry)
        case (nil, nil): Issue.record("\(name) is not there to be removed")
        }
    }

    /// Loads the changed model.
    func load() throws -> Llama {
        let folder = try TemporaryFolder()
        let path = folder.path("changed.gguf")
        try GGUFWriter(metadata: Metadata(entries), tensors: tensors).write(to: path)
        return try withExtendedLifetime(folder) { try Llama(file: try GGUFFile(path: path)) }
    }

    /// Expects the error that `expected` makes of the file's path, and all of `words` in its description.
    func expectRefusal(
        _ words: [String], location: SourceLocation = #_sourceLocation, _ expected: (String) -> LlamaError
    ) throws {
        let thrown = #expect(throws: LlamaError.self, sourceLocation: location) { _ = try load() }
        let error = try #require(thrown, sourceLocation: location)
        let file = try #require(error.file, sourceLocation: location)
        #expect(file.hasSuffix("/changed.gguf"), sourceLocation: location)
        #expect(error == expected(file), sourceLocation: location)
        #expect(error.description.hasPrefix(file + ": "), sourceLocation: location)
        for word in words { #expect(error.description.contains(word), "\(error)", sourceLocation: location) }
    }
}

@Suite struct RefusalTests {
    @Test func theUnchangedCopyRuns() throws {
        var session = try Session(try Surgery().load(), positions: 4, threads: 1)
        var original = try Session(try TinyModel.gqa.load(), positions: 4, threads: 1)
        #expect(try session.logits(after: [1, 2]) == original.logits(after: [1, 2]))
    }

    @Test(arguments: ["gemma3n", "mamba", "Llama", ""])
    func otherArchitectures(name: String) throws {
        var surgery = try Surgery()
        surgery.set("general.architecture", .string(name))
        try surgery.expectRefusal(["architecture", "'\(name)'", "'llama', 'qwen2'"]) {
            .otherArchitecture(file: $0, name: name)
        }
    }

    @Test(arguments: [
        "general.architecture", "llama.block_count", "llama.embedding_length", "llama.context_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon",
    ])
    func missingKeys(key: String) throws {
        var surgery = try Surgery()
        surgery.set(key, nil)
        try surgery.expectRefusal(["'\(key)' is missing"]) { .missingKey(file: $0, key: key) }
    }

    @Test(arguments: [
        ("general.architecture", GGUFValue.uint32(3), "u32", "str"),
        ("llama.block_count", .uint64(2), "u64", "u32"),
        ("llama.embedding_length", .int32(64), "i32", "u32"),
        ("llama.context_length", .string("512"), "str", "u32"),
        ("llama.attention.layer_norm_rms_epsilon", .float64(1e-5), "f64", "f32"),
        ("llama.rope.freq_base", .uint32(10000), "u32", "f32"),
        ("llama.rope.scaling.type", .uint32(1), "u32", "str"),
        ("llama.expert_count", .float32(0), "f32", "u32"),
        ("llama.feed_forward_length", .array(GGUFArray(.float32, [.float32(96)])), "arr", "u32, or an array of u32"),
    ])
    func wrongTypes(key: String, value: GGUFValue, found: String, expected: String) throws {
        var surgery = try Surgery()
        surgery.set(key, value)
        try surgery.expectRefusal(["'\(key)'", "type \(found)", "expected \(expected)"]) {
            .wrongType(file: $0, key: key, found: found, expected: expected)
        }
    }

    @Test(arguments: [
        ("llama.block_count", GGUFValue.uint32(0), "0", "1 to 512"),
        ("llama.embedding_length", .uint32(1 << 25), "33554432", "1 to 16777216"),
        ("llama.attention.head_count", .uint32(0), "0", "1 to 16777216"),
        ("llama.attention.head_count_kv", .uint32(3), "3", "a divisor of the 4 query heads"),
        ("llama.attention.head_count_kv", .uint32(0), "0", "a divisor of the 4 query heads"),
        ("llama.rope.dimension_count", .uint32(8), "8", "the head size (16), an even number"),
        ("llama.attention.layer_norm_rms_epsilon", .float32(.infinity), "inf", "a finite number"),
        (
            "llama.feed_forward_length", .array(GGUFArray(.uint32, [.uint32(96)])), "1 values", "2, one a layer"
        ),
    ])
    func valuesThatCannotBe(key: String, value: GGUFValue, found: String, expected: String) throws {
        var surgery = try Surgery()
        surgery.set(key, value)
        try surgery.expectRefusal(["'\(key)'", found, "expected \(expected)"]) {
            .invalidValue(file: $0, key: key, found: found, expected: expected)
        }
    }

    /// Where a family has none; and where it may have some, but the file does not say enough, or not truly.
    @Test func experts() throws {
        var surgery = try Surgery(Places.fixture("tiny-granite.gguf"))
        surgery.set("granite.expert_count", .uint32(8))
        try surgery.expectRefusal(["granite.expert_count", "'8'", "without experts"]) {
            .unsupported(
                file: $0, what: "granite.expert_count", found: "8", supported: "models of 'granite' without experts")
        }
        surgery = try Surgery()
        surgery.set("llama.expert_count", .uint32(8))
        try surgery.expectRefusal(["expert_used_count"]) { .missingKey(file: $0, key: "llama.expert_used_count") }
        surgery.set("llama.expert_used_count", .uint32(9))
        try surgery.expectRefusal(["expert_used_count"]) {
            .invalidValue(file: $0, key: "llama.expert_used_count", found: "9", expected: "1 to 8")
        }
        surgery.set("llama.expert_used_count", .uint32(2))
        try surgery.expectRefusal(["blk.0.ffn_gate_inp.weight", "missing"]) {
            .missingTensor(file: $0, name: "blk.0.ffn_gate_inp.weight", expected: Shape(64, 8))
        }
        surgery.set("llama.expert_count", .uint32(0))
        #expect(throws: Never.self) { _ = try surgery.load() }
        surgery = try Surgery(TinyModel.mixtral.path)
        surgery.set(tensor: "blk.1.ffn_up_exps.weight", Layout(.f32, Shape(32, 24, 4)))
        try surgery.expectRefusal(["blk.1.ffn_up_exps.weight", "32x24x4"]) {
            .wrongShape(
                file: $0, name: "blk.1.ffn_up_exps.weight", found: Shape(32, 24, 4), expected: Shape(32, 24, 5))
        }
    }

    @Test func latentAttention() throws {
        func key(_ name: String) -> String { "deepseek2." + name }
        var surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("attention.q_lora_rank"), nil)
        try surgery.expectRefusal(["q_lora_rank"]) { .missingKey(file: $0, key: key("attention.q_lora_rank")) }
        surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("attention.value_length_mla"), nil)
        try surgery.expectRefusal(["value_length_mla"]) {
            .missingKey(file: $0, key: key("attention.value_length_mla"))
        }
        surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("attention.head_count_kv"), .uint32(4))
        try surgery.expectRefusal(["head_count_kv"]) {
            .invalidValue(
                file: $0, key: key("attention.head_count_kv"), found: "4",
                expected: "1, for the latent vector of all heads")
        }
        surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("expert_gating_func"), .uint32(4))
        try surgery.expectRefusal(["expert_gating_func"]) {
            .unsupported(
                file: $0, what: key("expert_gating_func"), found: "4", supported: "1 (softmax) and 2 (sigmoid)")
        }
        surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("expert_group_count"), .uint32(3))
        #expect(throws: LlamaError.self) { _ = try surgery.load() }
        surgery = try Surgery(Places.fixture("tiny-deepseek2.gguf"))
        surgery.set(key("nextn_predict_layers"), .uint32(1))
        #expect(throws: LlamaError.self) { _ = try surgery.load() }
    }

    @Test(arguments: ["dynamic", "foo", "YARN"])
    func unknownRopeScaling(name: String) throws {
        var surgery = try Surgery()
        surgery.set("llama.rope.scaling.type", .string(name))
        try surgery.expectRefusal(["RoPE scaling", "'\(name)'", "'none', 'linear', 'yarn' and 'longrope'"]) {
            .unsupported(
                file: $0, what: "RoPE scaling", found: name,
                supported: "'none', 'linear', 'yarn' and 'longrope', and Llama 3's rope_freqs.weight")
        }
    }

    @Test func layersOfUnequalSizeAreRefused() throws {
        var surgery = try Surgery()
        surgery.set("llama.attention.head_count_kv", .array(GGUFArray(.uint32, [.uint32(2), .uint32(4)])))
        try surgery.expectRefusal(["head_count_kv", "2 different values"]) {
            .unsupported(
                file: $0, what: "llama.attention.head_count_kv", found: "2 different values",
                supported: "layers of equal size")
        }
        surgery.set("llama.attention.head_count_kv", .array(GGUFArray(.uint32, [.uint32(2), .uint32(2)])))
        #expect(throws: Never.self) { _ = try surgery.load() }
    }

    @Test(arguments: [
        ("token_embd.weight", Shape(64, 302)), ("output_norm.weight", Shape(64)), ("blk.0.attn_norm.weight", Shape(64)),
        ("blk.1.attn_q.weight", Shape(64, 64)), ("blk.0.attn_k.weight", Shape(64, 32)),
        ("blk.1.attn_v.weight", Shape(64, 32)), ("blk.0.attn_output.weight", Shape(64, 64)),
        ("blk.1.ffn_norm.weight", Shape(64)), ("blk.0.ffn_gate.weight", Shape(64, 96)),
        ("blk.1.ffn_up.weight", Shape(64, 96)), ("blk.0.ffn_down.weight", Shape(96, 64)),
    ])
    func missingTensors(name: String, shape: Shape) throws {
        var surgery = try Surgery()
        surgery.set(tensor: name, nil)
        try surgery.expectRefusal(["'\(name)'", "shape \(shape)", "missing"]) {
            .missingTensor(file: $0, name: name, expected: shape)
        }
    }

    @Test(arguments: [
        ("blk.0.attn_k.weight", Layout(.q4_1, Shape(64, 64)), Shape(64, 32)),
        ("blk.0.attn_norm.weight", Layout(.f32, Shape(63)), Shape(64)),
        ("output.weight", Layout(.q4_1, Shape(64, 300)), Shape(64, 302)),
        ("blk.0.attn_q.bias", Layout(.f32, Shape(32)), Shape(64)),
        ("rope_freqs.weight", Layout(.f32, Shape(16)), Shape(8)),
    ])
    func wrongShapes(name: String, found: Layout, expected: Shape) throws {
        var surgery = try Surgery()
        surgery.set(tensor: name, found)
        try surgery.expectRefusal(["'\(name)'", "shape \(found.shape)", "expected \(expected)"]) {
            .wrongShape(file: $0, name: name, found: found.shape, expected: expected)
        }
    }

    /// The number of tokens is in the file twice.
    @Test func tokensAndRowsAreCompared() throws {
        var surgery = try Surgery()
        surgery.set(tensor: "token_embd.weight", Layout(.q4_1, Shape(64, 301)))
        try surgery.expectRefusal(["'tokenizer.ggml.tokens' lists 302 tokens", "'token_embd.weight' has 301 rows"]) {
            .otherVocabulary(
                file: $0, key: "tokenizer.ggml.tokens", verb: "lists", count: 302, tensor: "token_embd.weight",
                rows: 301)
        }
    }

    @Test func extraTensorsAreRefused() throws {
        var surgery = try Surgery()
        surgery.set(tensor: "blk.0.attn_q_norm.weight", Layout(.f32, Shape(16)))
        surgery.set(tensor: "blk.2.attn_norm.weight", Layout(.f32, Shape(64)))
        let names = ["blk.0.attn_q_norm.weight", "blk.2.attn_norm.weight"]
        try surgery.expectRefusal(["2 tensors"] + names) {
            .unusedTensors(file: $0, architecture: "llama", names: names)
        }
    }

    @Test(arguments: [
        ("blk.0.attn_q.weight", Layout(.i32, Shape(64, 64)), "I32", "F32, F16, BF16, Q4_0"),
        ("blk.1.ffn_down.weight", Layout(.f64, Shape(96, 64)), "F64", "F32, F16, BF16, Q4_0"),
        ("blk.0.attn_norm.weight", Layout(.f16, Shape(64)), "F16", "F32 vectors"),
        ("blk.0.attn_q.bias", Layout(.f16, Shape(64)), "F16", "F32 vectors"),
    ])
    func formatsThatCannotBeMultiplied(name: String, layout: Layout, found: String, supported: String) throws {
        var surgery = try Surgery()
        surgery.set(tensor: name, layout)
        let error = try #require(throws: LlamaError.self) { _ = try surgery.load() }
        guard case .unsupported(_, let what, let type, let list) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(what == "type of '\(name)'" && type == found && list.hasPrefix(supported))
        #expect(error.description.contains("'\(found)'") && error.description.contains(name))
    }

    /// Formats of activations are decoded, but ggml multiplies no weights stored so.
    @Test(arguments: [TensorType.q8_1])
    func formatsOfActivationsAreNoWeights(type: TensorType) throws {
        var surgery = try Surgery()
        surgery.set(tensor: "blk.0.attn_q.weight", Layout(type, Shape(64, 64)))
        let error = try #require(throws: LlamaError.self) { _ = try surgery.load() }
        #expect(error.description.contains("'\(type.name)'"))
    }

    /// What llama.cpp has no place for in these families, or computes and Quipu does not.
    @Test(arguments: [
        ("qwen2", "blk.0.attn_output.bias", Layout(.f32, Shape(32))),
        ("qwen3", "rope_freqs.weight", Layout(.f32, Shape(6))),
        ("smollm3", "blk.2.attn_q_norm.weight", Layout(.f32, Shape(8))),
        ("olmo2", "blk.1.attn_norm.weight", Layout(.f32, Shape(32))),
        ("granite", "blk.0.ffn_gate_inp.weight", Layout(.f32, Shape(32, 4))),
    ])
    func tensorsThatAFamilyHasNot(name: String, tensor: String, layout: Layout) throws {
        var surgery = try Surgery(Places.fixture("tiny-\(name).gguf"))
        surgery.set(tensor: tensor, layout)
        try surgery.expectRefusal([tensor, "architecture '\(name)'"]) {
            .unusedTensors(file: $0, architecture: name, names: [tensor])
        }
    }

    @Test(arguments: [
        ("qwen3", "blk.1.attn_k_norm.weight", Shape(12)), ("olmo2", "output.weight", Shape(32, 275)),
        ("olmo2", "blk.0.post_ffw_norm.weight", Shape(32)), ("granite", "blk.1.ffn_down.weight", Shape(40, 32)),
    ])
    func tensorsThatAFamilyNeeds(name: String, tensor: String, shape: Shape) throws {
        var surgery = try Surgery(Places.fixture("tiny-\(name).gguf"))
        surgery.set(tensor: tensor, nil)
        try surgery.expectRefusal([tensor, "missing"]) { .missingTensor(file: $0, name: tensor, expected: shape) }
    }

    @Test func keysOfAFamily() throws {
        var surgery = try Surgery(Places.fixture("tiny-olmo2.gguf"))
        surgery.set("olmo2.attention.sliding_window", .uint32(4096))
        #expect(throws: LlamaError.self) { _ = try surgery.load() }
        surgery.set("olmo2.attention.sliding_window", .uint32(0))
        #expect(throws: Never.self) { _ = try surgery.load() }
        surgery = try Surgery(Places.fixture("tiny-granite.gguf"))
        surgery.set("granite.logit_scale", .float32(0))
        try surgery.expectRefusal(["logit_scale"]) {
            .invalidValue(
                file: $0, key: "granite.logit_scale", found: "0", expected: "a number that logits are divided by")
        }
        surgery.set("granite.logit_scale", nil)
        try surgery.expectRefusal(["logit_scale"]) { .missingKey(file: $0, key: "granite.logit_scale") }
    }

    /// Scales of zero are as good as none, and a file may ask for no rotation.
    @Test func graniteWithoutScalesIsALlama() throws {
        var surgery = try Surgery(Places.fixture("tiny-granite.gguf"))
        for key in ["embedding_scale", "residual_scale", "attention.scale"] {
            surgery.set("granite.\(key)", .float32(0))
        }
        func kinds() throws -> [String] {
            try Session(surgery.load(), positions: 4, threads: 1).pass(over: [1, 2]).interpreter.graph.nodes.map(\.kind)
        }
        #expect(try kinds().filter { $0 == "SCALE" }.count == 1)
        #expect(try kinds().contains("ROPE"))
        surgery.set("granite.rope.scaling.finetuned", .bool(false))
        #expect(try !kinds().contains("ROPE"))
    }

    @Test func everyFourthLayerOfSmolLM3DoesNotRotate() throws {
        let model = try Llama(file: GGUFFile(path: Places.fixture("tiny-smollm3.gguf")))
        #expect(model.configuration.rotations.map { $0 != nil } == [true, true, true, false])
    }

    @Test func optionalKeysHaveLibllamasDefaults() throws {
        var surgery = try Surgery()
        for key in [
            "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count",
        ] {
            surgery.set("llama." + key, nil)
        }
        surgery.set(tensor: "blk.0.attn_k.weight", Layout(.q4_1, Shape(64, 64)))
        surgery.set(tensor: "blk.0.attn_v.weight", Layout(.q4_1, Shape(64, 64)))
        surgery.set(tensor: "blk.1.attn_k.weight", Layout(.q4_1, Shape(64, 64)))
        surgery.set(tensor: "blk.1.attn_v.weight", Layout(.q4_1, Shape(64, 64)))
        surgery.set("llama.rope.freq_base", nil)
        surgery.set("llama.vocab_size", nil)
        let c = try surgery.load().configuration
        #expect((c.kvHeads, c.headSize, c.vocabulary, c.rotations[1]?.dimensions) == (4, 16, 302, 16))
        let rope = try #require(c.rotations[0])
        #expect((rope.frequencyBase, rope.frequencyScale, rope.originalContext) == (10000, 1, 512))
    }

    @Test func scalingReachesTheRotation() throws {
        var surgery = try Surgery()
        surgery.set("llama.rope.scaling.type", .string("linear"))
        surgery.set("llama.rope.scaling.factor", .float32(4))
        var rope = try #require(try surgery.load().configuration.rotations[0])
        #expect((rope.frequencyScale, rope.extrapolation, rope.attentionFactor) == (0.25, 0, 1))
        surgery.set("llama.rope.scaling.type", .string("none"))
        #expect(try surgery.load().configuration.rotations[0]?.frequencyScale == 1)
        surgery.set("llama.rope.scaling.type", .string("yarn"))
        surgery.set("llama.rope.scaling.original_context_length", .uint32(128))
        rope = try #require(try surgery.load().configuration.rotations[0])
        #expect((rope.frequencyScale, rope.extrapolation, rope.originalContext) == (0.25, 1, 128))
        // libllama divides by the magnitude that ggml multiplies by; together 1 + 0.1 ln 4, once.
        #expect(abs(rope.attentionFactor - 1) < 1e-6)
    }
}
