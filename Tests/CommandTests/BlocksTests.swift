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

        init(_ bench: Workbench, _ name: String, row: Int, block: Int) throws {
            let info = try #require(try GGUFFile(path: bench.folder.path("model.gguf")).tensor(named: name))
            offset = info.fileOffset + (row * info.shape.ne0 / 32 + block) * 20
            bytes = Array(try bench.bytes("model.gguf")[offset..<offset + 20])
        }
    }
}
