import LlamaModel
import Tokenization

/// A text cut into chunks that models are scored on, as llama.cpp's `llama-perplexity` cuts it.
///
/// Each chunk is evaluated on its own, with the BOS token in place of its first token if the model adds one. Scored is how
/// well the tokens of its second half are predicted, so that every prediction has something to go by. Tokens after the
/// last whole chunk are left out. Source: llama.cpp `tools/perplexity/perplexity.cpp`.
public struct ScoredText: Sendable, Equatable {
    /// What the text is called in messages and reports.
    public let name: String
    /// Tokens of each chunk, as they are evaluated.
    public let chunks: [[Int]]
    public let chunkSize: Int
    /// Tokens of the whole text.
    public let tokenCount: Int

    /// The length llama.cpp's figures are quoted for.
    public static let defaultChunk = 512
    /// Below, next to nothing would be scored.
    public static let shortestChunk = 8

    /// - Parameters:
    ///   - name: a path.
    ///   - model: the model to be scored; its tokenizer cuts the text.
    ///   - other: another model that will read the same tokens.
    ///   - chunkSize: tokens of a chunk. `nil`: 512, or the positions the models were trained for if these are fewer.
    ///   - limit: chunks to use at most, the first ones.
    ///   - skipped: whole chunks at the beginning that are left out.
    ///   - parseSpecial: whether the texts of special tokens become these tokens.
    /// - Throws: `ScoringProblem` if the model has no tokenizer, the text is shorter than a chunk, a chunk longer than a model can take, or the same
    ///   tokens mean something else to the other model.
    /// - Precondition: `chunkSize` is `shortestChunk` or more, `limit` 1 or more.
    public init(
        _ bytes: [UInt8], name: String, for model: Llama, and other: Llama? = nil, chunkSize: Int? = nil,
        limit: Int? = nil, skipping skipped: Int = 0, parseSpecial: Bool = false
    ) throws(ScoringProblem) {
        let tokenizer: Tokenizer
        do throws(LlamaError) { tokenizer = try model.tokenizer } catch { throw .noTokenizer(error) }
        if let other, let difference = VocabularyDifference(model, other) {
            throw .otherVocabulary(base: model.file.path, other: other.file.path, difference: difference)
        }
        let models = [model] + [other].compactMap(\.self)
        let size = chunkSize ?? models.map(\.configuration.trainedContext).reduce(Self.defaultChunk, min)
        for model in models { try Self.check(size, for: model) }
        // Special tokens are not looked for: a text must not pretend to be anything else.
        let tokens = tokenizer.encode(bytes: bytes, addSpecial: true, parseSpecial: parseSpecial)
        guard tokens.count >= size else { throw .tooShort(text: name, tokens: tokens.count, chunk: size) }
        guard tokens.count / size > skipped else {
            throw .nothingLeft(text: name, chunks: tokens.count / size, skipped: skipped)
        }
        let start = model.vocabulary.addsBOS ? model.vocabulary.bos : nil
        let last = min(tokens.count / size, skipped + min(limit ?? .max, tokens.count))
        chunks = (skipped..<last).map { number in
            var chunk = Array(tokens[number * size..<(number + 1) * size])
            if let start { chunk[0] = start }
            return chunk
        }
        self.name = name
        self.chunkSize = size
        tokenCount = tokens.count
    }

    /// One chunk of these tokens, taken as they are.
    ///
    /// - Throws: `ScoringProblem` if there are fewer than `shortestChunk`, or more than the model can take.
    public init(tokens: [Int], name: String, for model: Llama) throws(ScoringProblem) {
        guard tokens.count >= Self.shortestChunk else {
            throw .tooShort(text: name, tokens: tokens.count, chunk: Self.shortestChunk)
        }
        try Self.check(tokens.count, for: model)
        (self.name, chunks, chunkSize, tokenCount) = (name, [tokens], tokens.count, tokens.count)
    }

    /// - Throws: `ScoringProblem.chunkTooLong`.
    static func check(_ chunkSize: Int, for model: Llama) throws(ScoringProblem) {
        let trained = model.configuration.trainedContext
        guard chunkSize <= trained else {
            throw .chunkTooLong(file: model.file.path, chunk: chunkSize, trained: trained)
        }
    }

    /// The positions in a chunk from which the next token is predicted and scored.
    public var scored: Range<Int> { chunkSize / 2..<chunkSize - 1 }

    /// The tokens that should have been predicted, one for each position of `scored`.
    public func targets(of chunk: Int) -> [Int] { scored.map { chunks[chunk][$0 + 1] } }
}
