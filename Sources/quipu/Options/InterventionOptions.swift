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
            pass, or with @N after the name in step N. Repeatable. (default: none)
            """, valueName: "name[…]=x"))
    var set: [String] = []
    @Option(
        help: ArgumentHelp(
            "Multiply elements of an operation's output. Repeatable. (default: none)", valueName: "name[…]=x"))
    var scale: [String] = []
    @Option(
        help: ArgumentHelp(
            "Take an operation's output, or elements of it, from another trace. Repeatable. (default: none)",
            valueName: "name=trace"))
    var patch: [String] = []
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
            Repeat the last run of this trace, with its model, prompt and sampling, and compute only what depends on \
            the changes. (default: compute all)
            """, valueName: "trace"))
    var from: String?

    /// Patches first, then what is set, then what is scaled.
    func interventions() throws -> Interventions {
        var records: [InterventionRecord] = []
        for text in weight where !text.isEmpty { records.append(try .weight(text)) }
        for text in patch where !text.isEmpty {
            let (target, path) = try InterventionRecord.patchHalves(text)
            let store = try TraceStore.open(path: path)
            records.append(try .patch(target, from: try store.run(), in: store))
        }
        for text in set where !text.isEmpty { records.append(try .change(.set, text)) }
        for text in scale where !text.isEmpty { records.append(try .change(.scale, text)) }
        return try Interventions(records)
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
    init(from path: String, model: String?, generate: Int?, adding interventions: Interventions) throws {
        let store = try LastTrace.open(path)
        let run = try store.run()
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
