import ComputeGraph
import LlamaModel
import Quantization
import RealModule
import Tensors

/// How well a model predicted each token of a prompt: a pass of its own, in which all tokens get logits.
///
/// Logits are made and looked at some rows at a time, so that memory does not grow with the prompt's length times the
/// vocabulary.
public struct PromptSurprise: Sendable {
    public struct Token: Sendable, Equatable {
        /// Natural logarithm of the probability that the token got from those before it.
        public let logProbability: Double
        /// How many tokens were more probable.
        public let rank: Int

        public var bits: Double { -logProbability / Double.log(2) }
    }

    /// One for each token; `nil` for the first, which nothing is before.
    public let tokens: [Token?]
    /// What was said about tokens to follow, after each position but the last, whose pass says it.
    public let tracked: [TrackedToken]

    /// - Parameters:
    ///   - followed: ids of tokens to follow.
    ///   - observers: called for each operation but those that make logits; what they throw ends the pass.
    /// - Throws: `LlamaError` if a token is not in the vocabulary.
    public init(
        _ model: Llama, _ prompt: [Int], tracking followed: [Int] = [], threads: Int,
        instructions: InstructionSet = .best, observers: [any ExecutionObserver] = []
    ) throws {
        let session = Session(
            model, capacity: max(prompt.count, Session.defaultContext), threads: threads, instructions: instructions)
        var pass = try session.pass(over: prompt, outputs: 0..<prompt.count, observers: observers)
        let graph = pass.interpreter.graph
        var tokens = [Token?](repeating: nil, count: prompt.count)
        var tracked: [TrackedToken] = []
        func look(_ logits: Tensor, from first: Int) {
            for row in 0..<logits.shape.ne1 where first + row + 1 < prompt.count {
                let prediction = Prediction(logits: logits.row(row))
                let next = prompt[first + row + 1]
                tokens[first + row + 1] = Token(
                    logProbability: prediction.logProbability(of: next), rank: prediction.rank(of: next))
                tracked += prediction.tracked(followed, after: first + row, model.vocabulary)
            }
        }
        try pass.interpreter.run(until: graph.nodes.first { $0.role.part == .logits }?.index)
        if let parts = OutputParts(pass.interpreter) {
            for part in parts.chain.parts {
                try Task.checkCancellation()
                look(parts.evaluate(part), from: part.rows.lowerBound)
            }
        } else {
            try pass.interpreter.run()
            look(pass.logitRows!, from: 0)
        }
        (self.tokens, self.tracked) = (tokens, tracked)
    }
}
