import Foundation
import GGUF
import Recording
import Tensors
import TestSupport
import Testing

/// `quantize` against the files that llama.cpp writes.
@Suite struct QuantizeTests {
    static let models: [TinyModel] = [.stories, .biases, .kQuants]

    /// Every file type that llama.cpp writes without an importance matrix, to the last byte.
    @Test(arguments: models)
    func filesAreThoseOfLlama(model: TinyModel) throws {
        let golden = try #require(try QuantGolden.load().files[model.rawValue])
        #expect(golden.count > 20)
        let bench = try Workbench(model.path)
        for (type, digest) in golden {
            let outcome = try bench.quipu(
                "quantize", "model.gguf", "out.gguf", type.lowercased(), "--force", "--allow-requantize")
            #expect(outcome.status == 0 && outcome.errors == "", "\(type): \(outcome.errors)")
            #expect(try bench.digest("out.gguf") == digest, "\(type)")
        }
        #expect(try bench.files == ["model.gguf", "out.gguf"])
    }

    @Test func theDocumentSaysWhatWasWritten() throws {
        let bench = try Workbench()
        let object = try bench.quipu("quantize", "model.gguf", "out.gguf", "Q4_K_M", "--json").object()
        #expect(object["file"] as? String == "model.gguf" && object["output"] as? String == "out.gguf")
        #expect(object["file_type"] as? String == "Q4_K_M" && object["wall_ns"] as? Int ?? 0 > 0)
        let file = try GGUFFile(path: bench.folder.path("out.gguf"))
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        #expect(tensors.map { $0["name"] as? String } == file.tensors.map(\.name))
        #expect(tensors.map { $0["to"] as? String } == file.tensors.map(\.type.name))
        #expect(tensors.map { $0["bytes_after"] as? Int } == file.tensors.map(\.byteCount))
        #expect(object["bytes_after"] as? Int == file.tensors.reduce(0) { $0 + $1.byteCount })
        #expect(object["bytes_before"] as? Int == 4 * 292_800)
        // Rows of 64 fit no block of 256: Q4_K falls back to Q5_0, Q6_K to Q8_0.
        let query = try #require(tensors.first { $0["name"] as? String == "blk.0.attn_q.weight" })
        #expect(query["wanted"] as? String == "Q4_K" && query["to"] as? String == "Q5_0")
        #expect(object["n_fallback"] as? Int == tensors.count { $0["wanted"] is String })
    }

