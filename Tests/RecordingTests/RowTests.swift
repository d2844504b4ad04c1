import ComputeGraph
import Foundation
import LlamaModel
import Recording
import Tensors
import TestSupport
import Testing

/// The rows of a recorded run against what was evaluated.
@Suite struct RowTests {
    @Test func modelMetadataAndWeights() async throws {
        let recorded = try await Recorded(generate: 0, Capture(.none))
        let store = recorded.store
        #expect(
            try store.rows(
                "SELECT architecture, n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train, tied_embeddings FROM model"
            ) == [[.text("llama"), 2, 64, 4, 2, 16, 96, 302, 512, 1].map { $0 }])
        let file = try TinyModel.gqa.file()
        #expect(try store.integers("SELECT size_bytes FROM model") == [file.byteCount])
        #expect(try store.integers("SELECT n_params FROM model") == [file.parameterCount])
        #expect(try store.integers("SELECT count(*) FROM metadata") == [file.metadata.entries.count])
        #expect(try store.texts("SELECT value FROM metadata WHERE key = 'llama.rope.freq_base'") == ["10000.0"])
        #expect(try store.texts("SELECT type FROM metadata WHERE key = 'tokenizer.ggml.tokens'") == ["arr[str,302]"])
        let digest = try #require(try store.texts("SELECT sha256 FROM model")[0])
        #expect(digest == (try Self.sha256(of: TinyModel.gqa.path)))

