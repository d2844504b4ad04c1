import Foundation
import GGUF
import Tensors
import TestSupport
import Testing

@Suite struct BlocksTests {
    /// Row 2, block 1 of a Q4_1 tensor, decoded here by hand from the bytes of the file.
    @Test func aBlockIsThatOfTheFile() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let object = try bench.quipu(
            "quant", "blocks", "model.gguf", "blk.0.attn_q.weight", "--row", "2", "--block", "1", "--json"
        ).object()
        let block = try Block(bench, "blk.0.attn_q.weight", row: 2, block: 1)
        #expect(object["tensor"] as? String == "blk.0.attn_q.weight")
        #expect(object["row"] as? Int == 2 && object["block"] as? Int == 1)
        #expect(object["file_offset"] as? Int == block.offset)
        #expect(object["bytes_hex"] as? String == block.bytes.map { String(format: "%02x", $0) }.joined())
        #expect(object["scale"] as? Double == Double("\(block.d)") && object["min"] as? Double == Double("\(block.m)"))
        #expect(object["codes"] as? [Int] == block.codes)
        let values = try #require(object["values"] as? [Double])
        #expect(values.map(Float.init) == block.codes.map { Float($0) * block.d + block.m })
        #expect(object["codes_used"] as? Int == Set(block.codes).count)
        #expect(object["saturated"] as? [Int] == block.codes.indices.filter { [0, 15].contains(block.codes[$0]) })
        #expect(object["reference_values"] is NSNull)
    }

    @Test func aWeightIsExplainedFromTheFileOn() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let object = try bench.quipu("explain", "weight", "model.gguf", "blk.0.attn_q.weight", "2", "53", "--json")
            .object()
        let block = try Block(bench, "blk.0.attn_q.weight", row: 2, block: 1)
        // Weight 21 of the block: the high nibble of code byte 5.
        #expect(object["column"] as? Int == 53 && object["type"] as? String == "Q4_1")
        #expect(object["block_offset"] as? Int == block.offset && object["byte_offset"] as? Int == block.offset + 9)
        #expect(object["code"] as? Int == block.codes[21])
        let value = try #require(object["value"] as? Double)
        #expect(Float(value) == Float(block.codes[21]) * block.d + block.m)
        let steps = try #require(object["steps"] as? [String])
        #expect(steps.contains { $0.contains("bits 4-7 of byte 9") } && steps.last!.hasSuffix("= \(Float(value))"))
    }

    /// Against itself nothing is lost; `before` and `after` are the same.
    @Test func aReferenceShowsTheWeightsBefore() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let object = try bench.quipu(
            "quant", "blocks", "model.gguf", "blk.0.attn_q.weight", "--reference", "model.gguf", "--json"
        ).object()
        #expect(object["max_abs"] as? Double == 0 && object["mse"] as? Double == 0)
        #expect((object["reference_values"] as? [Double])?.count == 256)
        #expect((object["sub_scales"] as? [Double])?.count == 8 && (object["sub_mins"] as? [Double])?.count == 8)
    }

    @Test func aBlockIsRecorded() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        for _ in 0..<2 {
            let outcome = try bench.quipu(
                "quant", "blocks", "model.gguf", "blk.0.attn_q.weight", "--row", "2", "--block", "1", "-o", "t.db")
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        let block = try Block(bench, "blk.0.attn_q.weight", row: 2, block: 1)
        let row = try bench.row(
            "SELECT count(*) AS n, row, block, q.file_offset AS start, scale, hex(codes) AS codes, mse FROM quant_block AS q "
                + "JOIN weight ON id = weight_id WHERE name = 'blk.0.attn_q.weight'", of: "t.db")
        #expect(row["n"] as? Int == 1 && row["row"] as? Int == 2 && row["block"] as? Int == 1)
        #expect(row["start"] as? Int == block.offset && row["scale"] as? Double == Double(block.d))
        #expect(row["codes"] as? String == block.codes.map { String(format: "%02X000000", $0) }.joined())
        #expect(row["mse"] is NSNull)
    }

    /// Every block of the file decoded by hand, one of them dead and one without a number for its scale.
    @Test func anAuditCountsBlocks() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let name = "blk.0.attn_q.weight"
        var data = try bench.bytes("model.gguf")
        let (dead, broken) = (try Block(bench, name, row: 3, block: 1), try Block(bench, name, row: 9, block: 0))
        data.replaceSubrange(dead.offset..<dead.offset + 20, with: Data(count: 20))
        data.replaceSubrange(broken.offset..<broken.offset + 2, with: [0, 0x7e])
        try data.write(to: URL(filePath: bench.folder.path("odd.gguf")))
        let object = try bench.quipu("quant", "blocks", "odd.gguf", "--audit", "--json").object()
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        let file = try GGUFFile(path: bench.folder.path("odd.gguf"))
        let infos = file.tensors.filter { $0.type == .q4_1 }
        #expect(tensors.map { $0["name"] as? String } == infos.map(\.name))
        for (line, info) in zip(tensors, infos) {
            let blocks = stride(from: info.fileOffset, to: info.fileOffset + info.byteCount, by: 20).map {
                Block(offset: $0, bytes: Array(data[$0..<$0 + 20]))
            }
            let sound = blocks.filter { $0.d.isFinite }
            #expect(line["n_blocks"] as? Int == blocks.count)
            #expect(line["broken"] as? Int == (info.name == name ? 1 : 0))
            #expect(line["dead"] as? Int == (info.name == name ? 1 : 0))
            let withoutZero = blocks.count { block in !(0..<16).contains { Float($0) * block.d + block.m == 0 } }
            #expect(line["zero_not_exact"] as? Int == withoutZero, "\(info.name)")
            let scale = try #require(line["scale"] as? [String: Any])
            #expect((scale["max"] as? Double).map(Float.init) == sound.map(\.d).max())
        }
        // The block without a scale is shown all the same; its weights are no numbers.
        let single = try bench.quipu("quant", "blocks", "odd.gguf", name, "--row", "9", "--json")
        #expect(try single.object()["scale"] as? String == "nan")
        #expect(try bench.quipu("explain", "weight", "odd.gguf", name, "9", "3").output.contains("nan"))
        expectComplaint(
            try bench.quipu("quant", "errors", "odd.gguf", "--as", "Q8_0"), "odd.gguf: tensor '\(name)' holds",
            "at element \(9 * 64)")
    }

    @Test func anAuditListsTheWorst() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let object = try bench.quipu("quant", "blocks", "model.gguf", "--audit", "--json").object()
        let worst = try #require(object["worst"] as? [[String: Any]])
        #expect(worst.count == 100)
        let offset = try #require(worst[0]["file_offset"] as? Int)
        let (tensor, row, block) = (worst[0]["tensor"] as! String, worst[0]["row"] as! Int, worst[0]["block"] as! Int)
        let single = try bench.quipu(
            "quant", "blocks", "model.gguf", tensor, "--row", "\(row)", "--block", "\(block)", "--json"
        ).object()
        #expect(single["file_offset"] as? Int == offset)
    }

    @Test(arguments: [
        ["quant", "blocks", "model.gguf", "blk.0.attn_q.weight", "--row", "1", "--reference", "model.gguf"],
        ["quant", "blocks", "model.gguf", "blk.0.ffn_gate.weight"],
        ["quant", "blocks", "model.gguf", "output_norm.weight"],
        ["quant", "blocks", "model.gguf", "--audit"],
        ["explain", "weight", "model.gguf", "blk.0.attn_k.weight", "3", "255"],
        ["explain", "format", "Q4_1"], ["explain", "format", "Q2_K"], ["explain", "format", "Q6_K"],
        ["explain", "format", "BF16"],
    ])
    func pagesStayWithinThePage(arguments: [String]) throws {
        let outcome = try Workbench(TinyModel.kQuants.path).quipu(arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.lines.count > 5)
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func whatIsNotThereIsSaid() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let tensor = "blk.0.attn_q.weight"
        expectComplaint(try bench.quipu("quant", "blocks", "model.gguf", "blk.0.attn_q.wieght"), "Did you mean", tensor)
        expectComplaint(
            try bench.quipu("quant", "blocks", "model.gguf", tensor, "--row", "256"), "rows 0 to 255", "row 256")
        expectComplaint(
            try bench.quipu("quant", "blocks", "model.gguf", tensor, "--block", "1"), "blocks 0 to 0", "block 1")
        expectComplaint(try bench.quipu("explain", "weight", "model.gguf", tensor, "0", "256"), "columns 0 to 255")
        expectComplaint(try bench.quipu("explain", "weight", "model.gguf", tensor, "256", "0"), "rows 0 to 255")
        expectComplaint(
            try bench.quipu("explain", "weight", "model.gguf", tensor, "0", "\(Int.max)"), "columns 0 to 255")
        expectComplaint(
            try bench.quipu("quant", "blocks", "model.gguf", tensor, "--row", "\(Int.max)"), "rows 0 to 255")
        expectComplaint(
            try bench.quipu("explain", "weight", "model.gguf", "blk.0.attn_q.wieght", "0", "0"), "Did you mean", tensor)
        for arguments in [
            ["explain", "weight", "none.gguf", tensor, "0", "0"], ["quant", "blocks", "none.gguf", tensor],
            ["quant", "blocks", "none.gguf", "--audit"],
            ["quant", "blocks", "model.gguf", tensor, "--reference", "none.gguf"],
            ["quant", "blocks", "model.gguf", "--audit", "--reference", "none.gguf"],
        ] {
            expectComplaint(try bench.quipu(arguments), "none.gguf: found no such file", "Check the path.")
        }
        expectComplaint(try bench.quipu("quant", "blocks", "model.gguf"), "after the model", "a tensor", status: 64)
        expectComplaint(try bench.quipu("explain", "format"), "Usage: ", status: 64)
        expectComplaint(try bench.quipu("explain", "format", "Q4_2"), "no format 'Q4_2'", "Q4_1")
        expectComplaint(try bench.quipu("explain", "format", "i32"), "I32", "cannot be taken apart")
        expectComplaint(
            try bench.quipu("quant", "blocks", "model.gguf", tensor, "--reference", TinyModel.gqa.path), "same model")
        expectComplaint(
            try Workbench().quipu("quant", "blocks", "model.gguf", "--audit"), "no tensor has blocks", "F32")
        for wrong in [["model.gguf", tensor, "--row", "-1"], ["a", "b", "--audit"], []] {
            expectComplaint(try bench.quipu(["quant", "blocks"] + wrong), "Usage: ", status: 64)
        }
        expectComplaint(try bench.quipu("explain", "weight", "model.gguf", tensor, "1", "x"), "Usage: ", status: 64)
    }

    /// A block of Q4_1, decoded without Quipu.
    private struct Block {
        let offset: Int
        let bytes: [UInt8]
        var d: Float { Float(Half.float(f16: UInt16(bytes[0]) | UInt16(bytes[1]) << 8)) }
        var m: Float { Float(Half.float(f16: UInt16(bytes[2]) | UInt16(bytes[3]) << 8)) }
        var codes: [Int] { bytes[4...].map { Int($0 & 15) } + bytes[4...].map { Int($0 >> 4) } }

        init(offset: Int, bytes: [UInt8]) { (self.offset, self.bytes) = (offset, bytes) }

        init(_ bench: Workbench, _ name: String, row: Int, block: Int) throws {
            let info = try #require(try GGUFFile(path: bench.folder.path("model.gguf")).tensor(named: name))
            offset = info.fileOffset + (row * info.shape.ne0 / 32 + block) * 20
            bytes = Array(try bench.bytes("model.gguf")[offset..<offset + 20])
        }
    }
}
