import Foundation
import GGUF
import LlamaModel
import Tensors
import TestSupport
import Testing

/// What `inspect` says of a file at a glance: shapes of well-known models, as metadata without tensors.
@Suite struct InspectGlanceTests {
    /// A shape, and the bytes of a token at F16: of the model, with MHA and with MQA.
    struct Shape: CustomTestStringConvertible {
        let name: String
        let architecture: String
        let keys: [String: GGUFValue]
        let cache: [Int]
        let attention: String
        var testDescription: String { name }

        init(_ name: String, _ architecture: String, _ attention: String, _ cache: [Int], _ keys: [String: Int]) {
            self.init(name, architecture, attention, cache, keys.mapValues { .uint32(UInt32($0)) })
        }

        init(_ name: String, _ architecture: String, _ attention: String, _ cache: [Int], _ keys: [String: GGUFValue]) {
            (self.name, self.architecture, self.keys, self.cache) = (name, architecture, keys, cache)
            self.attention = attention
        }

        var metadata: Metadata {
            Metadata(
                [.init(key: "general.architecture", value: .string(architecture))]
                    + keys.sorted { $0.key < $1.key }.map { .init(key: "\(architecture).\($0.key)", value: $0.value) })
        }
    }

    /// Worked out by hand from the models' published sizes: layers x KV heads x (key + value) x 2 bytes.
    static let shapes: [Shape] = [
        Shape(
            "Llama 3.1 8B", "llama", "GQA", [131_072, 524_288, 16_384],
            [
                "block_count": 32, "embedding_length": 4096, "attention.head_count": 32, "attention.head_count_kv": 8,
                "feed_forward_length": 14336, "context_length": 131_072,
            ]),
        Shape(
            "Qwen3 30B A3B", "qwen3moe", "GQA", [98_304, 786_432, 24_576],
            [
                "block_count": 48, "embedding_length": 2048, "attention.head_count": 32, "attention.head_count_kv": 4,
                "attention.key_length": 128, "attention.value_length": 128, "expert_count": 128,
                "expert_used_count": 8, "expert_feed_forward_length": 768,
            ]),
        Shape(
            "DeepSeek V2 Lite", "deepseek2", "MLA", [31_104, 276_480, 17_280],
            [
                "block_count": 27, "embedding_length": 2048, "attention.head_count": 16, "attention.head_count_kv": 1,
                "attention.key_length": 576, "attention.value_length": 512, "attention.key_length_mla": 192,
                "attention.value_length_mla": 128, "attention.kv_lora_rank": 512, "rope.dimension_count": 64,
                "expert_count": 64, "expert_used_count": 6, "expert_shared_count": 2, "leading_dense_block_count": 1,
            ]),
        Shape(
            "DeepSeek V2 Lite, an older file", "deepseek2", "MLA", [31_104, 276_480, 17_280],
            [
                "block_count": 27, "embedding_length": 2048, "attention.head_count": 16, "attention.head_count_kv": 16,
                "attention.key_length": 192, "attention.value_length": 128, "attention.kv_lora_rank": 512,
                "rope.dimension_count": 64,
            ]),
        Shape(
            "Gemma 3 1B", "gemma3", "MQA", [26_624, 106_496, 26_624],
            [
                "block_count": 26, "embedding_length": 1152, "attention.head_count": 4, "attention.head_count_kv": 1,
                "attention.key_length": 256, "attention.value_length": 256, "attention.sliding_window": 512,
            ]),
        Shape(
            "Qwen3 Next, attention in 12 of 48 layers", "qwen3next", "GQA", [24_576, 196_608, 12_288],
            [
                "block_count": 48, "embedding_length": 2048, "attention.head_count": 16, "attention.head_count_kv": 2,
                "attention.key_length": 256, "attention.value_length": 256,
            ]),
        Shape(
            "LFM2, attention in two of four layers", "lfm2", "GQA", [2048, 8192, 256],
            [
                "block_count": .uint32(4), "embedding_length": .uint32(1024), "attention.head_count": .uint32(32),
                "attention.head_count_kv": .array(GGUFArray(.int32, [0, 8, 0, 8].map { .int32($0) })),
            ]),
    ]

