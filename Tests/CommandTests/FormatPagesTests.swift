import Foundation
import GGUF
import Tensors
import TestSupport
import Testing

/// `quant` and `explain` for every format, and for the schemes of textbooks.
@Suite struct FormatPagesTests {
    static let types: [TensorType] = [
        .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq1_s, .iq1_m, .iq2_xxs,
        .iq2_xs, .iq2_s, .iq3_xxs, .iq3_s, .iq4_nl, .iq4_xs, .tq1_0, .tq2_0, .mxfp4, .nvfp4, .q1_0, .q2_0,
    ]
    static let schemes = [
        "int8-absmax-tensor", "int8-absmax-row", "int8-affine-tensor", "int8-affine-row", "qmn-16", "qmn-8",
        "int4-affine-32", "int4-affine-128", "int8-affine",
    ]

    /// A file with a matrix of random bytes for each format, which no encoder would have made.
    private static func bench() throws -> Workbench {
        let bench = try Workbench()
        var generator = SeededGenerator(seed: 11)
        let entries = types.map { type in
            let tensor = Tensor.zeros(type, Shape(512, 3))
            tensor.buffer.withMutableBytes(in: 0..<3 * type.rowBytes(512)!) { bytes in
                for i in 0..<bytes.byteCount {
                    bytes.storeBytes(of: UInt8(generator.next() & 255), toByteOffset: i, as: UInt8.self)
                }
            }
            return GGUFWriter.TensorEntry(name: "w.\(type.name)", type: type, shape: tensor.shape) { tensor }
        }
        let path = bench.folder.path("all.gguf")
        try GGUFWriter(metadata: Metadata([]), tensors: entries).write(to: path, overwrite: false)
        return bench
    }

    private func expectPage(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) {
        #expect(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
        #expect(outcome.lines.count > 5, sourceLocation: location)
        for line in outcome.lines { #expect(line.count <= 80, "\(line)", sourceLocation: location) }
    }

    /// The same value from the block, from the weight and at the end of its steps.
    @Test func blocksAndWeightsOfEveryFormat() throws {
        let bench = try Self.bench()
        for type in Self.types {
            let name = "w.\(type.name)"
            let number = 300 / type.blockElements
            let block = ["quant", "blocks", "all.gguf", name, "--row", "1", "--block", "\(number)"]
            let weight = ["explain", "weight", "all.gguf", name, "1", "300"]
            expectPage(try bench.quipu(block + (type.blockElements == 1 ? ["--reference", "all.gguf"] : [])))
            expectPage(try bench.quipu(weight))
            let (whole, single) = (
                try bench.quipu(block + ["--json"]).object(), try bench.quipu(weight + ["--json"]).object()
            )
            let values = try #require(whole["values"] as? [Any])
            #expect(values.count == type.blockElements)
            let value = try #require(single["value"])
            #expect("\(value)" == "\(values[300 % type.blockElements])", "\(type)")
            #expect(whole["file_offset"] as? Int == single["block_offset"] as? Int)
            let hex = try #require(whole["bytes_hex"] as? String)
            #expect(hex.count == 2 * type.blockBytes)
            let isGrid = type.name.hasPrefix("IQ") && !type.name.hasPrefix("IQ4")
            #expect((whole["points"] as? [Any])?.count == (isGrid ? 32 : 0))
        }
        expectPage(try bench.quipu("quant", "blocks", "all.gguf", "--audit"))
        let audit = try bench.quipu("quant", "blocks", "all.gguf", "--audit", "--json").object()
        #expect((audit["types"] as? [Any])?.count == Self.types.count - 2)
    }

    @Test(arguments: types.map(\.name) + ["F32", "Q8_1", "Q8_K"] + schemes)
    func everyFormatHasAPage(name: String) throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let (without, with) = (["explain", "format", name], ["explain", "format", "model.gguf", name])
        expectPage(try bench.quipu(without))
        expectPage(try bench.quipu(with))
        #expect(try bench.quipu(without + ["--json"]).object()["source"] is NSNull)
        let source = try bench.quipu(with + ["--json"]).object()["source"] as? String
        #expect(source == "blk.0.attn_q.weight (Q4_1) of model.gguf")
    }

