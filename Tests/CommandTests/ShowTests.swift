import Foundation
import Testing

@Suite struct ShowTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace()
        return bench
    }

    @Test func aPageHasNamePictureAndNumbers() throws {
        let page = try bench().quipu("show", "trace.db", "kq_soft_max-0[:,:,0]")
        #expect(page.lines[0].hasPrefix("kq_soft_max-0  SOFT_MAX  F32 5x5x8  op "))
        #expect(page.lines[1] == "from kq-0, attn_inp_kq_mask")
        #expect(page.lines[2] == "slice [0:5, 0:5, 0:1]")
        #expect(page.lines[3].hasPrefix("n 25  sum 5  mean 0.2"))
        // The first token can look at itself only.
        #expect(page.lines[5] == "     0   @        ")
        #expect(page.output.contains("0 ' ·:=+*#%@' 1, with - before what is negative, root scale\n"))
        #expect(page.output.contains("\ni1     0          1          0          0          0          0\n"))
    }

    @Test func slicesNameTheSameElements() throws {
        let bench = try bench()
        func values(_ address: String) throws -> [Double] {
            try #require(try bench.quipu("show", "trace.db", address, "--json").object()["values"] as? [Double])
        }
        let whole = try values("Qcur-0")
        #expect(whole.count == 8 * 8 * 5)
        #expect(try values("Qcur-0[3,2,4]") == [whole[3 + 8 * (2 + 8 * 4)]])
        #expect(try values("Qcur-0[-1,-1,-1]") == [whole.last])
        #expect(try values("Qcur-0[:,2,4]") == Array(whole[8 * (2 + 8 * 4)..<8 * (3 + 8 * 4)]))
        #expect(try values("Qcur-0[2:4, 1, 0]") == Array(whole[10..<12]))
        #expect(try values("Qcur-0#2") == whole)
        // Before rotation: another tensor of the same name.
        #expect(try values("Qcur-0#0") != whole)
        #expect(try values("Qcur-0#0") == values("Qcur-0#1"))
        #expect(try values("result_norm[0:3]").count == 3)
    }

    @Test func rowsOfAPictureAreNumberedAsInTheTensor() throws {
        let page = try bench().quipu("show", "trace.db", "kq-0[:,3:5,1]")
        #expect(page.lines.contains { $0.hasPrefix("     3  ") } && page.lines.contains { $0.hasPrefix("     4  ") })
        #expect(!page.lines.contains { $0.hasPrefix("     0  ") })
        #expect(page.output.contains("i1     3") && page.output.contains("i1     4"))
    }

    @Test func manyPlanesAndOneDimension() throws {
        let bench = try bench()
        let planes = try bench.quipu("show", "trace.db", "kq-0").output
        #expect(
            planes.contains("\n[:, :, 0]\n") && planes.contains("… and 6 more planes; name one, as in 'kq-0[:,:,2]'"))
        let row = try bench.quipu("show", "trace.db", "result_output").output
        #expect(row.contains("F32 512") && row.contains("a cell is the largest of up to 8 x 1 values"))
        let single = try bench.quipu("show", "trace.db", "result_output[0]").output
        #expect(single.contains("n 1  ") && !single.contains("root scale"))
    }

    @Test func whatWasNotCapturedIsAQuestionMark() throws {
        let bench = try Workbench()
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-o", "last.db", "--capture", "last")
        let page = try bench.quipu("show", "last.db", "kq-0[:,:,0]")
        #expect(page.output.contains("20 of 25 values were not captured (shown as ?)"))
        #expect(page.output.contains("     3   ? ? ? ? ?\n"))
        #expect(page.output.contains("i1     0          ?          ?"))
        let values = try #require(
            try bench.quipu("show", "last.db", "kq-0[:,3:5,0]", "--json").object()["values"] as? [Any])
        #expect(values.prefix(5).allSatisfy { $0 is NSNull } && values.suffix(5).allSatisfy { $0 is Double })
    }
}
