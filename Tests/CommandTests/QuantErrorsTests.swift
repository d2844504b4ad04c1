import Foundation
import GGUF
import TestSupport
import Testing

/// `quant errors` and `quant compare` against figures computed from what real ggml encodes and decodes.
@Suite struct QuantErrorsTests {
    private static let tensor = "blk.0.attn_q.weight"

    private static func lines(_ object: [String: Any], _ key: String) throws -> [[String: Any]] {
        try #require(object[key] as? [[String: Any]])
    }

    /// Expects each tensor, layer and role to have the golden figures, and the worst to come first.
    private func expectSummary(_ object: [String: Any], _ golden: QuantGolden.Summary, type: String? = nil) throws {
        for (key, name, figures) in [
            ("tensors", "name", golden.tensors), ("layers", "layer", golden.layers), ("roles", "role", golden.roles),
        ] {
            let lines = try Self.lines(object, key).filter { type == nil || $0["type"] as? String == type }
            #expect(Set(lines.map { "\($0[name]!)" }) == Set(figures.keys) && lines.count == figures.count)
            for line in lines {
                let label = "\(line[name]!)"
                expectFigures(line, try #require(figures[label]), "\(type ?? "") \(label)")
            }
            let errors = lines.map { $0["rel_rmse"] as! Double }
            #expect(errors == errors.sorted(by: >), "\(key)")
        }
    }

    /// Layers and roles are as if the weights of all their tensors were one: the golden figures are computed so.
    @Test func errorsAreThoseOfGgml() throws {
        let golden = try QuantGolden.load()
        let formats = golden.errors.keys.sorted()
        let bench = try Workbench()
        // A format that is named twice counts once.
        let list = (formats + formats).joined(separator: ",").lowercased()
        let object = try bench.quipu("quant", "errors", "model.gguf", "--as", list, "--json").object()
        for format in formats { try expectSummary(object, golden.errors[format]!, type: format) }
        for line in try Self.lines(object, "tensors") {
            #expect(line["bpw"] as? Double == (line["type"] as? String == "Q4_0" ? 4.5 : 6))
        }
    }

    /// With a reference a layer holds several formats, and its figures are of all of them.
    @Test func aFileIsComparedWithItsOriginal() throws {
        let golden = try QuantGolden.load().reference
        let bench = try Workbench()
        #expect(try bench.quipu("quantize", "model.gguf", "small.gguf", "Q4_K_M").status == 0)
        let object = try bench.quipu("quant", "errors", "small.gguf", "--reference", "model.gguf", "--json").object()
        #expect(object["reference"] as? String == "model.gguf")
        try expectSummary(object, golden)
        let layer = try #require(Self.lines(object, "layers").first)
        #expect(layer["type"] as? String == "mixed")
        // What is compared with itself has lost nothing.
        let same = try bench.quipu("quant", "errors", "model.gguf", "--reference", "model.gguf", "--json").object()
        for line in try Self.lines(same, "tensors") {
            #expect(
                line["rmse"] as? Double == 0 && line["sqnr_db"] as? String == "inf" && line["cosine"] as? Double == 1)
        }
    }

    /// A format is ranked by what it would make of all matrices: where its blocks do not divide rows, by what llama.cpp
    /// writes in its place.
    @Test func formatsAreRankedOnAllMatrices() throws {
        let bench = try Workbench()
        let command = ["quant", "errors", "model.gguf", "--as"]
        let object = try bench.quipu(command + ["Q4_K,Q5_0,Q4_0,Q6_K,int8-affine-row", "--json"]).object()
        let ranking = try Self.lines(object, "ranking")
        let total = try #require(ranking.first?["n"] as? Int)
        #expect(ranking.allSatisfy { $0["n"] as? Int == total } && ranking.count == 5)
        let errors = ranking.map { $0["rel_rmse"] as! Double }
        #expect(errors == errors.sorted())
        func row(_ type: String) -> [String: Any] { ranking.first { $0["type"] as? String == type }! }
        // Rows of 64 and 172: a block of 256 divides none of them.
        #expect(row("Q4_K")["n_fallback"] as? Int == total && row("Q5_0")["n_fallback"] as? Int != total)
        #expect(row("Q4_K")["rel_rmse"] as? Double == row("Q5_0")["rel_rmse"] as? Double)
        #expect(row("Q4_K")["bpw"] as? Double == row("Q5_0")["bpw"] as? Double)
        // What stands in is measured though nobody asked for it.
        let alone = try Self.lines(try bench.quipu(command + ["Q6_K,Q4_0", "--json"]).object(), "ranking")
        #expect((alone.first { $0["type"] as? String == "Q6_K" }?["fallbacks"] as? [String])?.contains("Q8_0") == true)
        let page = try bench.quipu(command + ["Q6_K,Q4_0"])
        #expect(page.output.contains("on all matrices") && page.output.contains("Q6_K to"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        // Against another file there is nothing to rank.
        #expect(try bench.quipu("quantize", "model.gguf", "small.gguf", "Q8_0").status == 0)
        let against = try bench.quipu("quant", "errors", "small.gguf", "--reference", "model.gguf", "--json").object()
        #expect((against["ranking"] as? [Any])?.isEmpty == true)
    }