        let weights = try store.rows(
            "SELECT name, layer, role, type, ne0, ne1, file_offset, n_bytes, bpw, part FROM weight ORDER BY id")
        #expect(weights.count == file.tensors.count)
        for (row, tensor) in zip(weights, file.tensors) {
            #expect(row[0].text == tensor.name && row[3].text == tensor.type.name)
            #expect((row[4].integer, row[5].integer) == (tensor.shape.ne0, tensor.shape.ne1))
            #expect((row[6].integer, row[7].integer, row[9].integer) == (tensor.fileOffset, tensor.byteCount, 0))
            #expect(row[8].real == Double(tensor.byteCount * 8) / Double(tensor.shape.count))
        }
        #expect(
            try store.rows("SELECT layer, role FROM weight WHERE name = 'blk.1.ffn_down.weight'") == [
                [1, .text("ffn_down")]
            ])
        #expect(
            try store.rows("SELECT layer, role FROM weight WHERE name = 'token_embd.weight'") == [
                [.null, .text("token_embd")]
            ])
    }

    private static func sha256(of path: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["sha256sum", path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        return String(decoding: data.prefix(64), as: UTF8.self)
    }

    @Test func runTokensAndPasses() async throws {
        let recorded = try await Recorded(generate: 4, Capture(.stats, names: ["kq-*", "l_out-?"]))
        let (store, prompt) = (recorded.store, recorded.promptTokens)
        let run = try store.run()
        #expect(run.isComplete && run.prompt == "Once upon a time" && run.steps == 4)
        #expect(run.capture == "stats kq-*,l_out-?" && run.modelPath == TinyModel.gqa.path)
        #expect(
            try store.rows("SELECT engine_version, seed, threads, kernels, complete, wall_ns, sampling FROM run")
                == [[.text("test"), 17, 2, .text("reference"), 1, 123_456, .text("{\"temperature\":0}")]])
        #expect(
            try store.rows("SELECT step, kind, first_position, n_tokens, wall_ns FROM pass ORDER BY id")
                == [
                    [0, .text("prefill"), 0, .integer(Int64(prompt)), 1000],
                    [1, .text("decode"), .integer(Int64(prompt)), 1, 1001],
                    [2, .text("decode"), .integer(Int64(prompt + 1)), 1, 1002],
                    [3, .text("decode"), .integer(Int64(prompt + 2)), 1, 1003],
                ])
        let tokens = try store.rows(
            "SELECT position, token_id, piece, source, logprob, rank FROM token ORDER BY position")
        #expect(tokens.map { $0[0].integer } == Array(0..<prompt + 4))
        #expect(tokens.map { $0[1].integer } == recorded.tokens)
        #expect(tokens.map { $0[2].text } == recorded.tokens.map(recorded.model.vocabulary.displayPiece))
        #expect(tokens.map { $0[3].text } == recorded.tokens.indices.map { $0 < prompt ? "prompt" : "generated" })
        for (number, row) in tokens.enumerated() {
            guard number >= prompt else {
                #expect(row[4] == .null && row[5] == .null)
                continue
            }
            // Greedy: the most probable token of the pass before.
            let logits = recorded.passes[number - prompt].prediction.logits.map(Double.init)
            let logProbability = logits.max()! - log(logits.map { exp($0) }.reduce(0, +))
            #expect(abs(try #require(row[4].real) - logProbability) < 1e-6 && row[5].integer == 0)
        }
    }

    @Test func logitsAreTheTopTwenty() async throws {
        let recorded = try await Recorded(.stories, generate: 3, Capture(.none))
        for (step, pass) in recorded.passes.enumerated() {
            let logits = pass.prediction.logits
            let sum = logits.map { exp(Double($0)) }.reduce(0, +)
            let best = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }.prefix(20)
            let rows = try recorded.store.rows(
                "SELECT rank, token_id, logit, probability, position, lens_layer FROM logit JOIN pass ON pass.id = pass_id WHERE step = \(step) ORDER BY rank"
            )
            #expect(rows.map { $0[0].integer } == Array(0..<20))
            #expect(rows.map { $0[1].integer } == Array(best))
            for (row, token) in zip(rows, best) {
                #expect(row[2].real == Double(logits[token]))
                #expect(abs(try #require(row[3].real) - exp(Double(logits[token])) / sum) < 1e-6)
                #expect(row[4].integer == recorded.promptTokens + step - 1 && row[5] == .null)
            }
        }
    }

    @Test(arguments: TinyModel.allCases)
    func everyNodeHasARowAndEveryInputAnEdge(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.stats))
        let store = recorded.store
        for (step, pass) in recorded.passes.enumerated() {
            let operations = try recorded.operations(step: step)
            #expect(operations.map(\.name) == pass.nodes.map(\.node.name))
            for (row, snapshot) in zip(operations, pass.nodes) {
                let node = snapshot.node
                #expect(row.seq == node.index && row.kind == node.kind && row.layer == node.layer)
                #expect(row.type == node.layout.type && row.shape == node.layout.shape)
                #expect(row.nanoseconds == snapshot.evaluation.nanoseconds)
                let evaluation = snapshot.evaluation
                let cost = node.operation.cost(inputs: evaluation.inputs, output: evaluation.output)
                #expect(Cost(operations: row.flops, bytesRead: row.bytesRead, bytesWritten: row.bytesWritten) == cost)
                let inputs = try store.inputs(of: row)
                #expect(inputs.map(\.name) == snapshot.sources && inputs.map(\.slot) == Array(inputs.indices))
                #expect(inputs.map(\.shape) == snapshot.evaluation.inputs.map(\.shape))
                for (input, source) in zip(inputs, node.inputs) {
                    if case .node(let index) = source {
                        #expect(input.sourceOperation == operations[index].id && input.weightID == nil)
                    } else {
                        #expect(input.sourceOperation == nil)
                        #expect(
                            (input.weightID != nil) == input.name.hasSuffix(".weight") || input.name.hasSuffix(".bias"))
                    }
                }
            }
        }
        let wrong = "(source_op_id IS NOT NULL) + (weight_id IS NOT NULL) + (leaf IS NOT NULL) <> 1"
        #expect(try store.integers("SELECT count(*) FROM op_input WHERE \(wrong)") == [0])
        #expect(
            try store.integers(
                "SELECT count(*) FROM op_input JOIN weight ON weight.id = weight_id WHERE weight.name <> op_input.name")
                == [0])
        #expect(
            Set(
                try store.texts("SELECT DISTINCT leaf FROM op_input WHERE leaf NOT LIKE 'cache%' AND leaf IS NOT NULL")
                    .compactMap(\.self)) == [
                    "inp_tokens", "inp_pos", "attn_inp_k_idxs", "attn_inp_v_idxs", "attn_inp_kq_mask", "out_ids",
                ])
    }

    /// All but the views of the cache, whose unfilled cells are no data, and writes, which count what was written.
    @Test(arguments: TinyModel.allCases)
    func statisticsAreThoseOfTheValues(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.stats))
        for (step, pass) in recorded.passes.enumerated() {
            for (row, snapshot) in zip(try recorded.operations(step: step), pass.nodes) {
                let node = snapshot.node
                var values = snapshot.values
                if node.kind == "SET_ROWS" {
                    values = snapshot.evaluation.inputs[0].floats().map { Float(Float16($0)) }
                } else if node.name.hasSuffix("(reshaped)"), node.name.hasPrefix("cache_v") {
                    let filled = step == 0 ? 0 : recorded.promptTokens + step - 1
                    values = filledValues(values, capacity: 512, filled: filled)
                }
                expectStatistics(row, values)
            }
        }
    }

    private func filledValues(_ cache: [Float], capacity: Int, filled: Int) -> [Float] {
        cache.indices.filter { $0 % capacity < filled }.map { cache[$0] }
    }

    private func expectStatistics(_ row: RecordedOperation, _ all: [Float]) {
        let values = all.filter(\.isFinite).map(Double.init)
        #expect(row.count == all.count, "\(row.name)")
        #expect(row.nans == all.count(where: \.isNaN) && row.infinities == all.count(where: \.isInfinite))
        #expect(row.zeros == values.count { $0 == 0 }, "\(row.name)")
        guard !values.isEmpty else {
            #expect(row.sum == nil && row.mean == nil && row.rms == nil && row.minimum == nil && row.maximum == nil)
            return
        }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let rms = (values.reduce(0) { $0 + $1 * $1 } / count).squareRoot()
        let std = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
        #expect(row.minimum == values.min() && row.maximum == values.max(), "\(row.name)")
        for (found, expected) in [(row.sum, mean * count), (row.mean, mean), (row.rms, rms)] {
            #expect(abs((found ?? .nan) - expected) <= 1e-9 * (rms * (found == row.sum ? count : 1)), "\(row.name)")
        }
        #expect(abs((row.std ?? .nan) - std) <= 1e-6 * rms, "\(row.name)")
    }

    @Test func groupedHeadsAndCacheBytes() async throws {
        let recorded = try await Recorded(generate: 3, Capture(.none))
        let (store, prompt) = (recorded.store, recorded.promptTokens)
        #expect(
            try store.rows("SELECT layer, head, kv_head, group_index FROM gqa_map ORDER BY layer, head")
                == (0..<2).flatMap { layer -> [[TraceStore.SQLValue]] in
                    [[0, 0, 0], [1, 0, 1], [2, 1, 0], [3, 1, 1]].map { [.integer(Int64(layer))] + $0 }
                })
        let rows = try store.rows(
            "SELECT step, layer, n_kv_heads, head_dim, n_positions, dtype, bytes, mha_bytes, mqa_bytes FROM kv_cache JOIN pass ON pass.id = pass_id ORDER BY step, layer"
        )
        #expect(rows.count == 3 * 2)
        for (number, row) in rows.enumerated() {
            let positions = prompt + number / 2
            #expect(
                row.prefix(6) == [
                    .integer(Int64(number / 2)), .integer(Int64(number % 2)), 2, 16, .integer(Int64(positions)),
                    .text("f16"),
                ])
            // Keys and values, 16 F16 values per head.
            let head = 2 * 16 * 2 * positions
            #expect(row[6...].map(\.integer) == [2 * head, 4 * head, head])
        }
    }

    @Test(arguments: [TinyModel.gqa, .stories])
    func attentionHeadsSumUpTheirRow(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.stats))
        let c = recorded.model.configuration
        for (step, pass) in recorded.passes.enumerated() {
            let first = step == 0 ? 0 : recorded.promptTokens + step - 1
            for snapshot in pass.nodes where snapshot.node.kind == "SOFT_MAX" {
                let shape = snapshot.node.layout.shape
                let rows = try recorded.store.rows(
                    """
                    SELECT head, position, kv_head, entropy_bits, top_position, top_weight, sink_weight FROM attention_head a
                    JOIN op ON op.id = a.op_id JOIN pass ON pass.id = op.pass_id
                    WHERE step = \(step) AND a.layer = \(snapshot.node.layer!) ORDER BY head, position
                    """)
                #expect(rows.count == c.heads * shape.ne1)
                for row in rows {
                    let (head, position) = (row[0].integer!, row[1].integer!)
                    let start = (head * shape.ne1 + position - first) * shape.ne0
                    let weights = snapshot.values[start..<start + shape.ne0].map(Double.init)
                    #expect(weights.dropFirst(position + 1).allSatisfy { $0 == 0 })
                    let entropy = weights.filter { $0 > 0 }.reduce(0) { $0 - $1 * log2($1) }
                    #expect(abs(row[3].real! - entropy) < 1e-9 && row[2].integer == head / c.groupSize)
                    #expect(row[4].integer == weights.firstIndex(of: weights.max()!))
                    #expect(row[5].real == weights.max() && row[6].real == weights[0])
                }
            }
        }
    }

    @Test func statisticsOfUnusualValues() {
        let s = Statistics([.nan, 3, -.infinity, 0, -1, .infinity, -0.0])
        #expect((s.count, s.nans, s.infinities, s.zeros) == (7, 1, 2, 2))
        #expect((s.sum, s.minimum, s.maximum, s.mean) == (2, -1, 3, 0.5))
        #expect(s.rms == (10.0 / 4).squareRoot() && s.std == (10.0 / 4 - 0.25).squareRoot())
        let none = Statistics([.nan, .infinity])
        #expect(none.minimum == nil && none.mean == nil && none.rms == nil && none.std == nil)
        #expect(Statistics([]).count == 0 && Statistics([]).mean == nil)
    }
}

extension TraceStore.SQLValue: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int64) { self = .integer(value) }
}
