import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

/// Mixes against what llama.cpp chooses: cases from its tests/snapshots and its source.
@Suite struct QuantizationMixTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func types(
        _ type: String, _ model: PaperModel, _ options: QuantizeOptions = QuantizeOptions(), importance: Bool = false
    ) throws -> [String: QuantizationPlan.Entry] {
        let mix = try #require(QuantizationMix.named(type))
        let file = try model.write(to: folder.path("model.gguf"))
        let plan = try QuantizationPlan(file, as: mix, options, hasImportance: importance)
        return Dictionary(uniqueKeysWithValues: plan.entries.map { ($0.tensor.name, $0) })
    }

    /// The layers in which a part of the layer gets a type.
    private func layers(_ part: String, _ type: TensorType, in entries: [String: QuantizationPlan.Entry]) -> [Int] {
        (0..<100).filter { entries["blk.\($0).\(part).weight"]?.type == type }
    }

    @Test func seventyBillion() throws {
        let model = PaperModel(layers: 80, heads: 64, keyValueHeads: 8)
        let more = Array(0..<10) + stride(from: 12, to: 70, by: 3) + Array(70..<80)
        let medium = try types("Q4_K_M", model)
        #expect(layers("attn_v", .q6_K, in: medium) == more)
        #expect(layers("attn_v", .q5_K, in: medium).count == 80 - more.count)
        #expect(layers("ffn_down", .q6_K, in: medium) == more)
        #expect(layers("ffn_down", .q4_K, in: medium).count == 80 - more.count)
        #expect(medium["output.weight"]?.type == .q6_K)
        #expect(medium["token_embd.weight"]?.type == .q4_K)
        let small = try types("Q2_K", model)
        #expect(layers("attn_v", .q5_K, in: small) == Array(0..<80))
        #expect(layers("attn_output", .q3_K, in: small) == Array(0..<80))
        #expect(layers("attn_q", .q2_K, in: small) == Array(0..<80))
        let three = try types("Q3_K_M", model)
        #expect(layers("ffn_down", .q5_K, in: three) == Array(0..<5))
        #expect(layers("attn_v", .q5_K, in: three) == Array(0..<80))
    }

    /// llama.cpp's measured layers of SmolLM2's thirty.
    @Test func moreBitsOfThirty() throws {
        let entries = try types("Q5_K_M", PaperModel(layers: 30, heads: 9, keyValueHeads: 3))
        let more = [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]
        #expect(layers("ffn_down", .q6_K, in: entries) == more)
        #expect(layers("attn_v", .q6_K, in: entries) == more)
        #expect(layers("attn_k", .q5_K, in: entries) == Array(0..<30))
    }

    @Test(arguments: [
        ("Q2_K", 2, "attn_v", TensorType.q4_K, 32), ("Q2_K", 4, "attn_v", .q3_K, 32),
        ("Q2_K_S", 2, "attn_v", .q4_K, 32),
        ("Q2_K_S", 4, "attn_v", .q2_K, 32), ("Q2_K_S", 4, "ffn_down", .q4_K, 4), ("Q2_K", 4, "ffn_down", .q3_K, 32),
        ("Q3_K_S", 4, "attn_v", .q3_K, 32), ("Q3_K_M", 4, "attn_v", .q5_K, 2), ("Q3_K_M", 4, "ffn_down", .q5_K, 2),
        ("Q3_K_M", 4, "attn_output", .q4_K, 32), ("Q3_K_L", 4, "attn_output", .q5_K, 32),
        ("Q4_K_S", 4, "attn_v", .q5_K, 4),
        ("Q4_K_S", 4, "ffn_down", .q5_K, 4), ("Q4_0", 4, "ffn_down", .q4_1, 0), ("Q5_K_S", 4, "attn_v", .q5_K, 32),
        ("Q6_K", 4, "ffn_down", .q6_K, 32), ("Q8_0", 4, "attn_v", .q8_0, 32),
    ])
    func thirtyTwoLayers(type: String, kvHeads: Int, part: String, expected: TensorType, count: Int) throws {
        let entries = try types(type, PaperModel(layers: 32, heads: 8, keyValueHeads: kvHeads))
        #expect(layers(part, expected, in: entries) == Array(0..<count))
    }

    @Test func importancesChangeTheMix() throws {
        let model = PaperModel(layers: 16)
        #expect(layers("ffn_down", .q4_1, in: try types("Q4_0", model, importance: true)) == [0, 1])
        #expect(layers("ffn_down", .q5_1, in: try types("Q5_0", model, importance: true)) == [0, 1])
    }

    @Test func eightExperts() throws {
        let model = PaperModel(layers: 8, keyValueHeads: 2, experts: 8)
        let entries = try types("Q4_K_M", model)
        #expect(layers("attn_v", .q8_0, in: entries) == Array(0..<8))
        #expect(layers("attn_k", .q8_0, in: entries) == Array(0..<8))
        #expect(layers("attn_output", .q5_K, in: entries) == Array(0..<8))
        #expect(layers("ffn_down_exps", .q6_K, in: entries) == [0, 3, 6, 7])
        #expect(layers("ffn_gate_inp", .f32, in: entries) == Array(0..<8))
    }

    /// SmolLM2's rows are two and a quarter blocks of 256.
    @Test func rowsThatDoNotFit() throws {
        let entries = try types("Q4_K_M", PaperModel(layers: 8, width: 576, isTied: true))
        #expect(entries["token_embd.weight"]?.type == .q8_0)
        #expect(entries["token_embd.weight"]?.isFallback == false)
        #expect(layers("attn_q", .q5_0, in: entries) == Array(0..<8))
        #expect(layers("attn_v", .q8_0, in: entries) == [0, 3, 6, 7])
        #expect(entries["blk.0.attn_v.weight"]?.wanted == .q6_K)
        #expect(entries["blk.0.attn_norm.weight"]?.isCopied == true)
        let narrow = try types("Q5_K_S", PaperModel(layers: 1, width: 40))
        #expect(narrow["blk.0.attn_q.weight"]?.type == .f16)
        #expect(narrow["output.weight"]?.type == .f16)
    }

    @Test func pureIsOneTypeWhereItFits() throws {
        var options = QuantizeOptions()
        options.isPure = true
        let entries = try types("Q4_K_M", PaperModel(), options)
        #expect(Set(entries.values.filter { !$0.isCopied }.map(\.type)) == [.q4_K])
        options.outputType = .q8_0
        #expect(try types("Q4_K_M", PaperModel(), options)["output.weight"]?.type == .q8_0)
    }

    @Test func namedTypes() throws {
        var options = QuantizeOptions()
        options.overrides = [
            try TypeOverride(parsing: "BLK\\.0\\.attn_v=q8_0"), try TypeOverride(parsing: "attn_v|ffn_up=Q5_0"),
        ]
        #expect(options.overrides[0].pattern == "blk\\.0\\.attn_v")
        let entries = try types("Q4_K_M", PaperModel(), options)
        #expect(layers("attn_v", .q8_0, in: entries) == [0])
        #expect(layers("attn_v", .q5_0, in: entries) == Array(1..<8))
        #expect(layers("ffn_up", .q5_0, in: entries) == Array(0..<8))
        // Nothing else, if the base type is no quantised one.
        #expect(try types("BF16", PaperModel(), options)["blk.0.attn_v.weight"]?.type == .bf16)
    }

    /// Tensors named by the user do not count: the first four of the others get more bits.
    @Test func namedTypesShiftTheOthers() throws {
        var options = QuantizeOptions()
        options.overrides = [try TypeOverride(parsing: "blk.1.attn_v=Q8_0")]
        #expect(layers("attn_v", .q5_K, in: try types("Q4_K_S", PaperModel(), options)) == [0, 2, 3, 4])
    }

    @Test func order() throws {
        let file = try PaperModel(layers: 11).write(to: folder.path("model.gguf"))
        let names = QuantizationPlan(copying: file).entries.map(\.tensor.name)
        #expect(names.prefix(4) == ["output.weight", "output_norm.weight", "token_embd.weight", "blk.0.attn_k.weight"])
        #expect(names.last == "blk.10.ffn_up.weight")
        #expect(names.count == file.tensors.count)
    }

    @Test func names() {
        #expect(QuantizationMix.named("q4_k")?.fileType == .q4_K_M)
        #expect(QuantizationMix.named("15")?.fileType == .q4_K_M)
        #expect(QuantizationMix.named("Q9_0") == nil)
        #expect(Set(QuantizationMix.available.map(\.fileType)).count == QuantizationMix.available.count)
    }

    @Test(arguments: QuantizationMix.available) func everyTypeOfAMixCanBeWritten(mix: QuantizationMix) {
        for type in mix.types {
            #expect(BlockFormats.encodableFormat(for: type) != nil, "\(type) of \(mix.fileType)")
        }
    }

    @Test(arguments: ["attn_v", "=Q4_0", "attn_v=", "attn_v=Q9", "attn_v=Q8_K", "(=Q4_0"])
    func noTypeOverride(text: String) {
        #expect(throws: QuantizeProblem.self) { try TypeOverride(parsing: text) }
    }

    @Test func refusals() throws {
        #expect(throws: QuantizeProblem.architecture(file: folder.path("model.gguf"), found: "falcon")) {
            try types("Q4_0", PaperModel(architecture: "falcon"))
        }
        var options = QuantizeOptions()
        options.embeddingType = .q4_K
        #expect(throws: QuantizeProblem.rowLength(tensor: "token_embd.weight", length: 96, type: .q4_K)) {
            try types("Q4_0", PaperModel(width: 96), options)
        }
    }
}
