import Foundation
import GGUF
import Tensors
import TestSupport
import Testing

@Suite struct InspectTests {
    @Test func aPageSaysWhatItIs() throws {
        let page = try Workbench().quipu("inspect", "model.gguf").output
        #expect(page.contains("GGUF version 3, 19 metadata keys, 48 tensors"))
        let words = page.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words.contains("292,800 weights. Their tensors take 1.1 MiB: 32.000 bits per weight"))
        #expect(words.contains("The file is 1.1 MiB."))
        #expect(page.contains("Architecture llama: norm, attention, norm"))
        #expect(page.contains("\nQuipu runs it.\n"))
        #expect(page.contains("5 layers of width 64, feed-forward 172."))
        #expect(page.contains("8 query heads, 4 KV heads of 8 values (GQA: each KV head serves 2)"))
    }

    @Test func bytesAreThoseOfTheFile() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let object = try bench.quipu(
            "inspect", "model.gguf", "--bytes", "blk.0.attn_q.weight", "--offset", "20", "--count", "40", "--json"
        ).object()
        let start = try #require(object["file_offset"] as? Int) + 20
        let hex = try bench.bytes("model.gguf")[start..<start + 40].map { String(format: "%02x", $0) }.joined()
        #expect(object["bytes_hex"] as? String == hex)
        let page = try bench.quipu(
            "inspect", "model.gguf", "--bytes", "blk.0.attn_q.weight", "--offset", "10", "--count", "30")
        #expect(page.output.contains("a block: 32 weights in 20 bytes"))
        #expect(page.lines.contains { $0.hasPrefix("\(start)".leftPadded(to: 11) + "   \(hex.prefix(2)) ") })
        let all = try bench.quipu(
            "inspect", "model.gguf", "--bytes", "output_norm.weight", "--count", "9223372036854775807")
        #expect(all.status == 0)
    }

    /// Decoded from a block's middle on, over rows, they are what `quant blocks` says of each.
    @Test func valuesAreThoseOfTheBlocks() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let tensor = "blk.0.attn_q.weight"
        let window = try bench.quipu(
            "inspect", "model.gguf", "--values", tensor, "--row", "2", "--rows", "3", "--offset", "20", "--count", "30",
            "--json"
        ).object()
        let values = try #require(window["values"] as? [[Double]])
        #expect(values.count == 3 && values.allSatisfy { $0.count == 30 })
        #expect(window["first_row"] as? Int == 2 && window["first_column"] as? Int == 20)
        for (row, found) in zip(2..., values) {
            let blocks = try (0..<2).flatMap { block in
                try #require(
                    try bench.quipu(
                        "quant", "blocks", "model.gguf", tensor, "--row", "\(row)", "--block", "\(block)", "--json"
                    ).object()["values"] as? [Double])
            }
            #expect(found == Array(blocks[20..<50]))
        }
        let page = try bench.quipu("inspect", "model.gguf", "--values", tensor)
        #expect(page.status == 0 && page.output.contains("columns 0 to 63 of 64") && page.output.contains("row 0"))
        // No more than there is.
        let end = try bench.quipu(
            "inspect", "model.gguf", "--values", "output_norm.weight", "--offset", "60", "--count",
            "9223372036854775807",
            "--rows", "9223372036854775807", "--json"
        ).object()
        #expect((end["values"] as? [[Double]])?.map(\.count) == [4])
    }

    @Test func valuesThatAreNotThere() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let values = ["inspect", "model.gguf", "--values"]
        expectComplaint(try bench.quipu(values + ["nothing"]), "there is no tensor 'nothing'")
        expectComplaint(
            try bench.quipu(values + ["output_norm.weight", "--row", "1"]), "'output_norm.weight' has rows 0 to 0")
        expectComplaint(
            try bench.quipu(values + ["output_norm.weight", "--offset", "64"]),
            "has columns 0 to 63; column 64 is outside")
        for wrong in [["--row=-1"], ["--rows", "0"], ["--bytes", "output_norm.weight"], ["--tensors"]] {
            expectComplaint(
                try bench.quipu(values + ["output_norm.weight"] + wrong), "Usage: ", status: 64)
        }
        expectComplaint(try bench.quipu("inspect", "model.gguf", "--row", "1"), "go with --values", status: 64)
    }

    @Test(arguments: ["", "--tensors", "--metadata", "--json"])
    func aVocabularyAloneIsListed(option: String) throws {
        let bench = try Workbench()
        let metadata = try GGUFFile(path: bench.folder.path("model.gguf")).metadata
        try GGUFWriter(metadata: metadata, tensors: []).write(to: bench.folder.path("vocab.gguf"))
        let outcome = try bench.quipu(["inspect", "vocab.gguf"] + (option.isEmpty ? [] : [option]))
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(option == "--json" || outcome.output.contains("no tensors"))
        #expect(try bench.quipu("tokenize", "vocab.gguf", "Once upon").output.contains("‹ Once›"))
        expectComplaint(
            try bench.quipu("trace", "vocab.gguf", "-p", "x"), "vocab.gguf: This is a vocabulary only", "quipu tokenize"
        )
        try GGUFWriter(metadata: Metadata([]), tensors: []).write(to: bench.folder.path("nothing.gguf"))
        #expect(try bench.quipu(["inspect", "nothing.gguf"] + (option.isEmpty ? [] : [option])).status == 0)
    }

    /// Formats that cannot be decoded yet are listed all the same.
    @Test func everyFormatIsListed() throws {
        let bench = try Workbench()
        let tensors = TensorType.allCases.map { type in
            GGUFWriter.TensorEntry(name: "t.\(type.name)", type: type, shape: Shape(type.blockElements * 2, 3)) {
                let layout = Layout(type, Shape(type.blockElements * 2, 3))
                return Tensor(layout, in: Buffer(byteCount: layout.byteCount))
            }
        }
        try GGUFWriter(metadata: Metadata([]), tensors: tensors).write(to: bench.folder.path("all.gguf"))
        let page = try bench.quipu("inspect", "all.gguf", "--tensors")
        #expect(page.status == 0, "\(page.errors)")
        for type in TensorType.allCases {
            #expect(page.lines.contains { $0.hasPrefix("t.\(type.name) ") }, "\(type.name)")
            for option in ["--bytes", "--values"] {
                #expect(try bench.quipu("inspect", "all.gguf", option, "t.\(type.name)").status == 0)
            }
        }
    }

    @Test func aSplitModelIsOneModel() throws {
        let bench = try Workbench()
        let file = try GGUFFile(path: bench.folder.path("model.gguf"))
        let writer = GGUFWriter(metadata: file.metadata, tensors: file.tensors.map { .init($0, of: file) })
        let parts = try writer.write(splitAt: .tensors(20), toPrefix: bench.folder.path("split"))
        #expect(parts.count == 3)
        let page = try bench.quipu("inspect", "split-00001-of-00003.gguf")
        #expect(page.output.contains("48 tensors") && page.output.contains("3 files"))
        #expect(try bench.quipu("inspect", "split-00001-of-00003.gguf", "--bytes", "output_norm.weight").status == 0)
        func ids(_ name: String) throws -> [Int]? {
            try bench.quipu("trace", name, "-p", "Once", "-g", "5", "--json").object()["generated_ids"] as? [Int]
        }
        #expect(try ids("split-00001-of-00003.gguf") == ids("model.gguf"))
        try FileManager.default.removeItem(atPath: parts[1])
        expectComplaint(try bench.quipu("inspect", "split-00001-of-00003.gguf"), "split-00002-of-00003.gguf")
    }
}

extension String {
    fileprivate func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