    @Test(arguments: shapes)
    func theCacheOfKnownShapes(shape: Shape) throws {
        let bench = try Workbench()
        try GGUFWriter(metadata: shape.metadata, tensors: []).write(to: bench.folder.path("shape.gguf"))
        let object = try bench.quipu("inspect", "shape.gguf", "--json").object()
        let model = try #require(object["model"] as? [String: Any])
        let cache = try #require(model["cache_bytes_per_token"] as? [String: Int])
        #expect(["own", "mha", "mqa"].map { cache[$0] ?? 0 } == shape.cache)
        #expect(model["attention"] as? String == shape.attention)
        let page = try bench.quipu("inspect", "shape.gguf").output.words
        for bytes in shape.cache { #expect(page.contains(Self.grouped(bytes)), "\(page)") }
        #expect(!page.contains("Quipu runs it."))
    }

    private static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = "," + text }
            text = "\(digit)" + text
        }
        return text
    }

    /// Windows keep no more than they see: of Gemma's 26 layers four grow on.
    @Test func contextBesideTheFile() throws {
        let bench = try Workbench()
        let gemma = try #require(Self.shapes.first { $0.architecture == "gemma3" })
        try GGUFWriter(metadata: gemma.metadata, tensors: []).write(to: bench.folder.path("shape.gguf"))
        let object = try bench.quipu("inspect", "shape.gguf", "--json").object()
        let model = try #require(object["model"] as? [String: Any])
        let layers = try #require((model["window"] as? [String: Any])?["layers"] as? [Int])
        #expect(layers.count == 22 && !layers.contains(5) && !layers.contains(23) && layers.contains(25))
        let size = try bench.bytes("shape.gguf").count
        // A layer keeps 1,024 bytes of a position.
        #expect(model["context_at_8_gib"] as? Int == ((8 << 30) - size - 22 * 1024 * 512) / (4 * 1024))
        #expect(model["context_at_8_gib_without_windows"] as? Int == ((8 << 30) - size) / (26 * 1024))
        let page = try bench.quipu("inspect", "shape.gguf").output.words
        #expect(page.contains("the last 512 positions in 22 of 26 layers"), "\(page)")
        #expect(page.contains("Quipu does not run it: metadata key 'gemma3.context_length' is missing"), "\(page)")
    }

    /// Encoders keep nothing from token to token, and Mamba has no attention.
    @Test(arguments: ["bert", "mamba"])
    func noCache(architecture: String) throws {
        let bench = try Workbench()
        let heads = architecture == "bert" ? 12 : 0
        let shape = Shape(
            architecture, architecture, "", [],
            ["block_count": 12, "embedding_length": 768, "attention.head_count": heads])
        try GGUFWriter(metadata: shape.metadata, tensors: []).write(to: bench.folder.path("shape.gguf"))
        let model = try #require(
            bench.quipu("inspect", "shape.gguf", "--json").object()["model"] as? [String: Any])
        #expect(model["cache_bytes_per_token"] is NSNull && model["context_at_8_gib"] is NSNull)
        let page = try bench.quipu("inspect", "shape.gguf").output
        #expect(!page.contains("KV cache"), "\(page)")
    }

    /// Of the experts' tensors a token goes through the share that is used.
    @Test func activeWeightsOfExperts() throws {
        let bench = try Workbench()
        func zeros(_ name: String, _ shape: Tensors.Shape) -> GGUFWriter.TensorEntry {
            .init(name: name, Tensor(Layout(.f32, shape), in: Buffer(byteCount: shape.count * 4)))
        }
        let shape = Shape(
            "experts", "olmoe", "", [],
            [
                "block_count": 1, "embedding_length": 8, "attention.head_count": 2, "expert_count": 4,
                "expert_used_count": 1,
            ])
        let tensors = [
            zeros("token_embd.weight", Tensors.Shape(8, 10)),
            zeros("blk.0.ffn_up_exps.weight", Tensors.Shape(8, 16, 4)),
            zeros("blk.0.ffn_gate_inp.weight", Tensors.Shape(8, 4)),
        ]
        try GGUFWriter(metadata: shape.metadata, tensors: tensors).write(to: bench.folder.path("experts.gguf"))
        let object = try bench.quipu("inspect", "experts.gguf", "--json").object()
        let experts = try #require((object["model"] as? [String: Any])?["experts"] as? [String: Any])
        #expect(experts["stored_params"] as? Int == 80 + 512 + 32)
        #expect(experts["active_params"] as? Int == 80 + 128 + 32)
        #expect(object["runs"] as? Bool == false)
        #expect(object["missing"] as? String == "it needs a graph of its own.")
        let page = try bench.quipu("inspect", "experts.gguf").output.words
        #expect(page.contains("Of 624 stored weights a token goes through 240."), "\(page)")
    }

    /// What `inspect` says of running is what running says.
    @Test func runsIsWhatTraceSays() throws {
        let bench = try Workbench(TinyModel.biases.path)
        func agree(_ name: String, location: SourceLocation = #_sourceLocation) throws {
            let object = try bench.quipu("inspect", name, "--json").object()
            let run = try bench.quipu("graph", name)
            #expect(object["runs"] as? Bool == (run.status == 0), "\(run.errors)", sourceLocation: location)
            #expect((object["missing"] is NSNull) == (run.status == 0), sourceLocation: location)
        }
        try agree("model.gguf")
        try bench.writeModel(leavingOut: "blk.0.ffn_up.weight") { $1 }
        try agree("bad.gguf")
        let changes: [(String, GGUFValue)] = [
            ("general.architecture", .string("gemma3n")), ("general.architecture", .string("martian")),
            ("llama.attention.head_count", .uint32(7)), ("llama.rope.scaling.type", .string("longrope")),
            ("llama.expert_count", .uint32(8)), ("tokenizer.ggml.pre", .string("martian")),
        ]
        for (key, value) in changes {
            let file = try GGUFFile(path: bench.folder.path("model.gguf"))
            let entries = file.metadata.entries.filter { $0.key != key } + [.init(key: key, value: value)]
            try GGUFWriter(metadata: Metadata(entries), tensors: file.tensors.map { .init($0, of: file) })
                .write(to: bench.folder.path("bad.gguf"), overwrite: true)
            try agree("bad.gguf")
        }
        // The last one runs with ids, and the page says why not with text.
        let page = try bench.quipu("inspect", "bad.gguf").output.words
        #expect(page.contains("Quipu runs it.") && page.contains("martian") && page.contains("--ids"), "\(page)")
    }

    @Test func whatIsMissingIsNamed() throws {
        let bench = try Workbench()
        try bench.writeModel { key, value in key == "general.architecture" ? .string("gemma3n") : value }
        let page = try bench.quipu("inspect", "bad.gguf").output.words
        #expect(page.contains("Quipu does not run it: it needs per-layer inputs, shared KV caches"), "\(page)")
        expectComplaint(
            try bench.quipu("trace", "bad.gguf", "-p", "x"), "bad.gguf: architecture 'gemma3n' needs per-layer inputs",
            "does not run it yet", "quipu inspect")
        try bench.writeModel { key, value in key == "general.architecture" ? .string("martian") : value }
        #expect(try bench.quipu("inspect", "bad.gguf").output.words.contains("is not on Quipu's list"))
        expectComplaint(
            try bench.quipu("trace", "bad.gguf", "-p", "x"), "architecture 'martian' is not on Quipu's list")
    }

    /// Keys, the word for programs, and words of the page and of the refusal.
    static let others: [(keys: [String: String], kind: String, words: String)] = [
        (["general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora"], "adapter", "--lora"),
        (["adapter.type": "lora"], "adapter", "an adapter (LoRA)"),
        (["general.architecture": "clip"], "mmproj", "--mmproj"), (["general.type": "mmproj"], "mmproj", "a projector"),
        (["general.type": "imatrix"], "imatrix", "an importance matrix"),
        (["general.architecture": "controlvector"], "controlvector", "--control-vector"),
        (["general.type": "martian"], "martian", "general.type is 'martian'"),
    ]

    @Test(arguments: others)
    func aFileThatIsNoModel(keys: [String: String], kind: String, words: String) throws {
        let bench = try Workbench()
        let entries = keys.sorted { $0.key < $1.key }.map { Metadata.Entry(key: $0.key, value: .string($0.value)) }
        let tensor = GGUFWriter.TensorEntry(
            name: "t", Tensor(Layout(.f32, Tensors.Shape(4)), in: Buffer(byteCount: 16)))
        try GGUFWriter(metadata: Metadata(entries), tensors: [tensor]).write(to: bench.folder.path("other.gguf"))
        #expect(try bench.quipu("inspect", "other.gguf").output.words.contains(words))
        let object = try bench.quipu("inspect", "other.gguf", "--json").object()
        #expect(object["kind"] as? String == kind && object["runs"] as? Bool == false)
        for command in [
            ["trace", "other.gguf", "-p", "x"], ["graph", "other.gguf"], ["tokenize", "other.gguf", "x"],
        ] {
            expectComplaint(try bench.quipu(command), "other.gguf: ", words)
        }
    }

    /// At 80 columns values are cut, keys never.
    @Test func keysAreWhole() throws {
        let bench = try Workbench()
        let keys = ["a", "general.base_model.0.organization", "x." + String(repeating: "long.", count: 20) + "key"]
        let entries = keys.map { Metadata.Entry(key: $0, value: .string(String(repeating: "value ", count: 30))) }
        try GGUFWriter(metadata: Metadata(entries), tensors: []).write(to: bench.folder.path("keys.gguf"))
        let outcome = try bench.quipu("inspect", "keys.gguf", "--metadata")
        for key in keys {
            #expect(outcome.lines.contains { $0 == key || $0.hasPrefix(key + " ") }, "\(outcome.output)")
        }
        #expect(outcome.lines.filter { $0.contains("value value") }.count == 3)
        #expect(outcome.lines.allSatisfy { $0.count <= 80 || $0 == keys[2] })
    }

    /// A byte that is not UTF-8 in a key, a value, a token and a tensor's name: shown, found by what is shown, copied.
    @Test func bytesThatAreNotUTF8() throws {
        let bench = try Workbench()
        // In the order in which COPY writes tensors.
        try bench.quipu("quantize", "model.gguf", "ordered.gguf", "COPY")
        let file = try GGUFFile(path: bench.folder.path("ordered.gguf"))
        func broken(_ text: String) -> String { String(storedBytes: Array(text.utf8) + [0xFF]) }
        let tokensKey = "tokenizer.ggml.tokens"
        var tokens = try #require(file.metadata[tokensKey]?.array?.values)
        tokens[tokens.count - 1] = .string(broken("zzz"))
        var entries = file.metadata.entries.map {
            Metadata.Entry(key: $0.key, value: $0.key == tokensKey ? .array(GGUFArray(.string, tokens)) : $0.value)
        }
        // COPY writes the keys of the file type last.
        entries.insert(.init(key: broken("some.key"), value: .string(broken("value"))), at: 0)
        try GGUFWriter(metadata: Metadata(entries), tensors: file.tensors.map { .init($0, of: file) })
            .write(to: bench.folder.path("bytes.gguf"))
        let page = try bench.quipu("inspect", "bytes.gguf", "--metadata")
        #expect(
            page.lines.contains { $0.hasPrefix(#"some.key\xFF "#) && $0.hasSuffix(#"value\xFF"#) }, "\(page.output)")
        let metadata = try #require(
            bench.quipu("inspect", "bytes.gguf", "--json", "--whole-arrays").object()["metadata"] as? [String: Any])
        #expect(metadata[#"some.key\xFF"#] as? String == #"value\xFF"#)
        #expect((metadata[tokensKey] as? [String])?.last == #"zzz\xFF"#)
        #expect(try bench.quipu("trace", "bytes.gguf", "-p", "Once").status == 0)

        #expect(try bench.quipu("quantize", "bytes.gguf", "copy.gguf", "COPY").status == 0)
        let copy = try GGUFFile(path: bench.folder.path("copy.gguf"))
        #expect(copy.metadata[broken("some.key")] == .string(broken("value")))
        #expect(try bench.bytes("copy.gguf") == bench.bytes("bytes.gguf"))

        let entry = GGUFWriter.TensorEntry(
            name: broken("odd"), Tensor(Layout(.f32, Tensors.Shape(4)), in: Buffer(byteCount: 16)))
        try GGUFWriter(metadata: Metadata([]), tensors: [entry]).write(to: bench.folder.path("names.gguf"))
        #expect(try bench.quipu("inspect", "names.gguf", "--tensors").lines.contains { $0.hasPrefix(#"odd\xFF "#) })
        #expect(try bench.quipu("inspect", "names.gguf", "--bytes", #"odd\xFF"#).status == 0)
    }
}

extension String {
    /// The text without its line ends: sentences are wrapped anywhere.
    var words: String { split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
