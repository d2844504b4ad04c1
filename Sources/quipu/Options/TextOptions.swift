import ArgumentParser
import EmbeddedModel
import GGUF
import LlamaModel
import Measuring
import Tokenization

/// The text that models are scored on.
struct TextOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The text; - is standard input. (default: held-out stories, for the embedded model and versions of it)",
            valueName: "path"),
        completion: .file())
    var file: String?
    @Option(
        help: """
            Tokens of a chunk, which is evaluated on its own. (default: \(ScoredText.defaultChunk), or what the model was \
            trained for if that is less)
            """)
    var chunk: Int?
    @Option(
        help: """
            Chunks to use, the first ones. (default: all; where many versions of a model are measured, fewer the larger it \
            is)
            """)
    var chunks: Int?

    func validate() throws { try Self.validate(chunk: chunk, chunks: chunks) }

    /// Options of these names that a command has itself, because its text is another: none comes with the model.
    static func validate(chunk: Int?, chunks: Int?) throws {
        let least = ScoredText.shortestChunk
        if let chunk, chunk < least { throw ValidationError("--chunk takes \(least) or more") }
        if let chunks, chunks < 1 { throw ValidationError("--chunks takes 1 or more") }
    }

    /// - Parameter defaultChunks: chunks to use if the user does not say. `nil`: all.
    /// - Throws: `InputError` if no text is named and none comes with the model, `ScoringProblem` if the text or the models
    ///   do not fit.
    func text(for model: Llama, and other: Llama? = nil, defaultChunks: Int? = nil) throws -> ScoredText {
        let path = try file ?? Self.heldOut(for: model)
        return try ScoredText(
            try InputFile.bytes(path), name: InputFile.name(path), for: model, and: other,
            chunkSize: chunk, limit: chunks ?? defaultChunks)
    }

    /// The same for a command that compares two models, and that takes a prompt, scored in one piece, in place of a file.
    func text(for model: Llama, or prompt: PromptOptions) throws -> ScoredText {
        guard prompt.isGiven else {
            return try text(for: model, defaultChunks: ScoredText.chunksForComparing(model))
        }
        return try ScoredText(tokens: try prompt.read(for: model).ids, name: "the prompt", for: model)
    }

    /// - Throws: `ValidationError` if there is a prompt and these options, too.
    func validate(beside prompt: PromptOptions) throws {
        guard prompt.isGiven, file != nil || chunk != nil || chunks != nil else { return }
        throw ValidationError(
            "--prompt, --chat and --ids are read in one piece; leave --file, --chunk and --chunks out")
    }

    /// The text that comes with the embedded model, for models of the same vocabulary.
    private static func heldOut(for model: Llama) throws -> String {
        if let file = try? GGUFFile(path: EmbeddedModel.path()), let embedded = try? Tokenizer(metadata: file.metadata),
            embedded.vocabulary.count == model.vocabulary.count,
            embedded.vocabulary.firstDifference(from: model.vocabulary) == nil
        {
            return try EmbeddedModel.path(of: EmbeddedModel.heldOutText)
        }
        throw InputError(
            "\(model.file.path): no text comes with this model; name one with --file, as long as you can wait for. "
                + "Figures can be compared only if they are of the same text.")
    }
}
