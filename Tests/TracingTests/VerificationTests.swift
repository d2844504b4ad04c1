import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import Measuring
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

@Suite struct VerificationTests {
    private func verify(_ recorded: Recorded) async throws -> TraceVerification {
        let store = try TraceStore.open(path: recorded.path)
        let run = try store.run()
        let replay = try Replay(run, in: store, model: recorded.model)
        return try await TraceVerification(of: run, in: store, replay: replay, threads: 2)
    }

    @Test(arguments: TinyModel.allCases)
    func aTraceReproduces(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.all))
        let found = try await verify(recorded)
        #expect(found.failures == [])
        let operations = recorded.passes.flatMap(\.nodes).filter { !$0.node.output.isPureView }
        #expect(found.complete == operations.count && found.partial == 0 && found.notCaptured == 0)
        let elements = try #require(try recorded.store.integers("SELECT sum(n_elements) FROM tensor")[0])
        #expect(found.values == elements)
        let rows = try #require(try recorded.store.integers("SELECT count(*) FROM op")[0])
        #expect(found.cells > 20 * rows)
    }

    @Test(arguments: [Capture(.none), Capture(.stats), Capture(.last), Capture(.all, names: ["ffn_out-*"])])
    func whatWasNotCapturedIsCounted(capture: Capture) async throws {
        let recorded = try await Recorded(.gqa, generate: 3, capture)
        let found = try await verify(recorded)
        #expect(found.failures == [])
        let operations = recorded.passes.flatMap(\.nodes).filter { !$0.node.output.isPureView }.count
        let captured = try #require(try recorded.store.integers("SELECT count(DISTINCT op_id) FROM tensor")[0])
        #expect(found.complete + found.partial == captured && found.notCaptured == operations - captured)
        #expect((found.partial > 0) == (capture.policy == .last))
        let elements = try recorded.store.integers("SELECT coalesce(sum(n_elements), 0) FROM tensor")[0]
        #expect(found.values == elements)
        #expect(found.cells > 0)
    }

    @Test func aChangedByteIsNamed() async throws {
        let recorded = try await Recorded(.gqa, generate: 3, Capture(.all))
        let row = try #require(
            try recorded.store.rows(
                "SELECT op_id, data, ne0 FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = pass_id "
                    + "WHERE name = 'ffn_out-0' AND step = 0"
            ).first)
        let (id, width) = (try #require(row[0].integer), try #require(row[2].integer))
        var data = try #require(row[1].blob)
        data[4 * (2 * width + 7)] ^= 1
        let hex = data.map { String(format: "%02x", $0) }.joined()
        try changeTrace(recorded.path, "UPDATE tensor SET data = x'\(hex)' WHERE op_id = \(id)")
        let found = try await verify(recorded)
        #expect(found.failures.count == 1)
        let failure = try #require(found.failures.first)
        #expect(failure.table == "tensor" && failure.operation == "ffn_out-0" && failure.step == 0)
        #expect(failure.index == [7, 2] && failure.count == 1 && failure.column == "data")
        let node = try #require(recorded.passes[0].nodes.last { $0.node.name == "ffn_out-0" })
        #expect(failure.recomputed == "\(node.values[2 * width + 7])" && failure.recorded != failure.recomputed)
    }

    /// A run in which one operation went wrong, and all that follows from it: the one is named, and nothing else.
    @Test func aFaultyOperationIsNamedWithoutItsUsers() async throws {
        let change = InterventionTests.set("ffn_out-0[7,2]", "0.25")
        let (recorded, _) = try await InterventionTests.record(.stories, [change])
        #expect(try await verify(recorded).failures == [])
        try changeTrace(recorded.path, "DELETE FROM intervention")
        let found = try await verify(recorded)
        #expect(found.failures.map(\.operation) == ["ffn_out-0"], "\(found.failures)")
        #expect(found.failures[0].index == [7, 2] && found.failures[0].recorded == "0.25")
        #expect(found.fromModel == 0 && found.fromTrace == found.complete)
    }

    /// Values that were damaged in the file are not what the run went on from, and their readers are told apart.
    @Test func damagedValuesAreNotReadOn() async throws {
        let recorded = try await Recorded(.stories, generate: 2, Capture(.all))
        try changeTrace(
            recorded.path,
            """
            UPDATE tensor SET data = zeroblob(length(data)) WHERE op_id =
                (SELECT op.id FROM op JOIN pass ON pass.id = pass_id WHERE name = 'l_out-0' AND step = 0)
            """)
        let found = try await verify(recorded)
        #expect(found.failures.map(\.operation) == ["l_out-0"] && found.failures[0].step == 0)
        // The next layer's norm and its residual sum read it.
        #expect(found.fromModel == 2 && found.fromTrace == found.complete - 2)
    }

    @Test func whatTheTraceLacksComesFromTheModel() async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.all, names: ["ffn_norm-0", "ffn_up-0"]))
        let found = try await verify(recorded)
        // ffn_up reads ffn_norm, which is there; what ffn_norm reads is not.
        #expect(found.failures == [] && found.fromTrace == 2 && found.fromModel == 2)
    }

    /// One cell of one row at a time: exactly that is named.
    @Test(arguments: [
        (
            "UPDATE op_stat SET rms = rms * 1.0000001 WHERE id = (SELECT max(id) FROM op WHERE name = 'kq-1')", "op",
            "rms"
        ),
        ("UPDATE op_stat SET zeros = 3 WHERE id = (SELECT max(id) FROM op WHERE name = 'kq-1')", "op", "zeros"),
        (
            "UPDATE graph_op SET params = '{}' WHERE name = 'kq_soft_max-1' AND graph_id = 1", "op", "params"
        ),
        ("UPDATE logit SET logit = logit + 0.5 WHERE rank = 3 AND pass_id = 2", "logit", "logit"),
        ("UPDATE logit SET token_id = 1 WHERE rank = 3 AND pass_id = 2", "logit", "token_id"),
        ("DELETE FROM logit WHERE rank = 3 AND pass_id = 2", "logit", nil),
        (
            "UPDATE attention_head SET top_weight = 0.3 WHERE head = 1 AND position = 2 AND layer = 0",
            "attention_head",
            "top_weight"
        ),
        ("UPDATE token SET logprob = -1 WHERE position = 6", "token", "logprob"),
        ("UPDATE kv_cache SET bytes = 1 WHERE layer = 1 AND pass_id = 1", "kv_cache", "bytes"),
        ("UPDATE weight SET file_offset = 1 WHERE name = 'blk.0.attn_q.weight'", "weight", "file_offset"),
        ("UPDATE metadata SET value = '1' WHERE key = 'llama.block_count'", "metadata", "value"),
        ("UPDATE gqa_map SET kv_head = 0 WHERE layer = 0 AND head = 3", "gqa_map", "kv_head"),
        (
            "UPDATE graph_input SET slot = 9 WHERE slot = 2 AND (graph_id, seq) = "
                + "(SELECT graph_id, seq FROM graph_input WHERE slot = 2 AND graph_id = 1 LIMIT 1)", "op_input", nil
        ),
        ("UPDATE model SET n_ff = 1", "model", "n_ff"),
    ])
    func aChangedRowIsNamed(sql: String, table: String, column: String?) async throws {
        let recorded = try await Recorded(.gqa, generate: 3, Capture(.stats))
        try changeTrace(recorded.path, sql)
        let found = try await verify(recorded)
        // A key that was changed is a row too few and a row too many.
        #expect(found.failures.count == (sql.contains("slot = 9") ? 2 : 1), "\(found.failures)")
        for failure in found.failures {
            #expect(failure.table == table && failure.column == column && failure.recorded != failure.recomputed)
        }
        if table == "logit" {
            #expect(found.failures[0].step == 1 && found.failures[0].row?.hasSuffix("rank 3") == true)
        }
        if table == "op" { #expect(found.failures[0].operation?.hasSuffix("-1") == true) }
    }

    @Test(arguments: ["data = x'00'", "n_elements = 100000", "first_element = -5", "run_length = 0, run_stride = 1"])
    func aDamagedBlobIsNamed(change: String) async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.all))
        try changeTrace(
            recorded.path,
            "UPDATE tensor SET \(change) WHERE op_id = (SELECT max(id) FROM op WHERE name = 'ffn_up-0')")
        let found = try await verify(recorded)
        #expect(found.failures.map(\.operation) == ["ffn_up-0"] && found.failures[0].table == "tensor")
        let store = try TraceStore.open(path: recorded.path)
        let operation = try store.operation(TensorAddress("ffn_up-0"), run: store.run(), step: 1)
        #expect(throws: TraceError.self) { _ = try store.values(of: operation, in: store.run()) }
    }

    /// The last rows of a run that was killed are missing; what there is must be right all the same.
    @Test func aRunThatWasCutOffIsCheckedAsFarAsItGoes() async throws {
        let recorded = try await Recorded(.gqa, generate: 3, Capture(.all))
        let lost = "(SELECT op.id FROM op JOIN pass ON pass.id = pass_id WHERE step = 2 AND seq > 20)"
        try changeTrace(
            recorded.path,
            """
            UPDATE run SET complete = 0;
            DELETE FROM tensor WHERE op_id IN \(lost);
            DELETE FROM attention_head WHERE op_id IN \(lost);
            DELETE FROM op_stat WHERE id IN \(lost);
            DELETE FROM logit WHERE pass_id = 3;
            DELETE FROM kv_cache WHERE pass_id = 3;
            """)
        let found = try await verify(recorded)
        #expect(found.failures == [] && found.notCaptured > 10)
        try changeTrace(
            recorded.path, "UPDATE op_stat SET rms = 0 WHERE id = (SELECT id FROM op WHERE pass_id = 3 AND seq = 3)")
        #expect(try await verify(recorded).failures.map(\.column) == ["rms"])
        try changeTrace(recorded.path, "UPDATE run SET complete = 1")
        #expect(try await verify(recorded).failures.count > 20)
    }

    // MARK: models

    @Test(arguments: TinyModel.allCases)
    func aModelIsSound(model: TinyModel) throws {
        let file = try model.file()
        let found = try ModelVerification(of: file, workers: Workers(threads: 2))
        #expect(found.failures.isEmpty && found.weights == file.parameterCount && found.skipped.isEmpty)
    }

    /// A scale that is no number, a minimum that is infinite, a norm's weight: each named by its address.
    @Test(arguments: [
        ("blk.0.attn_q.weight", 20 * 7, [0x00, 0x7e], "the scale is nan"),
        ("blk.0.attn_q.weight", 20 * 7 + 2, [0x00, 0x7c], "the minimum is inf"),
        ("output_norm.weight", 4 * 7, [0x00, 0x00, 0x80, 0xff], "the value is -inf"),
    ])
    func aValueThatIsNoNumberIsNamed(tensor: String, offset: Int, bytes: [UInt8], reason: String) throws {
        let folder = try TemporaryFolder()
        var data = try Data(contentsOf: URL(filePath: TinyModel.gqa.path))
        let info = try #require(try TinyModel.gqa.file().tensor(named: tensor))
        data.replaceSubrange(info.fileOffset + offset..<info.fileOffset + offset + bytes.count, with: bytes)
        try data.write(to: folder.url.appending(path: "odd.gguf"))
        let found = try ModelVerification(
            of: try GGUFFile(path: folder.path("odd.gguf")), workers: Workers(threads: 2))
        let failure = try #require(found.failures.first)
        #expect(found.failures.count == 1 && failure.check == "weight" && failure.tensor == tensor)
        #expect(failure.reason == reason && failure.count == (info.type == .f32 ? 1 : 32))
        let length = info.type.blockElements
        let block = offset / info.type.blockBytes
        #expect(failure.row == block * length / info.shape.ne0 && failure.column == block * length % info.shape.ne0)
        #expect(failure.fileOffset == info.fileOffset + block * info.type.blockBytes)
    }

    @Test func aModelThatLacksSomethingIsFaulty() throws {
        let folder = try TemporaryFolder()
        let file = try PaperModel().write(to: folder.path("paper.gguf"))
        let found = try ModelVerification(of: file, workers: Workers(threads: 2))
        #expect(found.failures.map(\.check) == ["structure"])
        var other = PaperModel()
        other.architecture = "gpt2"
        let foreign = try ModelVerification(
            of: try other.write(to: folder.path("other.gguf")), workers: Workers(threads: 2))
        #expect(foreign.failures.isEmpty && foreign.skipped.map(\.what) == ["structure"])
    }
}
