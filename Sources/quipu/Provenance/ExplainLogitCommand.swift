import ArgumentParser
import LlamaModel
import Presentation
import Recording
import Tokenization
import Tracing

struct ExplainLogitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logit",
        abstract:
            "A token's logit as the sum of what each head and layer wrote, and one chain down to a weight's code.",
        usage: "quipu explain logit [TRACE] [--token TEXT] [options]",
        discussion: """
            Direct logit attribution at the last position of a pass: embedding, every head, every feed-forward network. \
            The final norm's scale is frozen. The model is evaluated again; its file must be the recorded one.

            Example:
              quipu explain logit trace.db --step 1
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(help: "The token, spelled with its space: ' Paris'. (default: the most probable one)") var token: String?
    @Option(help: "The token by its id. (default: the most probable one)") var tokenId: Int?
    @Option(help: "Explain how far --token's logit is above this token's. (default: none)") var against: String?
    @OptionGroup var at: PassOptions
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if token != nil, tokenId != nil { throw ValidationError("give --token or --token-id, not both") }
    }

    func run() throws {
        let store = try LastTrace.open(trace)
        let run = try store.run(id: at.run)
        let replay = try replaying.open(run, in: store, memory: memory)
        let (model, vocabulary) = (replay.model, replay.model.configuration.vocabulary)
        if let tokenId, !(0..<vocabulary).contains(tokenId) {
            throw InputError(
                "--token-id \(tokenId): the vocabulary of \(replay.model.file.path) has ids 0 to \(vocabulary - 1)")
        }
        let asked = try token.map { try model.single($0) } ?? tokenId
        let other = try against.map { try model.single($0) }
        let provenance = try Provenance(lastTokenOf: replay, step: at.step, threads: threads.count)
        let attribution = try LogitAttribution(
            of: asked ?? Sampler.argmax(provenance.logits), against: other, in: provenance)
        try printing.print(
            LogitReport(
                attribution, in: provenance, trace: Terminal.pathFromHere(store.path),
                model: ModelArgument.typed(replay.model.file.path), step: at.step))
    }
}

extension Llama {
    /// The token that is exactly this text.
    ///
    /// - Throws: `InputError` with the tokens it is made of if it is not one.
    fileprivate func single(_ text: String) throws -> Int {
        let bytes = Array(text.utf8)
        let matches = (0..<vocabulary.count).filter { vocabulary.piece($0) == bytes }
        if let match = matches.first(where: { vocabulary.kind($0) == .normal }) ?? matches.first { return match }
        let pieces = try tokenizer.encode(text, addSpecial: false).map { "'\(vocabulary.displayPiece($0))' (\($0))" }
        throw InputError(
            "'\(text)' is not one token but \(pieces.count): \(pieces.joined(separator: ", ")). "
                + "Name one of them; most words begin with a space. `quipu tokenize` shows more.")
    }
}
