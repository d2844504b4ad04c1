import ComputeGraph
import GGUF
import LlamaModel

/// The small models that are committed with the tests.
public enum TinyModel: String, CaseIterable, Sendable {
    case gqa = "tiny-gqa-q4_1"
    case biases = "tiny-bias-f16"
    case kQuants = "tiny-kquants"
    case stories = "stories260K"

    public var path: String { Places.fixture(rawValue + ".gguf") }
    public func file() throws -> GGUFFile { try GGUFFile(path: path) }
    public func load() throws -> Llama { try Llama(file: file()) }

    /// The three that have a golden table of every node.
    public static let withGoldenNodes: [TinyModel] = [.gqa, .biases, .kQuants]
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
