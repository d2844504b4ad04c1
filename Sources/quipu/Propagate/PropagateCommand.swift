import ArgumentParser
import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import Measuring
import Presentation
import ProgramFiles
import Quantizing
import Recording

struct PropagateCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "propagate",
        abstract: "Where quantisation error enters a forward pass, how it grows, and whether it matters.",
        usage: "quipu propagate [MODEL] --prompt TEXT [options]",
        discussion: """
            The graph is run four times side by side, on the same tokens: with exact weights and activations (the \
            reference), with quantised weights only, with rounded activations only (a product with Q4_1 weights rounds \
            them to Q8_1, and so on), and with both, which is the real run to the bit. Every operation's output is held \
            against the reference's: accumulated, as it comes in each run; local, with the reference's activations as \
            input, so that only its own error is seen. Rounding of the KV cache (F16) and of attention's own products is in \
            all four.

            The exact weights are those of --base, the same model in higher precision (with an F32 file, the reference \
            is that file's real run; an F16 file's weights are taken without its rounding of activations). With --as, \
            MODEL's weights are exact and a copy in that type is the quantised model, with llama.cpp's mix. With \
            neither, a file has nothing but itself to be held against: its weights have no error then, and only rounding \
            of activations is seen.

            Divergence is KL(reference || run) in nats, over all positions of the prompt. A layer's share is the \
            divergence with this layer quantised, weights and activations, and nothing else, out of the sum over all parts. \
            The causes need not add up: the real run multiplies in integers and adds block by block, and one rounding \
            that falls otherwise changes all that follow.

            Example:
              quipu propagate --prompt "Mia has the red ball." --as Q4_0
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @OptionGroup var prompt: PromptFileOptions
    @Option(
        help: ArgumentHelp(
            "The same model in higher precision, to hold MODEL against. (default: MODEL itself)", valueName: "file"),
        completion: .model)
    var base: String?
    @Option(
        name: .customLong("as"),
        help: ArgumentHelp(
            "Quantise MODEL to this and hold the copy against it. (default: as it is)", valueName: "type"))
    var type: String?
    @Option(help: "Operations to list.") var limit = 10
    @Flag(help: "Leave out the layers' shares of the divergence, which take a pass a layer.") var noShares = false
    @Option(
        name: .shortAndLong,
        help: """
            Record the real run here, with table op_error; in a file .jsonl, the rows of the result as they come. (default: \
            nothing is written)
            """,
        completion: .trace)
    var output: String?
    @Flag(help: "Replace the output if it is an earlier one of its kind.") var force = false
    @Flag(help: "Add a run to the output if it is an earlier trace.") var append = false
    @Flag(help: "Go on with the output .jsonl of a run that was cut off; begin it if there is none.") var resume = false
    @Option(
        help: ArgumentHelp(
            "Compute this share of the rows alone, such as 2/5, in an output .jsonl; `quipu merge` unites all of them. (default: all)",
            valueName: "i/n"))
    var part: ResultsPart?
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !prompt.isGiven { throw ValidationError("give --prompt, --file, --chat or --ids") }
        if base != nil, type != nil { throw ValidationError("give --base or --as, not both") }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
        if keepsRows {
            if append { throw ValidationError("--append adds to a trace; --resume goes on with a file of results") }
            return try keeping.validate(output: output)
        }
        if resume || part != nil {
            throw ValidationError("--resume and --part go with an --output that ends in .jsonl")
        }
        if type != nil, output != nil {
            throw ValidationError(
                "--output records a run of a file that stays; write one with `quipu quantize` and give MODEL as --base")
        }
        if force || append, output == nil { throw ValidationError("--force and --append go with --output") }
        if force, append { throw ValidationError("--force replaces a trace, --append adds to it; give one of them") }
    }

    func run() async throws {
        let given = try ModelArgument.llama(model)
        let exact = try base.map { try ModelArgument.llama($0) } ?? given
        let prompt = try prompt.read(for: given)
        // Said before anything long is computed; what is refused later leaves no empty trace behind.
        if let output, !keepsRows, !force, !append, FileManager.default.fileExists(atPath: output) {
            throw TraceError.exists(path: output)
        }
        let quantized = try type.map { try quantize(given, as: $0) } ?? given
        let propagation = try ErrorPropagation(
            reference: exact, quantized: quantized, tokens: prompt.ids, threads: threads.count,
            memoryLimit: memory.bytes)
        let parts = noShares ? [] : ModelPart.all(layers: given.configuration.layers)
        let work = try Work<Row>(
            "propagate", models: base == nil ? [given.file] : [given.file, exact.file],
            options: workOptions(prompt.ids), names: ["runs"] + parts.map(\.name),
            in: ResultsTarget(path: keepsRows ? output : nil, opening: keeping.opening, part: part))
        try measure(propagation, parts, work)
        guard let rows = work.result else { return try printing.print(work.part) }
        let runs = rows[0].runs!
        let shares = noShares ? nil : PartShare.shares(zip(parts, rows.dropFirst()).map { ($0, $1.kld!) })
        if let output, !keepsRows { try await record(runs, prompt, of: given, in: output) }
        try printing.print(
            PropagateReport(
                runs, of: prompt.ids, model: given, reference: base, type: type?.uppercased(), shares: shares,
                limit: limit))
    }

    private var keepsRows: Bool { output.map(ResultsTarget.isMeant) ?? false }

    private var keeping: KeepingOptions {
        var options = KeepingOptions()
        (options.resume, options.force, options.part) = (resume, force, part)
        return options
    }

    /// What the four runs come to, or what quantising one part does.
    private struct Row: Codable {
        var runs: ErrorPropagation.Runs?
        var kld: Double?
    }

    /// What decides about the rows, beside the models.
    private func workOptions(_ ids: [Int]) -> [String: String] {
        var options = ["ids": ids.map(String.init).joined(separator: ",")]
        options["as"] = type?.uppercased()
        options["no-shares"] = noShares ? "given" : nil
        return options
    }

    /// Computes what is missing.
    private func measure(
        _ propagation: ErrorPropagation, _ parts: [ModelPart], _ work: Work<Row>
    ) throws {
        let running = WorkProgress(verb: "running", unit: "operations")
        var (done, passes) = (work.done.count, PartPasses?.none)
        let total = done + work.missing.count
        let progress = WorkProgress(verb: "part by part", unit: "passes", before: Double(done))
        defer { progress.clear() }
        try work.run { unit in
            done += 1
            guard unit > 0 else {
                defer { running.clear() }
                return Row(runs: try propagation.runs { try running.update(done: $0, total: $1) })
            }
            passes = try passes ?? propagation.partPasses()
            let kld = try passes!.kld(of: parts[unit - 1])
            try progress.update(done: done, total: total)
            return Row(kld: kld)
        }
    }

    /// A copy in a file that is gone from its folder when it is open.
    private func quantize(_ model: Llama, as type: String) throws -> Llama {
        guard let mix = QuantizationMix.named(type) else {
            throw QuantizeProblem.fileType(found: type, known: QuantizationMix.available.map(\.fileType.name))
        }
        var options = QuantizeOptions()
        options.allowsRequantizing = true
        let plan = try QuantizationPlan(model.file, as: mix, options, hasImportance: false)
        let progress = WorkProgress(verb: "quantising")
        defer { progress.clear() }
        let quantizer = ModelQuantizer(
            file: model.file, plan: plan, importance: nil, workers: Workers(threads: threads.count),
            progress: progress.update(done:total:))
        try quantizer.check(allowsRequantizing: true)
        let scratch = try ScratchFolder("propagate")
        defer { scratch.remove() }
        let path = scratch.path("\(mix.fileType.name).gguf")
        try quantizer.write(to: path, overwrite: false)
        return try Llama(file: try GGUFFile(path: path))
    }

    /// The real run with a row for each operation, and the errors beside them.
    private func record(
        _ found: ErrorPropagation.Runs, _ prompt: Prompt, of model: Llama, in path: String
    ) async throws {
        let start = ContinuousClock.now
        let store = try TraceStore.create(path: path, append ? .appending : force ? .replacing : .new)
        let recorder = try await TraceRecorder(
            store: store, model: model,
            run: RunDescription(
                prompt: prompt.text, sampling: Sampler.Options(), threads: threads.count, kernels: "auto",
                capture: Capture(.stats), engineVersion: Quipu.version))
        let session = try Session(model, positions: prompt.ids.count, threads: threads.count)
        try recorder.record(tokens: prompt.ids, from: 0, source: "prompt")
        var pass = try session.pass(over: prompt.ids, observers: [recorder])
        try recorder.begin(pass)
        try pass.interpreter.run()
        let elapsed = start.duration(to: .now).nanoseconds
        try recorder.end(pass, prediction: Prediction(logits: pass.logits!), nanoseconds: elapsed)
        try await recorder.finish(nanoseconds: elapsed)
        let trace = try TraceStore.create(path: path, .appending)
        try trace.record(found.records, of: try trace.run(), reference: base ?? "self")
        try trace.close()
        LastTrace.remember(path)
        Terminal.complain(
            "quipu: wrote \(path); SELECT name, cause, sqnr_db FROM op_error JOIN op ON op.id = op_id")
    }
}