    @Test func threadsMakeNoDifference() throws {
        let bench = try Workbench()
        let command = ["quant", "errors", "model.gguf", "--as", "Q4_K,Q4_1,Q6_K,F16", "--json", "--threads"]
        #expect(try bench.quipu(command + ["1"]).output == bench.quipu(command + ["3"]).output)
    }

    @Test func formatsAreCompared() throws {
        let golden = try QuantGolden.load().compare
        let bench = try Workbench(TinyModel.kQuants.path)
        let object = try bench.quipu("quant", "compare", "model.gguf", Self.tensor, "--json").object()
        #expect(object["tensor"] as? String == Self.tensor && object["stored_type"] as? String == "Q4_K")
        #expect(object["shape"] as? [Int] == [256, 256])
        // ggml knows nothing of the schemes of textbooks, which are compared too.
        let (formats, schemes) = try Self.lines(object, "formats").reduce(into: ([[String: Any]](), 0)) {
            if $1["textbook"] as? Bool == true { $0.1 += 1 } else { $0.0.append($1) }
        }
        #expect(schemes == 8)
        #expect(Set(formats.map { $0["type"] as! String }) == Set(golden.keys))
        for line in formats {
            let type = line["type"] as! String
            expectFigures(line, try #require(golden[type]), type)
        }
        let bits = formats.map { $0["bpw"] as! Double }
        #expect(bits == bits.sorted())
        let some = try bench.quipu("quant", "compare", "model.gguf", Self.tensor, "--as", "q8_0,Q2_K", "--json")
            .object()
        #expect(try Self.lines(some, "formats").map { $0["type"] as! String } == ["Q2_K", "Q8_0"])
    }

    @Test func errorsAreRecorded() throws {
        let golden = try QuantGolden.load().errors["Q4_0"]!
        let bench = try Workbench()
        for _ in 0..<2 {
            let outcome = try bench.quipu("quant", "errors", "model.gguf", "--as", "Q4_0", "-o", "t.db")
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        let row = try bench.row(
            "SELECT count(*) AS n, sum(n) AS weights, min(reference) AS reference FROM quant_error", of: "t.db")
        #expect(row["n"] as? Int == golden.tensors.count && row["reference"] as? String == "self")
        #expect(row["weights"] as? Int == golden.tensors.values.reduce(0) { $0 + $1.n })
        let layer = try bench.row("SELECT * FROM v_quant_error_by_layer WHERE layer = 3", of: "t.db")
        #expect(abs(try #require(layer["rel_rmse"] as? Double) - golden.layers["3"]!.relRmse) < 1e-12)
        #expect(layer["max_abs"] as? Double == golden.layers["3"]!.maxAbs)
    }

    @Test(arguments: [
        ["quant", "errors", "model.gguf"], ["quant", "errors", "model.gguf", "--as", "Q4_0", "--limit", "0"],
        ["quant", "compare", "model.gguf", "blk.0.attn_q.weight"],
        ["quant", "compare", "model.gguf", "output_norm.weight"],
        ["quantize", "model.gguf", "out.gguf", "Q4_K_M"], ["quantize", "model.gguf", "Q2_K", "--dry-run"],
    ])
    func pagesStayWithinThePage(arguments: [String]) throws {
        let outcome = try Workbench().quipu(arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.lines.count > 5)
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func whatCannotBeComparedIsSaid() throws {
        let bench = try Workbench()
        let errors = ["quant", "errors", "model.gguf"]
        expectComplaint(try bench.quipu(errors + ["--as", "Q4_2"]), "'Q4_2' is no format", "Q4_1")
        expectComplaint(try bench.quipu(errors + ["--as", ""]), "'' is no format", "Q4_1")
        expectComplaint(try bench.quipu(errors + ["--as", "Q4_0,"]), "'' is no format", "Q4_1")
        expectComplaint(try bench.quipu(errors + ["--as", "IQ2_XXS"]), "IQ2_XXS", "--imatrix")
        expectComplaint(try bench.quipu(errors + ["--as", "Q4_K"]), "model.gguf: no tensor to compare")
        expectComplaint(try bench.quipu(errors + ["--reference", "none.gguf"]), "none.gguf: found no such file")
        expectComplaint(try bench.quipu(errors + ["--reference", TinyModel.gqa.path]), "same model")
        expectComplaint(try bench.quipu("quant", "errors", "none.gguf"), "none.gguf: found no such file")
        try bench.writeModel(leavingOut: "blk.2.ffn_up.weight") { $1 }
        expectComplaint(try bench.quipu(errors + ["--reference", "bad.gguf"]), "bad.gguf", "'blk.2.ffn_up.weight'")
        // What cannot be recorded is told before the work.
        expectComplaint(try bench.quipu("quant", "errors", "bad.gguf", "-o", "t.db"), "bad.gguf", "missing")
        try bench.writeModel { key, value in key == "general.architecture" ? .string("mamba") : value }
        #expect(try bench.quipu("quant", "errors", "bad.gguf", "--as", "Q8_0").status == 0)
        expectComplaint(try bench.quipu("quant", "errors", "bad.gguf", "-o", "t.db"), "architecture 'mamba'")
        #expect(try bench.files == ["bad.gguf", "model.gguf"])
        try bench.folder.write("mine", to: "t.db")
        expectComplaint(try bench.quipu(errors + ["--as", "Q8_0", "-o", "t.db"]), "t.db")
        #expect(try bench.bytes("t.db") == Data("mine".utf8))
        for wrong in [
            ["--as", "Q4_0", "--reference", "model.gguf"], ["--limit=-1"], ["--threads", "0"], ["--threads", "two"],
            ["extra"],
        ] {
            expectComplaint(try bench.quipu(errors + wrong), "Usage: ", status: 64)
        }
    }

    @Test func aTensorThatCannotBeComparedIsSaid() throws {
        let bench = try Workbench()
        let compare = ["quant", "compare", "model.gguf"]
        expectComplaint(
            try bench.quipu(compare + ["blk.0.attn_k.wieght"]), "model.gguf: there is no tensor",
            "Did you mean blk.0.attn_k.weight")
        expectComplaint(try bench.quipu(compare + [Self.tensor, "--as", "Q4_2"]), "'Q4_2' is no format", "Q4_1")
        expectComplaint(try bench.quipu(compare + [Self.tensor, "--as", "Q4_K"]), "model.gguf", "64 values")
        expectComplaint(try bench.quipu("quant", "compare", "none.gguf", Self.tensor), "none.gguf: found no such file")
        expectComplaint(try bench.quipu("quant", "compare", "model.gguf"), "after the model", "a tensor", status: 64)
        expectComplaint(try bench.quipu("quant", "compare"), "Usage: ", status: 64)
        expectComplaint(try bench.quipu(compare + [Self.tensor, "Q4_0"]), "Usage: ", status: 64)
        let fallback = try bench.quipu(
            ["quant", "compare", Self.tensor, "--as", "Q8_0"], environment: ["QUIPU_MODEL": "model.gguf"])
        #expect(fallback.status == 0 && fallback.output.contains("Q8_0"))
    }

    /// Weights that are no numbers have no error; the first of them is named.
    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func weightsThatAreNoNumbers(value: Float) throws {
        let bench = try Workbench()
        try bench.writeModel(with: [77: value, 500: .nan], in: Self.tensor)
        let said = ["bad.gguf: tensor '\(Self.tensor)' holds \(value) at element 77"]
        for command in [
            ["errors", "bad.gguf", "--as", "Q4_0"], ["errors", "bad.gguf", "-o", "t.db"],
            ["errors", "model.gguf", "--reference", "bad.gguf"], ["compare", "bad.gguf", Self.tensor],
        ] {
            expectComplaint(try bench.quipu(["quant"] + command), said[0])
        }
        #expect(try bench.files == ["bad.gguf", "model.gguf"])
        // Another tensor of the file can still be looked at.
        #expect(try bench.quipu("quant", "compare", "bad.gguf", "blk.0.attn_k.weight").status == 0)
    }
}

extension Workbench {
    /// What is in the folder, sorted.
    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() }
    }

    /// Writes `bad.gguf`: the model with other values in an F32 tensor.
    func writeModel(with values: [Int: Float], in tensor: String) throws {
        let info = try #require(try GGUFFile(path: folder.path("model.gguf")).tensor(named: tensor))
        var data = try bytes("model.gguf")
        for (index, value) in values {
            withUnsafeBytes(of: value.bitPattern.littleEndian) {
                let start = info.fileOffset + 4 * index
                data.replaceSubrange(start..<start + 4, with: $0)
            }
        }
        try data.write(to: URL(filePath: folder.path("bad.gguf")))
    }

    /// Notebook 08 holds the parts of a split model against the whole.
    @Test func partsOfASplitModel() throws {
        let bench = try Workbench()
        let whole = try bench.quipu("quant", "errors", "model.gguf", "--as", "Q8_0", "--json")
        #expect(
            try bench.quipu("quant", "errors", "model.gguf", "--as", "Q8_0", "--part", "0", "--json").output
                == whole.output)
        for part in ["1", "-1"] {
            expectComplaint(
                try bench.quipu(["quant", "errors", "model.gguf", "--as", "Q8_0", "--part=\(part)"]),
                "model.gguf has parts 0 to 0, and no part \(part)")
        }
    }
}