    @Test func aPageIsOfTheModelThatTheEnvironmentNames() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let named = try bench.quipu(["explain", "format", "Q4_0"], environment: ["QUIPU_MODEL": "model.gguf"])
        #expect(named.output == (try bench.quipu("explain", "format", "model.gguf", "Q4_0").output))
        #expect(named.output.contains("blk.0.attn_q.weight"))
    }

    @Test func schemesStandBesideFormats() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let compare = ["quant", "compare", "model.gguf", "blk.0.attn_q.weight"]
        let page = try bench.quipu(compare)
        expectPage(page)
        #expect(page.output.contains("int8-affine-row†") && page.output.contains("no file holds it"))
        #expect(page.output.contains("Not tried: IQ2_XXS, IQ2_XS, IQ1_S: needs an importance matrix"))
        let object = try bench.quipu(compare + ["--json"]).object()
        let formats = try #require(object["formats"] as? [[String: Any]])
        let textbook = formats.filter { $0["textbook"] as? Bool == true }
        #expect(Set(textbook.compactMap { $0["type"] as? String }) == Set(Self.schemes.dropLast()))
        // 8 bits, and 32 and 8 for each row of 256.
        let row = textbook.first { $0["type"] as? String == "int8-affine-row" }
        #expect(row?["bpw"] as? Double == 8.15625)
        let left = try #require(object["not_tried"] as? [[String: String]])
        #expect(left.compactMap { $0["type"] } == ["IQ2_XXS", "IQ2_XS", "IQ1_S"])

        let errors = try bench.quipu("quant", "errors", "model.gguf", "--as", "q4_0,int8-affine-row", "--json").object()
        let types = try #require(errors["types"] as? [[String: Any]])
        #expect(types.compactMap { $0["type"] as? String }.sorted() == ["Q4_0", "int8-affine-row"])
        expectPage(try bench.quipu("quant", "errors", "model.gguf", "--as", "q4_0,qmn-8"))
    }

    /// The routed experts, each with its own error.
    @Test func errorsOfExperts() throws {
        let bench = try Workbench(Places.fixture("tiny-mixtral.gguf"))
        let errors = try bench.quipu("quant", "errors", "model.gguf", "--as", "q4_0,q8_0", "--json").object()
        let experts = try #require(errors["experts"] as? [[String: Any]])
        let stored = try GGUFFile(path: Places.fixture("tiny-mixtral.gguf")).tensors
        let count = stored.filter { $0.name.hasSuffix("ffn_up_exps.weight") }.reduce(0) { $0 + 2 * $1.shape.ne2 }
        #expect(count > 0 && experts.count == count && Set(experts.compactMap { $0["expert"] as? Int }).count > 1)
        let relative = experts.compactMap { $0["rel_rmse"] as? Double }
        #expect(relative.count == count && relative == relative.sorted(by: >))
        let page = try bench.quipu("quant", "errors", "model.gguf", "--as", "q4_0", "--limit", "3")
        #expect(page.output.contains("The worst experts") && page.output.contains("--limit shows them"))
        let dense = try Workbench(TinyModel.stories.path)
        #expect(!(try dense.quipu("quant", "errors", "model.gguf", "--as", "q4_0").output.contains("experts")))
    }

    @Test func importancesLetAllFormatsBeTried() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let (tensor, file) = ("blk.0.attn_q.weight", try TinyModel.kQuants.file())
        let width = try #require(file.tensor(named: tensor)).shape.ne0
        try Self.writeImportance(to: bench.folder.path("imatrix.gguf"), tensor, width)
        let compare = ["quant", "compare", "model.gguf", tensor, "--imatrix", "imatrix.gguf"]
        expectPage(try bench.quipu(compare))
        let object = try bench.quipu(compare + ["--json"]).object()
        #expect(object["imatrix"] as? String == "imatrix.gguf")
        let names = (object["formats"] as? [[String: Any]])?.compactMap { $0["type"] as? String } ?? []
        #expect(Set(names).isSuperset(of: ["IQ1_S", "IQ2_XXS", "IQ2_XS"]))
        #expect((object["not_tried"] as? [Any])?.isEmpty == true)
        let errors = ["quant", "errors", "model.gguf", "--as", "iq2_xs,q4_0", "--imatrix", "imatrix.gguf"]
        expectPage(try bench.quipu(errors))
        let lines = try bench.quipu(errors + ["--json"]).object()["tensors"] as? [[String: Any]] ?? []
        #expect(lines.filter { $0["type"] as? String == "IQ2_XS" }.compactMap { $0["name"] as? String } == [tensor])

        let other = try bench.quipu(
            "quant", "compare", "model.gguf", "blk.0.attn_k.weight", "--imatrix", "imatrix.gguf")
        #expect(other.output.contains("the importance matrix has nothing about this"))
    }

    @Test func whatCannotBeTriedIsSaid() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let tensor = "blk.0.attn_q.weight"
        for command in [["errors", "model.gguf"], ["compare", "model.gguf", tensor]] {
            let command = ["quant"] + command
            expectComplaint(try bench.quipu(command + ["--as", "iq2_xxs"]), "IQ2_XXS", "--imatrix")
            expectComplaint(try bench.quipu(command + ["--as", "int9"]), "'int9'", "int8-affine-row")
            expectComplaint(try bench.quipu(command + ["--imatrix", "model.gguf"]), "model.gguf", "importance matrix")
        }
        try Self.writeImportance(to: bench.folder.path("other.gguf"), tensor, 3)
        expectComplaint(
            try bench.quipu("quant", "compare", "model.gguf", tensor, "--imatrix", "other.gguf"), tensor, "other.gguf")
        expectComplaint(
            try bench.quipu(
                "quant", "errors", "model.gguf", "--reference", "model.gguf", "--imatrix", "other.gguf"), "Usage: ",
            status: 64)
        expectComplaint(try bench.quipu("explain", "format", "nothing.gguf", "Q4_0"), "nothing.gguf")
        expectComplaint(try bench.quipu("explain", "format", "a", "b", "c"), "Usage: ", status: 64)
    }

    private static func writeImportance(to path: String, _ name: String, _ width: Int) throws {
        let metadata = Metadata([
            .init(key: "imatrix.datasets", value: .array(GGUFArray(.string, [.string("text")]))),
            .init(key: "imatrix.chunk_count", value: .uint32(1)), .init(key: "imatrix.chunk_size", value: .uint32(512)),
        ])
        let sums = (0..<width).map { Float($0 % 7 + 1) }
        let entries = [
            GGUFWriter.TensorEntry(name: name + ".in_sum2", .floats(sums, Shape(width))),
            GGUFWriter.TensorEntry(name: name + ".counts", .floats([1], Shape(1, 1))),
        ]
        try GGUFWriter(metadata: metadata, tensors: entries).write(to: path, overwrite: false)
    }
}
