import ComputeGraph
import GGUF
import LlamaModel
import Testing

/// The small models that are committed with the tests.
public enum TinyModel: String, CaseIterable, Sendable {
    case gqa = "tiny-gqa-q4_1"
    case biases = "tiny-bias-f16"
    case kQuants = "tiny-kquants"
    case stories = "stories260K"
    case mixtral = "tiny-mixtral"
    case unpackedLatent = "tiny-deepseek2-old"

    public var path: String { Places.fixture(rawValue + ".gguf") }
    public func file() throws -> GGUFFile { try GGUFFile(path: path) }
    public func load() throws -> Llama { try Llama(file: file()) }

    /// Those that have a golden table of every node.
    public static let withGoldenNodes: [TinyModel] = [.gqa, .biases, .kQuants, .mixtral, .unpackedLatent]
}

/// A small random model of an architecture: `Tests/Fixtures/tiny-NAME.gguf`, with what llama.cpp computes on it.
public struct ArchitectureFixture: Sendable, CustomTestStringConvertible {
    public let name: String

    /// One of each architecture that Quipu runs; its files are missing if nobody made them.
    public static let all = Architectures.names.map(ArchitectureFixture.init)

    public var path: String { Places.fixture("tiny-\(name).gguf") }
    public func load() throws -> Llama { try Llama(file: GGUFFile(path: path)) }
    public func golden() throws -> GoldenNodes { try GoldenNodes("tiny-\(name).tsv") }
    public var testDescription: String { name }
}

extension Session {
    /// Evaluates a pass over `tokens` and moves on.
    ///
    /// - Returns: the logits of the last token.
    public mutating func logits(after tokens: [Int], observers: [any ExecutionObserver] = []) throws -> [Float] {
        var pass = try pass(over: tokens, observers: observers)
        try pass.interpreter.run()
        advance(past: pass)
        return pass.logits!
    }
}
