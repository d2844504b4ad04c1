import ArgumentParser
import Foundation
import LlamaModel
import Recording
import Tracing

/// What a run is made with that the model does not have by itself.
struct InterventionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Give elements of an operation's output a value, after it is computed and before anyone reads it. In every \
            pass, or with @N after the name in step N; with += in place of =, add to them. Repeatable. (default: none)
            """, valueName: "name[…]=x"))
    var set: [String] = []
    @Option(
        help: ArgumentHelp(
            "Multiply elements of an operation's output. Repeatable. (default: none)", valueName: "name[…]=x"))
    var scale: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            Take an operation's output, or elements of it, from another trace (its newest run, or TRACE#RUN), where wanted \
            from other elements there, as in l_out-3[:,4]=other.db[:,7]. Repeatable. (default: none)
            """, valueName: "name=trace"))
    var patch: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            Add a number, a vector in a .npy file, or one in a GGUF file (FILE.gguf:TENSOR) to each row of an operation's \
            output or elements of it; a vector may be followed by *FACTOR. Repeatable. (default: none)
            """, valueName: "name[…]=x"))
    var add: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            Add llama.cpp's control vector: direction.K of the file to the stream after layer K. Repeatable: they are \
            summed first. (default: none)
            """, valueName: "file.gguf[*factor]"),
        completion: .model)
    var controlVector: [String] = []
    @Option(
        help: ArgumentHelp(
            "Layers that get the control vector, from A to before B, as in 4:12. (default: all that it has)",
            valueName: "a:b"))
    var controlVectorLayers: LayerRange?
    @Option(
        help: ArgumentHelp(
            """
            Change a stored number of a weight tensor: NAME@row=R,block=B,code=I:V, or scale=X, scale*=X, min=X, min*=X \
            in the place of code; of F32, F16 and BF16, NAME@row=R,column=C,value=X. Repeatable. (default: none)
            """, valueName: "edit"))
    var weight: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            Repeat a run of this trace, with its model, prompt and sampling, and compute only what depends on the \
            changes. (default: compute all)
            """, valueName: "trace"))
    var from: String?
    @Option(help: ArgumentHelp("The run of --from, by its id. (default: the newest)", valueName: "id")) var run: Int?

    /// Whether there is any.
    var isGiven: Bool { from != nil || !(set + scale + patch + weight + add + controlVector).allSatisfy(\.isEmpty) }

    func validate() throws {
        if run != nil, from == nil { throw ValidationError("--run goes with --from, the trace that it is a run of") }
        if controlVectorLayers != nil, controlVector.isEmpty {
            throw ValidationError("--control-vector-layers goes with --control-vector")
        }
    }

    /// Patches first, then what is set, then what is scaled, then what is added.
    func interventions() throws -> Interventions {
        var records: [InterventionRecord] = []
        for text in weight where !text.isEmpty { records.append(try .weight(text)) }
        for text in patch where !text.isEmpty {
            records.append(try .patch(text))
        }
        for text in set where !text.isEmpty { records.append(try .change(.set, text)) }
        for text in scale where !text.isEmpty { records.append(try .change(.scale, text)) }
        for text in add where !text.isEmpty { records.append(try .add(text)) }
        var vector = ControlVector()
        for text in controlVector where !text.isEmpty {
            let (path, factor) = InterventionRecord.scaled(text)
            try vector.add(path, factor: factor, layers: controlVectorLayers?.layers)
        }
        return try Interventions(records + vector.records)
    }
}

/// `4:12`, or `7`.
struct LayerRange: ExpressibleByArgument {
    let layers: Range<Int>

    init?(argument: String) {
        let bounds = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = bounds[0], let last = bounds.count == 1 ? first + 1 : bounds[1], bounds.count <= 2,
            first >= 0,
            first < last
        else { return nil }
        layers = first..<last
    }
}

/// What a trace is made of: a model, tokens, and what is changed.
struct TraceSetup {
    let model: Llama
    let prompt: String
    let ids: [Int]
    let generate: Int
    let sampling: Sampler.Options
    var changes: ChangedRun
    let parent: RunReference?
    /// Whether a chat template wrote the prompt.
    let isConversation: Bool

    /// The first run of a prompt.
    init(
        _ model: Llama, prompt: Prompt, generate: Int, sampling: Sampler.Options, _ interventions: Interventions
    ) throws {
        self.model = try interventions.applied(to: model)
        (self.prompt, ids) = (prompt.text, prompt.ids)
        (self.generate, self.sampling) = (generate, sampling)
        (changes, parent) = (ChangedRun(interventions), nil)
        isConversation = prompt.isConversation
    }

    /// A parent's run again.
    ///
    /// - Parameter generate: tokens; as many as the parent's if `nil`.
    init(
        from path: String, run id: Int?, model: String?, generate: Int?, adding interventions: Interventions
    ) throws {
        let store = try LastTrace.open(path)
        let run = try store.run(id: id)
        var options = ReplayOptions()
        options.model = model
        let replay = try options.open(run, in: store)
        let tokens = try store.tokens(of: run)
        prompt = run.prompt
        isConversation = false
        ids = tokens.filter { $0.source == "prompt" }.map(\.id)
        self.generate = generate ?? tokens.count - ids.count
        sampling = try store.sampling(of: run)
        changes = try ChangedRun(adding: interventions, to: replay, in: store)
        // From the file's weights, the parent's changes first.
        self.model = try changes.interventions.applied(to: replay.model)
        parent = RunReference(uuid: run.uuid, path: URL(fileURLWithPath: path).standardizedFileURL.path)
    }
}
