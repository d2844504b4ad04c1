import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Recording
import Tensors
import TestSupport
import Testing

/// Captured values against the evaluated tensors, bit by bit.
@Suite struct ValueTests {
    /// Every node of every pass: fresh values from their blobs, views through their source, the cache from what was
    /// written to it by this pass and those before.
    @Test(arguments: TinyModel.allCases)
    func everyNodeReadsBackAsEvaluated(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 4, Capture(.all))
        let run = try recorded.store.run()
        for (step, pass) in recorded.passes.enumerated() {
            let filled = step == 0 ? 0 : recorded.promptTokens + step - 1
            for (operation, snapshot) in zip(try recorded.operations(step: step), pass.nodes) {
                let label = "step \(step), \(operation.name) (\(operation.kind))"
                if filled == 0, operation.kind == "RESHAPE", operation.name.hasPrefix("cache_v") {
                    // The cache before anything was written to it.
                    #expect(throws: TraceError.self, "\(label)") { try recorded.store.values(of: operation, in: run) }
                    continue
                }
                let values = try recorded.store.values(of: operation, in: run)
                #expect(values.shape == snapshot.node.layout.shape, "\(label)")
                let isWholeCache =
                    operation.name.hasPrefix("cache") && (operation.kind == "SET_ROWS" || operation.kind == "RESHAPE")
                #expect(values.isComplete != isWholeCache, "\(label)")
                var written = 0
                for (found, expected) in zip(values.all, snapshot.values) {
                    guard let found else { continue }
                    written += 1
                    if found.bitPattern != expected.bitPattern {
                        Issue.record("\(label): \(found), evaluated \(expected)")
                        break
                    }
                }
                let now = operation.kind == "SET_ROWS" ? filled + operation.tokens : filled
                let layer = recorded.model.configuration.perLayer[0]
                let width = operation.name.hasPrefix("cache_v") ? layer.valueWidth : layer.keyWidth
                let all = isWholeCache ? now * width : snapshot.values.count
                #expect(written == all, "\(label)")
            }
        }
    }

    /// The blobs themselves, as a notebook would read them: little-endian, `ne0` fastest.
    @Test func blobsAreTheEvaluatedBytes() async throws {
        let recorded = try await Recorded(generate: 2, Capture(.all))
        for snapshot in recorded.passes[1].nodes where snapshot.node.output.memory == .fresh {
            let rows = try recorded.store.rows(
                """
                SELECT dtype, first_element, n_elements, run_length, data FROM tensor JOIN op ON op.id = op_id
                JOIN pass ON pass.id = pass_id WHERE step = 1 AND seq = \(snapshot.node.index)
                """)
            #expect(rows.count == 1)
            #expect(rows[0].prefix(4) == [.text("f32"), 0, .integer(Int64(snapshot.values.count)), .null])
            let data = try #require(rows[0][4].blob)
            let bits = stride(from: 0, to: data.count, by: 4).map { start in
                (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[data.startIndex + start + $1]) << (8 * UInt32($1)) }
            }
            #expect(bits == snapshot.values.map(\.bitPattern), "\(snapshot.node.name)")
        }
        // Keys and values of the cache stay F16, and only what was written is kept.
        let kvSize = recorded.model.configuration.perLayer[0].keyWidth
        let cache = try recorded.store.rows(
            "SELECT dtype, n_elements, length(data) FROM tensor JOIN op ON op.id = op_id WHERE kind = 'SET_ROWS' AND pass_id = 1"
        )
        #expect(cache.count == 4)
        for row in cache {
            #expect(
                row == [
                    .text("f16"), .integer(Int64(recorded.promptTokens * kvSize)),
                    .integer(Int64(recorded.promptTokens * kvSize * 2)),
                ])
        }
    }

    /// The last token's column, and nothing else.
    @Test(arguments: [TinyModel.gqa, .biases, .stories])
    func lastKeepsTheLastToken(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 2, Capture(.last))
        let run = try recorded.store.run()
        for (operation, snapshot) in zip(try recorded.operations(step: 0), recorded.passes[0].nodes)
        where snapshot.node.output.memory == .fresh {
            let (shape, dimension) = (operation.shape, snapshot.node.tokenDimension)
            let values = try recorded.store.values(of: operation, in: run)
            for (element, expected) in zip(shape.indices, snapshot.values) {
                let isLast = [element.i0, element.i1, element.i2, element.i3][dimension] == shape[dimension] - 1
                #expect(
                    values[element]?.bitPattern == (isLast ? expected.bitPattern : nil), "\(operation.name) \(element)")
            }
        }
        #expect(
            try recorded.store.integers(
                "SELECT DISTINCT n_elements FROM tensor JOIN op ON op.id = op_id WHERE kind = 'SET_ROWS'")
                == [recorded.model.configuration.perLayer[0].keyWidth])
        // Of a decode pass the last token is all.
        for operation in try recorded.operations(step: 1) where operation.kind == "MUL_MAT" {
            #expect(try recorded.store.values(of: operation, in: run).isComplete)
        }
    }

    @Test func policiesDecideWhichRowsThereAre() async throws {
        func counts(_ capture: Capture) async throws -> [Int?] {
            let store = try await Recorded(generate: 2, capture).store
            return try ["op", "op_input", "attention_head", "tensor", "token", "logit", "pass"].map {
                try store.integers("SELECT count(*) FROM \($0)")[0]
            }
        }
        let none = try await counts(Capture(.none))
        let stats = try await counts(Capture(.stats))
        let last = try await counts(Capture(.last))
        let all = try await counts(Capture(.all))
        let names = try await counts(Capture(.all, names: ["kq-*", "l_out-1"]))
        #expect(none[..<4] == [0, 0, 0, 0] && stats[3] == 0)
        #expect(stats[..<3] == all[..<3] && last[..<3] == all[..<3] && names[..<3] == all[..<3])
        #expect(last[3] == all[3] && names[3] == 2 * 3)
        for counts in [none, stats, last, all, names] { #expect(counts[4...] == none[4...] && (counts[5] ?? 0) == 40) }
    }

    @Test(
        arguments: [
            ("kq-*", ["kq-0", "kq-1"]), ("kq-?", ["kq-0", "kq-1"]), ("*", nil), ("?out-0", []),
            ("l_out-0", ["l_out-0"]),
            ("*soft*-1", ["kq_soft_max-1"]), ("KQ-0", []), ("k", []), ("**q-0", ["kq-0"]),
        ] as [(String, [String]?)])
    func patternsMatchWholeNames(pattern: String, names: [String]?) throws {
        let capture = Capture(.all, names: [pattern])
        let all = ["embd", "kq-0", "kq-1", "kq_soft_max-0", "kq_soft_max-1", "l_out-0", "Qcur-0 (view)"]
        #expect(all.filter(capture.keepsValues(of:)) == names ?? all)
        #expect(!Capture(.stats, names: [pattern]).keepsValues(of: "kq-0"))
    }

    @Test func whatWasNotCapturedIsSaidToBe() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.all, names: ["kq-*"]))
        let run = try recorded.store.run()
        let operations = try recorded.operations(step: 0)
        for operation in operations where operation.name == "Qcur-0" {
            let error = TraceError.notCaptured(name: "Qcur-0", capture: "all kq-*")
            #expect(throws: error) { try recorded.store.values(of: operation, in: run) }
            #expect(error.description.contains("Qcur-0") && error.description.contains("all kq-*"))
        }
        let kq = try #require(operations.first { $0.name == "kq-0" })
        #expect(try recorded.store.values(of: kq, in: run).isComplete)
    }

    // MARK: large tensors

    /// Blobs of at most so many bytes, put together again.
    @Test(arguments: [Capture.Policy.all, .last], [64, 100, 1 << 20])
    func largeTensorsAreKeptInChunks(policy: Capture.Policy, limit: Int) throws {
        let tokens = [1, 5, 9, 7]
        let photographer = Recorded.Photographer()
        var pass = try Session(TinyModel.gqa.load(), positions: 8, threads: 1).pass(
            over: tokens, observers: [photographer])
        try pass.interpreter.run()
        var chunked = 0
        for (evaluation, _) in photographer.nodes {
            guard
                let selection = Selection(
                    evaluation.node, inputs: evaluation.inputs.map(\.layout), tokens: tokens.count,
                    capture: Capture(policy))
            else { continue }
            let chunks = CapturedRuns.read(selection, evaluation, tokens: tokens.count, limit: limit)
            let whole = CapturedRuns.read(selection, evaluation, tokens: tokens.count)
            #expect(whole.count == 1 && chunks.reduce(Data()) { $0 + $1.data } == whole[0].data)
            #expect(chunks.map(\.count).reduce(0, +) * whole[0].type.blockBytes == selection.bytes)
            #expect(indices(chunks) == indices(whole), "\(evaluation.node.name)")
            // A run is never cut, however long.
            for chunk in chunks where chunk.runLength != nil || whole[0].runLength == nil {
                #expect(chunk.data.count <= limit)
            }
            if chunks.count > 1 { chunked += 1 }
        }
        #expect((chunked > 10) == (limit < 1000))
    }

    private func indices(_ chunks: [CapturedRuns]) -> [Int] {
        chunks.flatMap { chunk in
            (0..<chunk.count).map { i in
                chunk.firstElement + i / (chunk.runLength ?? chunk.count) * (chunk.runStride ?? 0)
                    + i % (chunk.runLength ?? chunk.count)
            }
        }
    }

    /// A trace whose blobs someone cut in two reads as before.
    @Test func chunksAreReadTogether() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.all))
        let queue = try DatabaseQueue(path: recorded.path)
        try await queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO tensor SELECT op_id, 1, n_elements / 2, n_elements - n_elements / 2, NULL, NULL, dtype,
                        substr(data, n_elements / 2 * 4 + 1) FROM tensor WHERE run_length IS NULL AND dtype = 'f32';
                    UPDATE tensor SET n_elements = n_elements / 2, data = substr(data, 1, n_elements / 2 * 4)
                        WHERE chunk = 0 AND run_length IS NULL AND dtype = 'f32';
                    """)
        }
        try queue.close()
        let run = try recorded.store.run()
        var count = 0
        for (operation, snapshot) in zip(try recorded.operations(step: 0), recorded.passes[0].nodes)
        where snapshot.node.output.memory == .fresh {
            let values = try recorded.store.values(of: operation, in: run)
            #expect(values.all.map { $0?.bitPattern } == snapshot.values.map(\.bitPattern))
            count += 1
        }
        #expect(try recorded.store.integers("SELECT count(*) FROM tensor WHERE chunk = 1") == [count] && count > 30)
    }
}