    /// The errors of the plan are those of llama.cpp's file; and nothing is written.
    @Test(arguments: [["model.gguf", "Q4_K_M"], ["model.gguf", "out.gguf", "Q4_K_M"]])
    func aPlanForetellsErrors(arguments: [String]) throws {
        let golden = try QuantGolden.load().reference.tensors
        let bench = try Workbench()
        let object = try bench.quipu(["quantize"] + arguments + ["--dry-run", "--json"]).object()
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        for line in tensors where line["from"] as? String != line["to"] as? String {
            let name = line["name"] as! String
            expectFigures(line, try #require(golden[name]), name)
        }
        #expect(tensors.count { $0["rmse"] != nil } == golden.count)
        #expect(try bench.files == ["model.gguf"])
    }

    @Test func optionsChooseTypes() throws {
        let bench = try Workbench(TinyModel.biases.path)
        // Rows of 48 and 80: F16 is what is left of blocks of 32.
        try bench.folder.write("ffn_gate=BF16\n\nattn_k=F32  attn_.=BF16\n", to: "types.txt")
        func types(_ options: String...) throws -> [String: TensorType] {
            let outcome = try bench.quipu(["quantize", "model.gguf", "out.gguf", "Q8_0", "--force"] + options)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let file = try GGUFFile(path: bench.folder.path("out.gguf"))
            return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.type) })
        }
        var found = try types("--tensor-type-file", "types.txt", "--tensor-type", "attn_q=F32")
        #expect(found["blk.0.ffn_gate.weight"] == .bf16 && found["blk.0.attn_k.weight"] == .f32)
        #expect(found["blk.0.attn_v.weight"] == .bf16 && found["blk.0.attn_q.weight"] == .f32)
        #expect(found["blk.0.ffn_up.weight"] == .f16)
        found = try types("--tensor-type", "output|token_embd=BF16", "--leave-output-tensor")
        #expect(found["output.weight"] == .f16 && found["token_embd.weight"] == .bf16)
        found = try types("--output-tensor-type", "bf16", "--token-embedding-type", "F32")
        #expect(found["output.weight"] == .bf16 && found["token_embd.weight"] == .f32)
    }

    @Test func metadataIsOverridden() throws {
        let bench = try Workbench()
        let options = [
            "general.name=str:a=b:c", "new.flag=bool:true", "llama.rope.freq_base=float:1e4",
            "new.count=int:4294967295",
            "general.file_type=int:3",
        ]
        let outcome = try bench.quipu(
            ["quantize", "model.gguf", "out.gguf", "Q8_0"] + options.flatMap { ["--override-kv", $0] })
        #expect(outcome.status == 0, "\(outcome.errors)")
        let metadata = try GGUFFile(path: bench.folder.path("out.gguf")).metadata
        #expect(metadata["general.name"] == .string("a=b:c") && metadata["new.flag"] == .bool(true))
        #expect(metadata["llama.rope.freq_base"] == .float32(10000) && metadata["new.count"] == .uint32(.max))
        #expect(metadata["general.file_type"] == .uint32(3))
        // As llama.cpp orders them: what is set goes to the end.
        let set = ["general.quantization_version"] + options.map { String($0.prefix { $0 != "=" }) }
        #expect(metadata.entries.map(\.key).suffix(set.count) == set)
    }

    /// Importances change what is written, of the tensors that they are used for.
    @Test func importancesAreUsedWhereAsked() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let names = ["blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.ffn_up.weight"]
        try bench.writeImportance(Dictionary(uniqueKeysWithValues: names.map { ($0, 256) }))
        /// The tensors that are written otherwise than without importances.
        func changed(_ options: String...) throws -> [String] {
            for (output, extra) in [("plain.gguf", []), ("other.gguf", options)] {
                let outcome = try bench.quipu(
                    ["quantize", "model.gguf", output, "Q5_K_S", "--force", "--allow-requantize"] + extra)
                #expect(outcome.status == 0, "\(outcome.errors)")
            }
            let (plain, other) = (try bench.tensors("plain.gguf"), try bench.tensors("other.gguf"))
            return plain.keys.filter { plain[$0] != other[$0] }.sorted()
        }
        #expect(try changed("--imatrix", "imatrix.gguf") == names.sorted())
        #expect(
            try changed("--imatrix", "imatrix.gguf", "--include-weights", "attn_q", "--include-weights", "ffn")
                == [names[0], names[2]])
        #expect(try changed("--imatrix", "imatrix.gguf", "--exclude-weights", "attn_q") == [names[1], names[2]])
        #expect(try changed("--imatrix", "imatrix.gguf", "--exclude-weights", "blk") == [])
        // Without entries the file tells of no matrix.
        let metadata = try GGUFFile(path: bench.folder.path("other.gguf")).metadata
        #expect(metadata["quantize.imatrix.file"] == nil)
    }

    @Test func aSplitModelBecomesOneFile() throws {
        let bench = try Workbench()
        let file = try GGUFFile(path: bench.folder.path("model.gguf"))
        let writer = GGUFWriter(metadata: file.metadata, tensors: file.tensors.map { .init($0, of: file) })
        try writer.write(splitAt: .tensors(20), toPrefix: bench.folder.path("split"))
        let (first, second) = ("split-00001-of-00003.gguf", "split-00002-of-00003.gguf")
        #expect(try bench.quipu("quantize", first, "out.gguf", "Q4_0").status == 0)
        let golden = try QuantGolden.load().files["stories260K"]!
        #expect(try bench.digest("out.gguf") == golden["Q4_0"])
        // No part may be lost.
        let before = try bench.digest(second)
        expectComplaint(
            try bench.quipu("quantize", first, second, "Q4_0", "--force"), "\(second): this is a file to be read")
        #expect(try bench.digest(second) == before)
        try FileManager.default.removeItem(atPath: bench.folder.path(second))
        expectComplaint(try bench.quipu("quantize", first, "out2.gguf", "Q4_0"), second)
        #expect(!bench.exists("out2.gguf"))
    }

    @Test func aFileIsReplacedWhenAskedTo() throws {
        let bench = try Workbench()
        try bench.folder.write("mine", to: "out.gguf")
        for arguments in [["Q4_0"], ["COPY"]] {
            expectComplaint(
                try bench.quipu(["quantize", "model.gguf", "out.gguf"] + arguments), "out.gguf is there", "--force")
        }
        #expect(try bench.bytes("out.gguf") == Data("mine".utf8))
        #expect(try bench.quipu("quantize", "model.gguf", "out.gguf", "Q4_0", "--force").status == 0)
        #expect(try bench.digest("out.gguf") == QuantGolden.load().files["stories260K"]!["Q4_0"])
    }
}

extension Workbench {
    /// SHA-256 of a file.
    func digest(_ name: String) throws -> String {
        let hash = SHA256()
        hash.update(try bytes(name).bytes)
        return hash.hexDigest()
    }

    /// The bytes of every tensor of a file.
    func tensors(_ name: String) throws -> [String: Data] {
        let (data, file) = (try bytes(name), try GGUFFile(path: folder.path(name)))
        return Dictionary(
            uniqueKeysWithValues: file.tensors.map { ($0.name, data[$0.fileOffset..<$0.fileOffset + $0.byteCount]) })
    }

    /// Writes `imatrix.gguf` as llama-imatrix does: for each tensor so many columns, each twice as important as the last.
    func writeImportance(_ columns: [String: Int], value: (Int) -> Float = { Float(1 << ($0 % 20)) }) throws {
        let metadata = Metadata([
            .init(key: "imatrix.datasets", value: .array(GGUFArray(.string, [.string("text")]))),
            .init(key: "imatrix.chunk_count", value: .uint32(1)), .init(key: "imatrix.chunk_size", value: .uint32(512)),
        ])
        let tensors = columns.sorted { $0.key < $1.key }.flatMap { name, count in
            [
                GGUFWriter.TensorEntry(name: name + ".in_sum2", .floats((0..<count).map(value), Shape(count))),
                .init(name: name + ".counts", .floats([1], Shape(1))),
            ]
        }
        try GGUFWriter(metadata: metadata, tensors: tensors).write(to: folder.path("imatrix.gguf"), overwrite: true)
    }
}
