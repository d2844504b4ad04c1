import ArgumentParser
import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import Measuring
import Presentation
import ProgramFiles
import Quantizing
import Tensors

struct QuantRecommendCommand: AsyncParsableCommand, StopsInOrder {
    enum Way: String, ExpressibleByArgument, CaseIterable {
        case kld, error
    }

    static let configuration = CommandConfiguration(
        commandName: "recommend",
        abstract: "Which type each tensor should get under a budget, and the proof on held-out text.",
        usage: "quipu quant recommend [MODEL] --budget BUDGET --file TEXT [options]",
        discussion: """
            Each tensor alone is written in one type after another, and the KL divergence from the model as it is says what \
            that costs; then the types are chosen that cost least under the budget. The plan is a file for \
            --tensor-type-file, of `quantize` and of llama-quantize.

            The plan is proved on text that nothing was chosen by: against llama.cpp's mix of that size, the choice by \
            weighted error alone, and a control that needs no measuring. If it gains nothing, that is said.

            Of a large model some rows of each tensor stand for all, and some tensors of each role; how far off estimates are \
            is said. The proof writes the whole model four times: --held-out-chunks 0 leaves it out.

            Example:
              quipu quant recommend --budget 5bpw --file text.txt --chunk 32 --chunks 1 --time 5s -o plan.txt --force
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(
        help: ArgumentHelp(
            """
            How large the result may be: bits per weight of all tensors, the size of the file (MB is 10^6 bytes, MiB 2^20), \
            or a file type whose size it is to have.
            """, valueName: "4.5bpw|90MB|Q4_K_M"))
    var budget: Budget
    @Option(help: ArgumentHelp("The text to measure on; - is standard input.", valueName: "path"), completion: .file())
    var file: String
    @Option(
        help: """
            Tokens of a chunk, which is evaluated on its own. (default: \(ScoredText.defaultChunk), or what the model was \
            trained for if that is less)
            """)
    var chunk: Int?
    @Option(help: "Chunks to measure on, the first ones. (default: 4 or, of models of 100 M weights and more, 2)")
    var chunks: Int?
    @Option(
        help: ArgumentHelp("The text of the proof. (default: what follows in --file)", valueName: "path"),
        completion: .file())
    var heldOut: String?
    @Option(help: "Chunks of the proof at most; 0: no proof.") var heldOutChunks = 8
    @Option(help: ImportanceOption.help, completion: .file()) var imatrix: String?
    @Option(
        help: """
            Types to choose from, separated by commas; each tensor can get those whose blocks divide its rows. (default: \
            \(CandidateSearch.usualTypes.map(\.name).joined(separator: ", ")))
            """)
    var types: String?
    @Option(help: "Choose by the divergence that is measured (kld), or by the weighted error of weights alone (error).")
    var by = Way.kld
    @Option(help: ArgumentHelp("Time for measuring; what it does not reach is estimated.", valueName: "10m"))
    var time = TimeLimit(argument: "10m")!
    @Option(
        help: ArgumentHelp(
            "Keep what was measured in this file, and begin with what it has: for another budget, or more time. (default: none)",
            valueName: "file"),
        completion: .file())
    var measurements: String?
    @Option(
        help: ArgumentHelp(
            "llama.cpp's mix to compare with. (default: the largest that the budget allows)", valueName: "type"))
    var against: String?
    @Option(name: .shortAndLong, help: "The file to write the plan to. (default: none)", completion: .file())
    var output: String?
    @Flag(help: "Replace the plan if it is there.") var force = false
    @Option(help: "Tensors to list.") var limit = 20
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        try TextOptions.validate(chunk: chunk, chunks: chunks)
        if heldOutChunks < 0 { throw ValidationError("--held-out-chunks takes 0 or more") }
        if heldOutChunks == 0, heldOut != nil || against != nil {
            throw ValidationError("--held-out-chunks 0 makes no proof, so it takes neither --held-out nor --against")
        }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
    }

    func run() async throws {
        let start = ContinuousClock.now
        if let output {
            try QuantizeCommand.check(
                output, isNeither: [model, file, heldOut, imatrix, measurements].compactMap { $0 })
            if !force, FileManager.default.fileExists(atPath: output) {
                throw InputError("\(output) is there already; write to another path, or give --force to replace it")
            }
        }
        let tried = try tensorTypes()
        let named = try against.map { try mix($0) }
        let model = try ModelArgument.llama(model)
        let importance = try imatrix.map { try ImportanceMatrix(path: $0) }
        if let importance, !model.file.tensors.contains(where: { importance.values[$0.name] != nil }) {
            throw QuantizeProblem.importanceOfOthers(
                file: importance.path, model: model.file.path, count: importance.values.count)
        }
        let (text, heldOut) = try texts(for: model)
        let search = CandidateSearch(model.file, importance: importance, workers: Workers(threads: threads.count))
        let candidates = try weighing { try search.candidates(tried, progress: $0) }
        let room = try Room(budget, model.file, candidates, hasImportance: importance != nil)
        var sensitivity: TypeSensitivity?
        if by == .kld {
            sensitivity = try measured(candidates, bits: room.bitsPerWeight, model, text, search, from: start)
        }
        let result = try recommendation(candidates, sensitivity, room, model, hasImportance: importance != nil)
        let proof = try heldOut.map { text in
            let rival = try rival(named, within: room.total, of: model, hasImportance: importance != nil)
            return try proved(result, rival, model, text, importance)
        }
        if let output {
            let advice = "Give another --output."
            try Folders.replace(output, with: Data(result.plan.text.utf8), advice: advice)
        }
        try printing.print(
            RecommendReport(
                result, proof, model: model, text: text, budget: budget.text, imatrix: imatrix, output: output,
                seconds: Double(start.duration(to: .now).nanoseconds) / 1e9, limit: limit))
    }

    // MARK: what is given

    private func tensorTypes() throws -> [TensorType] {
        guard let types else { return CandidateSearch.usualTypes }
        var chosen: [TensorType] = []
        for name in types.split(separator: ",", omittingEmptySubsequences: false) {
            let type = try TensorType.writable(named: String(name))
            if !chosen.contains(type) { chosen.append(type) }
        }
        return chosen
    }

    private func mix(_ name: String) throws -> QuantizationMix {
        guard let mix = QuantizationMix.named(name) else {
            throw QuantizeProblem.fileType(found: name, known: QuantizationMix.available.map(\.fileType.name))
        }
        return mix
    }

    /// The mix to compare with.
    private func rival(
        _ named: QuantizationMix?, within bytes: Int, of model: Llama, hasImportance: Bool
    ) throws -> (mix: QuantizationMix, plan: QuantizationPlan) {
        guard let named else {
            return try QuantizationMix.fitting(model.file, bytes: bytes, hasImportance: hasImportance)
        }
        return (named, try QuantizationPlan(model.file, as: named, hasImportance: hasImportance))
    }

    /// The text to measure on, and that of the proof.
    private func texts(for model: Llama) throws -> (ScoredText, ScoredText?) {
        let bytes = try InputFile.bytes(file)
        let name = InputFile.name(file)
        let count = chunks ?? (model.file.parameterCount < 100_000_000 ? 4 : 2)
        let text = try ScoredText(bytes, name: name, for: model, chunkSize: chunk, limit: count)
        if heldOutChunks == 0 { return (text, nil) }
        guard let heldOut else {
            return (
                text,
                try ScoredText(
                    bytes, name: name, for: model, chunkSize: chunk, limit: heldOutChunks, skipping: text.chunks.count)
            )
        }
        return (
            text,
            try ScoredText(
                try InputFile.bytes(heldOut), name: heldOut, for: model, chunkSize: chunk, limit: heldOutChunks)
        )
    }

    // MARK: the work

    private func weighing<Result>(_ body: ((Int, Int) throws -> Void) throws -> Result) throws -> Result {
        let progress = WorkProgress(verb: "quantising")
        defer { progress.clear() }
        return try body { try progress.update(done: $0, total: $1) }
    }

    private func measured(
        _ candidates: [TypeCandidates], bits: Double, _ model: Llama, _ text: ScoredText, _ search: CandidateSearch,
        from start: ContinuousClock.Instant
    ) throws -> TypeSensitivity {
        let base = try BaseLogits(
            ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions),
            streamBytes: BaseLogits.usualStreamBytes
        ) { _ in try Task.checkCancellation() }
        var sensitivity = TypeSensitivity(
            candidates, bits: bits, on: base, search, threads: threads.count, instructions: kernels.instructions)
        try takeMeasurements(into: &sensitivity)
        let progress = WorkProgress(verb: "measuring", unit: "types of tensors")
        defer { progress.clear() }
        var kept = ContinuousClock.now
        try sensitivity.measure(until: start + time.duration) { sensitivity in
            guard ContinuousClock.now - kept > .seconds(5) else { return }
            try keepMeasurements(of: sensitivity)
            kept = .now
        } progress: {
            try progress.update(done: $0, total: $1)
        }
        try keepMeasurements(of: sensitivity)
        return sensitivity
    }

    private func takeMeasurements(into sensitivity: inout TypeSensitivity) throws {
        guard let measurements, FileManager.default.fileExists(atPath: measurements) else { return }
        guard
            let kept = try? JSONDecoder().decode(
                SensitivityMeasurements.self, from: Data(try InputFile.bytes(measurements)))
        else {
            throw InputError("\(measurements): found no measurements of `quant recommend`. Name another file, or none.")
        }
        guard sensitivity.take(kept) else {
            throw InputError(
                "\(measurements): its measurements are of another model, text or importance matrix. Name another file.")
        }
    }

    private func keepMeasurements(of sensitivity: TypeSensitivity) throws {
        guard let measurements else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let data = try encoder.encode(sensitivity.measurements)
        try Folders.replace(measurements, with: data, advice: "Give another --measurements.")
    }

    private func recommendation(
        _ candidates: [TypeCandidates], _ sensitivity: TypeSensitivity?, _ room: Room, _ model: Llama,
        hasImportance: Bool
    ) throws -> Recommendation {
        func plan(_ choice: [Int]) throws -> TypePlan {
            try TypePlan(model.file, candidates, choice: choice, hasImportance: hasImportance)
        }
        guard let byError = TypePlan.byError(candidates, budget: room.open),
            let control = TypePlan.control(candidates, budget: room.open)
        else {
            throw InputError(
                "\(model.file.path): --budget \(budget.text): found \(max(0, room.total)) bytes for its tensors, expected "
                    + "at least the \(room.smallest) that the smallest of the types take. Give more, or smaller --types."
            )
        }
        let chosen = sensitivity?.allocation(budget: room.open) ?? byError
        return Recommendation(
            candidates: candidates, sensitivity: sensitivity, allocation: chosen, plan: try plan(chosen.choice),
            byError: sensitivity == nil ? nil : try plan(byError.choice), control: try plan(control),
            budgetBytes: room.total)
    }

    private func proved(
        _ result: Recommendation, _ mix: (mix: QuantizationMix, plan: QuantizationPlan), _ model: Llama,
        _ text: ScoredText, _ importance: ImportanceMatrix?
    ) throws -> PlanProof {
        var plans = [("recommended", result.plan.plan)]
        if let byError = result.byError { plans.append(("by weight error", byError.plan)) }
        plans.append((mix.mix.fileType.name, mix.plan))
        plans.append(("control", result.control.plan))
        let progress = WorkProgress(verb: "proving", unit: "tokens")
        defer { progress.clear() }
        return try PlanProof(
            plans.map { (name: $0.0, plan: $0.1) }, of: model, on: text, importance: importance,
            threads: threads.count, instructions: kernels.instructions
        ) { try progress.update(done: Int($0), total: $1) }
    }
}

/// The bytes that there are.
private struct Room {
    /// For all tensors.
    let total: Int
    /// For those that are open to change.
    let open: Int
    /// What all take at least.
    let smallest: Int
    /// Of those that are open to change.
    let bitsPerWeight: Double

    init(
        _ budget: Budget, _ file: GGUFFile, _ candidates: [TypeCandidates], hasImportance: Bool
    ) throws {
        let fixed = TypePlan.fixedBytes(of: file, besides: candidates)
        total = try budget.tensorBytes(file, hasImportance: hasImportance)
        open = total - fixed
        smallest = fixed + candidates.reduce(0) { $0 + $1.candidates[0].bytes }
        bitsPerWeight = Double(8 * open) / Double(max(1, candidates.reduce(0) { $0 + $1.weights }))
    }
}
