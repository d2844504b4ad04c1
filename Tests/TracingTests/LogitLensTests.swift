import LlamaModel
import Measuring
import RealModule
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

@Suite struct LogitLensTests {
    /// After the last layer the lens is the model: at the last position of each pass, to the bit.
    @Test(arguments: TinyModel.allCases)
    func lastLayerIsTheRealOutput(model: TinyModel) async throws {
        try checkLastLayer(try await Recorded(model, generate: 3, Capture(.all)))
    }

    @Test(arguments: ArchitectureFixture.all)
    func lastLayerIsTheRealOutputOfEveryArchitecture(fixture: ArchitectureFixture) async throws {
        // gpt-oss makes the logits of all tokens of a pass together, and sums of several rows have another order.
        try checkLastLayer(
            try await Recorded(fixture, generate: 3, Capture(.all)), isToTheBit: fixture.name != "gpt-oss")
    }

    private func checkLastLayer(_ recorded: Recorded, isToTheBit: Bool = true) throws {
        let replay = try Replay(try recorded.store.run(), in: recorded.store, model: recorded.model)
        var stream = try ResidualStream(replay, in: recorded.store, threads: 2)
        let lens = try LogitLens(recorded.model, threads: 2)
        var position = -1
        for (step, pass) in recorded.passes.enumerated() {
            position += replay.tokens[step].count
            #expect(stream.pass(of: position).step == step)
            let columns = try stream.columns(at: position)
            #expect(columns.count == recorded.model.configuration.layers + 1)
            let (found, expected) = (try lens.prediction(from: columns.last!).logits, pass.prediction.logits)
            if isToTheBit {
                #expect(found.bits == expected.bits)
            } else {
                let error = zip(found, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
                #expect(error <= 1e-10 * expected.reduce(0.0) { $0 + Double($1 * $1) })
            }
        }
        #expect(stream.positions == 0..<position + 1)
    }

    /// What is evaluated again is what was captured; and the columns are those of the tensors.
    @Test(arguments: [TinyModel.gqa, .stories], [Capture(.none), Capture(.stats), Capture(.last), Capture(.all)])
    func streamIsTheSameHoweverItIsRead(model: TinyModel, capture: Capture) async throws {
        let recorded = try await Recorded(model, generate: 2, capture)
        let replay = try Replay(try recorded.store.run(), in: recorded.store, model: recorded.model)
        var stream = try ResidualStream(replay, in: recorded.store, threads: 1)
        let width = recorded.model.configuration.embedding
        var position = 0
        for (step, pass) in recorded.passes.enumerated() {
            for column in 0..<replay.tokens[step].count {
                let columns = try stream.columns(at: position)
                for (number, name) in (["embd"] + columns.indices.dropLast().map { "l_out-\($0)" }).enumerated() {
                    let node = try #require(pass.nodes.last { $0.node.name == name })
                    // The last layer computes the last token only.
                    let isShort = node.values.count == width && replay.tokens[step].count > 1
                    guard !isShort || column == replay.tokens[step].count - 1 else { continue }
                    let start = isShort ? 0 : column * width
                    #expect(columns[number].bits == Array(node.values[start..<start + width]).bits, "\(name)")
                }
                position += 1
            }
        }
    }

    /// Where a recorded pass stops short, the model says what it says after that much of the prompt. Sums of several
    /// columns run in another order, so not to the bit.
    @Test func earlierPositionsOfTheLastLayer() async throws {
        let recorded = try await Recorded(.stories, generate: 1, Capture(.all))
        let replay = try Replay(try recorded.store.run(), in: recorded.store, model: recorded.model)
        var stream = try ResidualStream(replay, in: recorded.store, threads: 1)
        let lens = try LogitLens(recorded.model, threads: 1)
        for position in 0..<recorded.promptTokens {
            var session = try Session(recorded.model, positions: 16, threads: 1)
            let expected = try session.logits(after: Array(recorded.tokens[...position]))
            let found = try lens.prediction(from: stream.columns(at: position).last!).logits
            let largest = zip(expected, found).map { abs($0 - $1) }.max()!
            #expect(largest < 1e-4, "position \(position): \(largest)")
        }
    }

    /// Norm and product in Double, from the weights as they decode; F32 rounding is all that may differ.
    @Test func isNormAndOutputMatrix() throws {
        let model = try TinyModel.stories.load()
        var generator = SeededGenerator(seed: 3)
        let x = generator.floats(model.configuration.embedding)
        let found = try LogitLens(model, threads: 1).prediction(from: x).logits
        let meanSquare = x.reduce(0) { $0 + Double($1) * Double($1) } / Double(x.count)
        let scale = 1 / (meanSquare + Double(model.configuration.normEpsilon)).squareRoot()
        let norm = model.weights.outputNorm.tensor.floats()
        let matrix = model.weights.output.tensor.floats()
        for token in stride(from: 0, to: found.count, by: 7) {
            let expected = x.indices.reduce(0.0) {
                $0 + Double(x[$1]) * scale * Double(norm[$1]) * Double(matrix[token * x.count + $1])
            }
            #expect(abs(Double(found[token]) - expected) < 1e-5 * max(1, abs(expected)))
        }
    }

    @Test func readingsFollowAToken() throws {
        let model = try TinyModel.stories.load()
        var generator = SeededGenerator(seed: 4)
        let stream = (0..<3).map { _ in generator.floats(model.configuration.embedding) }
        let lens = try LogitLens(model, threads: 1)
        let column = try LensColumn(
            position: 5, step: 2, stream: stream, through: lens, following: 7, top: 4, vocabulary: model.vocabulary)
        #expect(column.readings.map(\.layer) == [-1, 0, 1])
        for (x, reading) in zip(stream, column.readings) {
            let logits = try lens.prediction(from: x).logits.map(Double.init)
            let sorted = logits.indices.sorted { logits[$0] > logits[$1] }
            #expect(reading.top.map(\.token) == Array(sorted.prefix(4)))
            #expect(reading.followed.token == 7 && reading.rank == sorted.firstIndex(of: 7))
            let total = logits.reduce(0) { $0 + Double.exp($1) }
            let p = logits.map { Double.exp($0) / total }
            #expect(abs(reading.followed.probability - p[7]) < 1e-9)
            #expect(abs(reading.entropyBits + p.reduce(0) { $0 + $1 * Double.log2($1) }) < 1e-6)
        }
        let own = try LensColumn(
            position: 5, step: 2, stream: stream, through: lens, following: nil, top: 1, vocabulary: model.vocabulary)
        #expect(own.readings.allSatisfy { $0.followed.token == own.final.token } && own.readings.last!.rank == 0)
    }

    /// Recording again replaces: one row a rank, and the real output's rows stay.
    @Test func recordingTwiceIsRecordingOnce() async throws {
        let recorded = try await Recorded(.stories, generate: 1, Capture(.stats))
        let run = try recorded.store.run()
        let pass = try #require(try recorded.store.passes(of: run).first)
        let top = recorded.passes[0].prediction.top(3, recorded.model.vocabulary)
        for _ in 0..<2 {
            let writable = try TraceStore.create(path: recorded.path, .appending)
            try writable.record([
                LensRecord(pass: pass, position: 2, layer: -1, candidates: top),
                LensRecord(pass: pass, position: 2, layer: 0, candidates: top),
            ])
            try writable.close()
        }
        let store = try TraceStore.open(path: recorded.path)
        #expect(try store.integers("SELECT count(*) FROM logit WHERE lens_layer IS NOT NULL") == [6])
        #expect(try store.integers("SELECT count(*) FROM logit WHERE lens_layer IS NULL") == [20])
        #expect(
            try store.integers("SELECT token_id FROM logit WHERE lens_layer = -1 ORDER BY rank") == top.map(\.token))
    }
}

extension [Float] {
    fileprivate var bits: [UInt32] { map(\.bitPattern) }
}
