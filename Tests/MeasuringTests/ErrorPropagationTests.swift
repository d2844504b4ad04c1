import ComputeGraph
import GGUF
import LlamaModel
import Measuring
import Operations
import Quantization
import Quantizing
import RealModule
import Tensors
import TestSupport
import Testing

@Suite struct ErrorPropagationTests {
    private let folder: TemporaryFolder
    private let micro: Llama
    private let tokens: [Int]

    init() throws {
        folder = try TemporaryFolder()
        micro = try Llama(file: GGUFFile(path: Places.microWorld))
        tokens = try micro.tokenizer.encode("Mia has the red ball. Who has the ball?")
    }

    private func quantized(
        _ model: Llama, _ type: String, _ options: QuantizeOptions = QuantizeOptions(), name: String = "out.gguf"
    ) throws -> Llama {
        var options = options
        options.allowsRequantizing = true
        let plan = try QuantizationPlan(
            model.file, as: try #require(QuantizationMix.named(type)), options, hasImportance: false)
        let path = folder.path(name)
        try ModelQuantizer(file: model.file, plan: plan, importance: nil, workers: Workers(threads: 2))
            .write(to: path, overwrite: true)
        return try Llama(file: try GGUFFile(path: path))
    }

    /// A real pass with logits of every position.
    private func predictions(_ model: Llama, _ tokens: [Int]) throws -> [Prediction] {
        var pass = try Session(model, positions: tokens.count, threads: 2).pass(
            over: tokens, outputs: tokens.indices)
        try pass.interpreter.run()
        let logits = try #require(pass.interpreter.value(of: .node(pass.interpreter.graph.nodes.count - 1))).floats()
        let count = model.configuration.vocabulary
        return tokens.indices.map { Prediction(logits: Array(logits[$0 * count..<($0 + 1) * count])) }
    }

    /// Mean KL divergence, from probabilities.
    private func kld(_ reference: [Prediction], _ other: [Prediction]) -> Double {
        let each = zip(reference, other).map { p, q in
            let (a, b) = (probabilities(p), probabilities(q))
            return zip(a, b).reduce(0.0) { $0 + ($1.0 > 0 ? $1.0 * Double.log($1.0 / $1.1) : 0) }
        }
        return each.reduce(0, +) / Double(each.count)
    }

    private func probabilities(_ prediction: Prediction) -> [Double] {
        let largest = Double(prediction.logits.max()!)
        let e = prediction.logits.map { Double.exp(Double($0) - largest) }
        let sum = e.reduce(0, +)
        return e.map { $0 / sum }
    }

    /// Scores two rows at a time, logits eight: the same numbers.
    @Test func partsGiveTheSameErrors() throws {
        let other = try quantized(micro, "Q4_0")
        let wholeWork = try ErrorPropagation(reference: micro, quantized: other, tokens: tokens, threads: 2)
        let partsWork = try ErrorPropagation(
            reference: micro, quantized: other, tokens: tokens, threads: 2, partBytes: 64)
        let (whole, inParts) = (try wholeWork.runs(), try partsWork.runs())
        #expect(whole.operations.count == inParts.operations.count)
        for (mine, theirs) in zip(inParts.operations, whole.operations) {
            #expect(mine.seq == theirs.seq && mine.worstInput == theirs.worstInput, "\(mine.name)")
            #expect(mine.lastPosition == theirs.lastPosition, "\(mine.name)")
            for cause in ErrorCause.allCases {
                #expect(mine.accumulated[cause]?.mse == theirs.accumulated[cause]?.mse, "\(mine.name)")
                #expect(mine.local?[cause]?.mse == theirs.local?[cause]?.mse, "\(mine.name)")
            }
        }
        for cause in ErrorCause.allCases { #expect(inParts.divergence[cause]?.kld == whole.divergence[cause]?.kld) }
        let (mine, theirs) = (try partsWork.shares(), try wholeWork.shares())
        #expect(mine.map(\.kld) == theirs.map(\.kld))
    }

    /// The logits of every architecture can be made in parts.
    @Test(arguments: ArchitectureFixture.all)
    func runsSideBySideInEveryArchitecture(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        let found = try ErrorPropagation(
            reference: model, quantized: model, tokens: [1, 5, 9, 7, 3], threads: 2, partBytes: 64
        ).runs()
        #expect(found.divergence[.both]!.kld.count == 5)
        #expect(found.operations.last?.role.result == .logits)
    }

    /// What comes before a part is taken from the reference; evaluated again, it is the same.
    @Test(arguments: ArchitectureFixture.all)
    func partsBeginWhereTheyDiffer(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        let exact = try quantized(model, "F32", name: "f32.gguf")
        let work = try ErrorPropagation(
            reference: exact, quantized: try quantized(exact, "F16"), tokens: [1, 5, 9, 7, 3], threads: 2, partBytes: 64
        )
        let (whole, short) = (try work.partPasses(streamBytes: 0), try work.partPasses())
        for part in ModelPart.all(layers: model.configuration.layers) {
            #expect(try short.kld(of: part) == whole.kld(of: part), "\(part.name)")
        }
    }

    @Test func tooMuchMemoryIsRefusedBefore() throws {
        #expect {
            _ = try ErrorPropagation(
                reference: micro, quantized: micro, tokens: tokens, threads: 1, memoryLimit: 1 << 20)
        } throws: { error in
            guard case .memory(tokens.count, let estimate, 1 << 20)? = error as? PropagationProblem else {
                return false
            }
            return estimate > 1 << 20 && "\(error)".contains("--max-memory")
        }
    }

    @Test(arguments: [TinyModel.stories])
    func anF32FileHasNoError(model: TinyModel) throws {
        let model = try model.load()
        let work = try ErrorPropagation(reference: model, quantized: model, tokens: [1, 5, 9, 7, 3], threads: 2)
        let found = try work.runs()
        #expect(found.divergence.values.allSatisfy { $0.maximum == 0 && $0.sameTop == 5 })
        #expect(found.operations.count > 100)
        for operation in found.operations {
            #expect(operation.accumulated.values.allSatisfy { $0.mse == 0 }, "\(operation.name)")
            #expect(operation.local?.values.allSatisfy { $0.mse == 0 } ?? true, "\(operation.name)")
        }
        let shares = try work.shares()
        #expect(shares.count == 7 && shares.allSatisfy { $0.kld == 0 && $0.share == 0 })
    }

    /// A file held against itself has no weight error, whatever it is stored in; formats that round activations show it.
    @Test(arguments: [TinyModel.gqa, .kQuants, .biases])
    func aFileAgainstItself(model: TinyModel) throws {
        let model = try model.load()
        let found = try ErrorPropagation(reference: model, quantized: model, tokens: [1, 5, 9, 7, 3], threads: 2).runs()
        #expect(found.divergence[.weights]!.maximum == 0)
        #expect(found.divergence[.activations]!.mean > 0 && found.divergence[.both]!.mean > 0)
        #expect(found.operations.allSatisfy { $0.accumulated[.weights]!.mse == 0 })
        #expect(found.operations.allSatisfy { $0.local?[.weights]!.mse ?? 0 == 0 })
    }

    /// With an F32 file as base, reference and real run are the runs of the two files.
    @Test(arguments: ["F16", "Q4_0", "Q4_K_M", "Q8_0"])
    func wholeModelDivergenceIsThatOfTheTwoFiles(type: String) throws {
        let exact = try quantized(micro, "F32", name: "f32.gguf")
        let other = type == "F16" ? micro : try quantized(micro, type)
        let found = try ErrorPropagation(reference: exact, quantized: other, tokens: tokens, threads: 2).runs()
        let expected = kld(try predictions(exact, tokens), try predictions(other, tokens))
        // Both sums are in Double; the terms cancel to divergences down to 1e-8.
        #expect(abs(found.divergence[.both]!.mean - expected) < 1e-12 + 1e-6 * expected)
        #expect(expected > 0)
    }

    /// The same with the norms, scales and biases of each architecture; and each part has its share.
    @Test(arguments: ArchitectureFixture.all)
    func divergenceIsThatOfTheTwoFilesInEveryArchitecture(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        let exact = try quantized(model, "F32", name: "f32.gguf")
        let other = try quantized(exact, "F16")
        let tokens = [1, 5, 9, 7, 3]
        let work = try ErrorPropagation(reference: exact, quantized: other, tokens: tokens, threads: 2)
        let found = try work.runs()
        let expected = kld(try predictions(exact, tokens), try predictions(other, tokens))
        #expect(abs(found.divergence[.both]!.mean - expected) < 1e-12 + 1e-6 * expected)
        #expect(try work.shares().map(\.part).count == model.configuration.layers + 2)
    }

    /// The run of quantised weights and F32 activations is a real run of those weights written out as F32.
    @Test func weightsOnlyIsTheRunOfDecodedWeights() throws {
        let exact = try quantized(micro, "F32", name: "f32.gguf")
        let other = try quantized(micro, "Q4_K_M")
        let decoded = try quantized(other, "F32", name: "decoded.gguf")
        let found = try ErrorPropagation(reference: exact, quantized: other, tokens: tokens, threads: 2).runs()
        let again = try ErrorPropagation(reference: exact, quantized: decoded, tokens: tokens, threads: 1).runs()
        #expect(found.divergence[.weights]!.kld == again.divergence[.both]!.kld)
        for (mine, theirs) in zip(found.operations, again.operations) {
            #expect(mine.accumulated[.weights]!.mse == theirs.accumulated[.both]!.mse, "\(mine.name)")
            #expect(mine.local?[.weights]!.mse == theirs.local?[.both]!.mse, "\(mine.name)")
        }
        // And decoded weights round no activations.
        #expect(again.divergence[.activations]!.maximum == 0)
    }

    /// Only layer 1 is quantised: all error starts there.
    @Test func errorStartsWhereItIs() throws {
        var options = QuantizeOptions()
        options.overrides = [try TypeOverride(parsing: "blk\\.[023]\\.=f32")]
        (options.outputType, options.embeddingType) = (.f32, .f32)
        let exact = try quantized(micro, "F32", name: "f32.gguf")
        let other = try quantized(micro, "Q4_0", options)
        let work = try ErrorPropagation(reference: exact, quantized: other, tokens: tokens, threads: 2)
        let found = try work.runs()
        let first = try #require(found.operations.first { $0.layer == 1 })
        for operation in found.operations {
            let isBefore = operation.seq < first.seq
            let isIn = operation.layer == 1 && operation.kind == "MUL_MAT" && operation.weightType != nil
            if isBefore { #expect(operation.accumulated.values.allSatisfy { $0.mse == 0 }, "\(operation.name)") }
            if let local = operation.local {
                for cause in ErrorCause.allCases { #expect((local[cause]!.mse > 0) == isIn, "\(operation.name)") }
            }
        }
        // The first product has exact input, so that all of its error is its own.
        let query = try #require(found.operations.first { $0.name == "Qcur-1" && $0.kind == "MUL_MAT" })
        for cause in ErrorCause.allCases { #expect(query.local![cause]!.mse == query.accumulated[cause]!.mse) }
        #expect(query.worstInput == 0 && query.jump == query.accumulated[.both]!.relativeRMSE)
        #expect(found.operations.last!.name == "result_output" && found.operations.last!.worstInput > 0)
        let shares = try work.shares()
        #expect(shares.map(\.share) == [0, 0, 1, 0, 0, 0])
        #expect(shares[2].kld == found.divergence[.both]!.mean)
        #expect(shares[2].part == .layer(1))
    }

    /// A real model: tied embeddings, Q4_1 and Q8_0, a first token whose values dwarf all others'.
    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func realModel() throws {
        let model = try Llama(file: GGUFFile(path: Places.smolLM2))
        let tokens = try model.tokenizer.encode("The capital of France is")
        let found = try ErrorPropagation(reference: model, quantized: model, tokens: tokens, threads: 2).runs()
        #expect(found.operations.allSatisfy { $0.accumulated[.weights]!.mse == 0 })
        let decoded = try quantized(model, "F32")
        let expected = kld(try predictions(decoded, tokens), try predictions(model, tokens))
        // The file's weights as F32, run for real, are the reference.
        #expect(abs(found.divergence[.both]!.mean - expected) < 1e-12 + 1e-6 * expected)
        #expect(expected > 0 && found.divergence[.both]!.sameTop == tokens.count)
    }

    @Test func anotherModelIsRefused() throws {
        let (one, other) = (try TinyModel.gqa.load(), try TinyModel.kQuants.load())
        #expect(throws: PropagationProblem.self) {
            try ErrorPropagation(reference: one, quantized: other, tokens: [1, 2], threads: 1)
        }
        #expect(throws: LlamaError.emptyPrompt) {
            try ErrorPropagation(reference: one, quantized: one, tokens: [], threads: 1)
        }
        #expect(throws: LlamaError.contextExceeded(needed: 600, limit: 512)) {
            try ErrorPropagation(reference: one, quantized: one, tokens: Array(repeating: 1, count: 600), threads: 1)
        }
    }

    /// Weights as they decode, activations rounded and back, products in Double; F32 sums differ by their rounding.
    @Test(arguments: [TensorType.q4_0, .q4_1, .q4_K, .f16], [1, 3])
    func productInF32(type: TensorType, columns: Int) throws {
        var generator = SeededGenerator(seed: 11)
        // More rows than are decoded at a time, and not a whole number of them.
        let (width, rows) = (256, 1030)
        let format = try #require(BlockFormats.encodableFormat(for: type))
        let values = generator.floats(width * rows, in: -1...1)
        let w = Tensor.zeros(type, Shape(width, rows))
        for row in 0..<rows {
            w.buffer.withMutableBytes(in: row * w.layout.rowBytes..<(row + 1) * w.layout.rowBytes) { bytes in
                format.encode(Array(values[row * width..<(row + 1) * width]).span, importance: nil, into: &bytes)
            }
        }
        let x = generator.tensor(width, columns)
        for rounding in [nil, format.activationType] {
            let output = Tensor.zeros(.f32, Shape(rows, columns))
            FloatProduct(MatMul(), rounding: rounding).evaluate([w, x], into: output, on: Workers(threads: 2))
            let found = output.floats()
            for column in 0..<columns {
                let activations = try rounded(Array(x.floats()[column * width..<(column + 1) * width]), rounding)
                for row in [0, 1, 1023, 1024, 1029] {
                    var decoded = [Float](repeating: 0, count: width)
                    var span = decoded.mutableSpan
                    w.withBytes {
                        format.decode(
                            $0.extracting(row * w.layout.rowBytes..<(row + 1) * w.layout.rowBytes), into: &span)
                    }
                    let terms = zip(decoded, activations).map { Double($0) * Double($1) }
                    let scale = terms.reduce(0) { $0 + abs($1) }
                    let difference = abs(Double(found[column * rows + row]) - terms.reduce(0, +))
                    #expect(difference < 1e-6 * scale, "row \(row), \(String(describing: rounding))")
                }
            }
        }
    }

    private func rounded(_ values: [Float], _ type: TensorType?) throws -> [Float] {
        guard let type, type != .f32 else { return values }
        let format = try #require(BlockFormats.activationFormat(for: type))
        let row = Tensor.zeros(type, Shape(values.count))
        row.buffer.withMutableBytes(in: 0..<row.layout.byteCount) { format.encodeActivations(values.span, into: &$0) }
        var result = values
        var span = result.mutableSpan
        row.withBytes { format.decode($0, into: &span) }
        return result
    }
}
