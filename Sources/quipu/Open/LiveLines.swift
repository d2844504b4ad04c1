import Foundation
import Recording

/// Lines of JSON that are sent as they come, as the body of an answer.
enum LiveLines {
    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .withoutEscapingSlashes
        return encoder
    }

    static func line(_ value: some Encodable) -> [UInt8] {
        ((try? encoder.encode(value)).map(Array.init) ?? []) + [UInt8(ascii: "\n")]
    }
}

/// The tokens of a run that is being written, with what else they might have been.
struct LiveTokens {
    private let path: String
    private var told = 0

    init(of path: String) { self.path = path }

    struct News: Encodable {
        var tokens: [Token] = []
    }

    struct Token: Encodable {
        let position: Int
        let piece: String
        let source: String
        let rivals: [LiveCandidates.Candidate]
    }

    /// What has come since it was last asked.
    mutating func news() -> News {
        guard let store = try? TraceStore.open(path: path), let run = try? store.run(),
            let tokens = try? store.tokens(of: run), tokens.count > told,
            let passes = try? store.passes(of: run)
        else { return News() }
        let fresh = tokens[told...].map { token in
            let before = passes.first { $0.firstPosition + $0.tokens == token.position }
            return Token(
                position: token.position, piece: token.piece, source: token.source,
                rivals: before.flatMap { try? LiveCandidates.best(5, after: $0, in: store) } ?? [])
        }
        told = tokens.count
        return News(tokens: fresh)
    }
}

/// What a run expected after its prompt, and what it then said.
struct LiveCandidates: Encodable {
    struct Candidate: Encodable {
        let piece: String
        let logit: Double?
        let probability: Double?
    }

    let candidates: [Candidate]
    let text: String

    init(of path: String) throws {
        let store = try TraceStore.open(path: path)
        let run = try store.run()
        candidates = try store.passes(of: run).first.map { try Self.best(10, after: $0, in: store) } ?? []
        text = try store.tokens(of: run).filter { $0.source != "prompt" }.map(\.piece).joined()
    }

    static func best(_ count: Int, after pass: RecordedPass, in store: TraceStore) throws -> [Candidate] {
        try store.candidates(after: pass).prefix(count).map {
            Candidate(piece: $0.piece, logit: $0.logit, probability: $0.probability)
        }
    }
}
