import ComputeGraph
import LlamaModel
import Presentation
import Recording
import Tokenization
import Tracing

/// A recorded run: the prompt's pass, then one pass for each further token.
struct Tracing {
    var session: Session
    let recorder: TraceRecorder
    var sampler: Sampler
    var changes: ChangedRun
    let progress: RunProgress
    /// Whether an end-of-generation token ends the run.
    var stopsAtEnd = true
    /// How well the prompt's tokens were predicted, where that was asked for.
    var surprise: PromptSurprise?
    /// Tokens to follow, by id, and what is made of the logits after the prompt.
    var followed: [Int] = []
    var metric: NamedMetric?
    /// Whether other runs follow, which go on with the progress.
    var isOneOfSeveral = false
    /// Whether the prompt's text goes ahead of what is generated.
    var showsPrompt = true

    private var promptIds: [Int] = []
    private(set) var generated: [Int] = []
    private(set) var text = ""
    private var operations = 0
    private var passes = 0
    private var promptNs = 0
    private var decodeNs = 0
    private var summary: PassSummary?
    private(set) var firstPrediction: Prediction?
    private(set) var tracked: [TrackedToken] = []
    /// Of the passes: logits that were no numbers.
    private(set) var brokenLogits = 0

    init(session: Session, recorder: TraceRecorder, sampler: Sampler, changes: ChangedRun, progress: RunProgress) {
        self.session = session
        self.recorder = recorder
        self.sampler = sampler
        self.changes = changes
        self.progress = progress
    }

    /// - Parameter stream: called with the prompt when it is evaluated, and with each piece of text as it is generated.
    mutating func run(_ ids: [Int], generate: Int, stream: ((String) -> Void)?) throws {
        let vocabulary = session.model.vocabulary
        promptIds = ids
        var detokenizer = Detokenizer(vocabulary)
        try recorder.record(
            tokens: ids, from: 0, source: "prompt",
            scores: surprise?.tokens.map { $0.map { ($0.logProbability, $0.rank) } } ?? [])
        try note(surprise?.tracked ?? [])
        let summary = PassSummary(layers: session.model.configuration.layers)
        self.summary = summary
        var prediction = try evaluate(ids, observers: [summary])
        firstPrediction = prediction
        if let metric { try recorder.record(metric: metric.value(prediction.logits)) }
        // From here on the text itself shows the progress, if it is printed to the terminal.
        if stream != nil, Terminal.isOutputTerminal { progress.end() }
        if showsPrompt { stream?(vocabulary.decode(ids)) }

        while generated.count < generate {
            let token = sampler.sample(prediction.logits)
            try recorder.record(
                tokens: [token], from: ids.count + generated.count, source: "generated", prediction: prediction)
            generated.append(token)
            let piece = detokenizer.append(token)
            text += piece
            stream?(piece)
            let isEnd = vocabulary.endOfGeneration.contains(token)
            if generated.count == generate || (isEnd && stopsAtEnd) { break }
            prediction = try evaluate([token], observers: [])
        }
        let rest = detokenizer.finish()
        text += rest
        stream?(rest)
        if !isOneOfSeveral { progress.end() }
    }

    private mutating func note(_ more: [TrackedToken]) throws {
        try recorder.record(more)
        tracked += more
    }

    private mutating func evaluate(_ tokens: [Int], observers: [any ExecutionObserver]) throws -> Prediction {
        let start = ContinuousClock.now
        var pass = try session.pass(over: tokens, observers: observers + [recorder, progress])
        try changes.prepare(&pass, step: passes)
        try recorder.begin(pass)
        progress.begin(pass)
        try pass.interpreter.run()
        let prediction = Prediction(logits: pass.logits!)
        brokenLogits += prediction.notFinite
        let elapsed = start.duration(to: .now).nanoseconds
        try recorder.end(pass, prediction: prediction, nanoseconds: elapsed)
        try note(
            prediction.tracked(
                followed, after: pass.firstPosition + tokens.count - 1, session.model.vocabulary))
        session.advance(past: pass)
        operations += pass.interpreter.graph.nodes.count
        passes += 1
        if passes == 1 { promptNs = elapsed } else { decodeNs += elapsed }
        return prediction
    }

    func outcome(path: String, bytes: Int, wallNs: Int, capture: Capture) -> TraceReport.Outcome {
        TraceReport.Outcome(
            trace: path, promptIds: promptIds, generatedIds: generated, generatedText: text, operations: operations,
            passes: passes, sizeBytes: bytes, wallNs: wallNs, promptNs: promptNs, decodeNs: decodeNs, capture: capture,
            summary: summary!, prediction: firstPrediction!, changes: changes, parent: recorder.parent,
            surprise: surprise, tracked: tracked,
            metric: metric.map { ($0.text, $0.value(firstPrediction!.logits)) })
    }
}
