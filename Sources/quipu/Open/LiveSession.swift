import ComputeGraph
import EmbeddedModel
import Foundation
import LlamaModel
import Presentation
import ProgramFiles
import Quantization
import Quantizing
import Recording
import ReportPage
import Synchronization
import Tracing

/// What a live page works on: a model, and traces of it. All that it makes is a file in its folder, so that it finds its work
/// again when it is started anew.
final class LiveSession: Sendable {
    /// `nil` if the opened trace's model is not there: then nothing is run.
    let model: String?
    /// Why the model cannot be run, if it is one that can only be looked at.
    private let refusal: String?
    /// Whether it is the embedded model that nobody named: someone who wants to see what this is.
    private let isFirstLook: Bool
    let folder: URL
    /// The trace that was opened, which is number 0.
    private let opened: String?
    private let threads: Int
    private let lastNumber: Mutex<Int>
    private let digests = Mutex<[Digest]>([])
    private let replaying = Mutex<Void>(())

    struct Trace: Encodable, Sendable {
        let id: Int
        let prompt: String
        let text: String
        /// As on the command line: `--scale 'kqv_out-2[24:32]=0'`.
        let changes: [String]
        let path: String
    }

    /// - Parameter file: a trace or a model; `nil` for the model that is taken when none is named.
    /// - Throws: `GGUFError` or `TraceError` if it cannot be read, `FileProblem` if the folder cannot be made.
    init(opening file: String?, threads: Int) throws {
        let isTrace = file.flatMap { PathKind.start(of: $0, bytes: 16) } == Data("SQLite format 3\0".utf8)
        let path: String
        if isTrace, let file {
            (opened, path) = (file, file)
            model = try TraceStore.open(path: file).run().currentModelPath()
            (refusal, isFirstLook) = (nil, false)
        } else {
            let gguf = try ModelArgument.open(file)
            refusal = Llama.refusal(of: gguf).map { "\($0)" }
            (opened, path, model) = (nil, gguf.path, gguf.path)
            isFirstLook = file == nil && ModelArgument.preferred == nil
        }
        self.threads = threads
        let absolute = URL(filePath: path).resolvingSymlinksInPath().standardizedFileURL
        let name = absolute.deletingPathExtension().lastPathComponent.prefix(40)
        folder = UserFolders.current.state.appending(path: "open/\(name)-\(Self.mark(of: absolute.path))")
        try Folders.make(folder, advice: UserFolders.stateAdvice)
        lastNumber = Mutex(Self.numbers(in: folder).last ?? 0)
    }

    /// Tells files of one name apart: FNV-1a of the path.
    private static func mark(of path: String) -> String {
        String(path.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, radix: 36)
    }

    private static func numbers(in folder: URL) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.compactMap { $0.hasSuffix(".db") ? Int($0.dropLast(3)) : nil }.sorted()
    }

    /// - Throws: `LiveProblem.noTrace`.
    func path(of id: Int) throws(LiveProblem) -> String {
        if id == 0, let opened { return opened }
        let path = path(ofNew: id)
        guard id > 0, FileManager.default.fileExists(atPath: path) else { throw .noTrace(id) }
        return path
    }

    func path(ofNew id: Int) -> String { folder.appending(path: "\(id).db").path }

    /// The traces that can be looked at, oldest first; one that a killed run left without a token is none.
    func traces() throws -> [Trace] {
        ((opened == nil ? [] : [0]) + Self.numbers(in: folder)).compactMap { id in
            guard let path = try? path(of: id), let store = try? TraceStore.open(path: path),
                let run = try? store.run(),
                let tokens = try? store.tokens(of: run), !tokens.isEmpty,
                let changes = try? store.interventions(of: run)
            else { return nil }
            return Trace(
                id: id, prompt: run.prompt, text: tokens.filter { $0.source != "prompt" }.map(\.piece).joined(),
                changes: changes.map { LiveChange(kind: $0.kind.rawValue, target: $0.target, spec: $0.spec).shown },
                path: path)
        }
    }

    /// A number for a trace that is about to be written. Another `quipu open` may be at work here too.
    func nextTrace() -> Int {
        lastNumber.withLock {
            $0 = max($0, Self.numbers(in: folder).last ?? 0) + 1
            return $0
        }
    }

    /// So that who types `quipu open` for the first time has something to see. Of a model that was named nothing is run.
    func runFirst() throws {
        guard isFirstLook, try traces().isEmpty else { return }
        let request = LiveRun(prompt: "Mia has the red ball. Tom is at the lake. Who has the ball?", generate: 8)
        let outcome = try OwnProgram.run(
            try arguments(for: request, writing: nextTrace()), isStopped: { Task.isCancelled })
        try Task.checkCancellation()
        if outcome.status != 0 { throw InputError(outcome.complaint) }
    }

    /// The command that runs a prompt or repeats a trace with changes.
    func arguments(for run: LiveRun, writing id: Int) throws(LiveProblem) -> [String] {
        guard let model else { throw .noModel }
        var words = ["trace", "--json", "--threads=\(threads)", "--output=\(path(ofNew: id))"]
        if let parent = run.from {
            words += ["--from=\(try path(of: parent))"]
            for change in run.changes ?? [] { words.append(try change.word(path(of:))) }
        } else {
            guard let prompt = run.prompt, !prompt.utf8.contains(0) else {
                throw .badRequest("no prompt without zero bytes")
            }
            words += ["--prompt=\(prompt)", "--generate=\(min(max(run.generate ?? 1, 1), 256))"]
            if let temperature = run.temperature { words.append("--temperature=\(temperature)") }
            if let topK = run.topK { words.append("--top-k=\(topK)") }
            if let topP = run.topP { words.append("--top-p=\(topP)") }
            if let seed = run.seed { words.append("--seed=\(seed)") }
        }
        return words + ["--", model]
    }

    /// The page of a trace, or of the model alone, with what makes it live.
    ///
    /// - Parameters:
    ///   - id: the trace; `nil` for the newest, or for none if there is none.
    ///   - base: the address's first part, which nobody else knows.
    ///   - nonce: what scripts must carry to run.
    func page(of id: Int?, base: String, nonce: String) throws -> String {
        let traces = try traces()
        let id = id ?? traces.last?.id
        let state = LiveState(
            base: base, current: id, canRun: model != nil && refusal == nil, whyNot: refusal,
            model: model.map(Terminal.pathFromHere) ?? "", traces: traces)
        let live = ReportPage.Live(state: try state.pageJSON(), nonce: nonce)
        guard let id else {
            let name = model.map { URL(filePath: $0).lastPathComponent } ?? ""
            return try ReportPage.html(title: "Quipu: \(name)", data: nil, live: live)
        }
        let digest = try digest(of: try path(of: id))
        return try ReportPage.html(title: digest.title, data: digest.json, live: live)
    }

    /// What the report's views show of a trace at once.
    private func digest(of path: String) throws -> Digest {
        try kept(.run, of: path) { store, run, model in
            // Formats are measured where that takes no time.
            var formats: [any EncodableFormat] = []
            if case .file(let file) = model, file.byteCount < 64 << 20 {
                formats = try QuantFormats("Q4_0,Q8_0,Q6_K,Q4_K,Q2_K", importance: nil).formats
            }
            return try RunDigest(
                of: run, in: store, model: model, formats: formats, workers: Workers(threads: threads),
                evaluates: false
            ).pageJSON()
        }
    }

    /// What they show once the prompt was evaluated again, a JSON document; one prompt at a time.
    func replay(of id: Int) throws -> String {
        try replaying.withLock { _ in
            try kept(.replay, of: path(of: id)) { store, run, model in
                try ReplayDigest(of: run, in: store, model: model, threads: threads).pageJSON()
            }.json
        }
    }

    /// A digest of a trace, made if none is kept of the file as it is now; the last few are kept.
    private func kept(
        _ part: Digest.Part, of path: String, made: (TraceStore, RecordedRun, ModelAtHand) throws -> String
    ) throws -> Digest {
        let written = try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
        let known = digests.withLock { $0.first { $0.part == part && $0.path == path && $0.written == written } }
        if let known { return known }
        let store = try TraceStore.open(path: path)
        let run = try store.run()
        let json = try made(store, run, try ModelAtHand(of: run, in: store))
        let digest = Digest(
            part: part, path: path, written: written, title: "Quipu: \(run.prompt.prefix(60))", json: json)
        digests.withLock { $0 = [digest] + $0.filter { $0.part != part || $0.path != path }.prefix(7) }
        return digest
    }

    private struct Digest: Sendable {
        enum Part { case run, replay }

        let part: Part
        let path: String
        let written: Date?
        let title: String
        let json: String
    }
}

/// What the page's script is told.
private struct LiveState: Encodable {
    let base: String
    @OrNull var current: Int?
    let canRun: Bool
    @OrNull var whyNot: String?
    let model: String
    let traces: [LiveSession.Trace]
}
