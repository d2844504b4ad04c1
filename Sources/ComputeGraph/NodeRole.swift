/// What a node's value is in the network, whatever a model family calls it: `query`, or `query.product` on the way there.
///
/// The operation's kind says how the value is made, the name what llama.cpp calls it, the role what it is. In a layer, one
/// node at most is a part's result, so that a question such as "what does attention write into the stream?" has one answer
/// in each architecture. The other nodes of the part lead to it, or only show it in another arrangement.
public struct NodeRole: Hashable, Sendable {
    /// A part of the network, by its result.
    public enum Part: String, CaseIterable, Sendable {
        /// What begins the residual stream. [E,T]
        case embedding

        /// The stream as attention reads it. [E,T]
        case attentionNorm = "attention_norm"
        /// Queries, keys and values in one product. [(H+2K)*D,T]
        case queryKeyValue = "query_key_value"
        /// What keys and values of all heads are made of, and what is kept in their place. [R,T]
        case latent
        /// Keys and values in one product. [K*(D+E),T]
        case keyValue = "key_value"
        /// As the scores use them: normalised and rotated, where the model does that. [D,H,T]
        case query
        /// As the cache keeps them. [D,K,T]
        case key
        /// As the cache keeps them. [D,K,T]
        case value
        /// The write of this pass's keys into the cache; views show what it holds.
        case keyCache = "key_cache"
        case valueCache = "value_cache"
        /// How well each query fits each key. [N,T,H]
        case scores
        /// What each head shares out over the positions: the softmax of the scores. [N,T,H]
        case pattern
        /// The values mixed by the pattern, the heads of a token side by side. [H*D,T]
        case mix
        /// What attention adds to the stream. [E,T]
        case attentionWrite = "attention_write"
        /// The stream after attention. [E,T]
        case attentionResidual = "attention_residual"

        /// The stream as the feed-forward network reads it. [E,T]
        case feedForwardNorm = "feed_forward_norm"
        /// How far each hidden unit opens. [F,T]
        case gate
        /// What each hidden unit holds. [F,T]
        case up
        /// The hidden units: the content as far as the gate lets it through. [F,T]
        case activation

        /// How well each expert fits the token. [X,T], X experts
        case routerScores = "router_scores"
        /// The same as numbers between 0 and 1. [X,T]
        case routerProbabilities = "router_probabilities"
        /// The experts in order of preference; a token goes through the first U. [X,T]
        case routerChoice = "router_choice"
        /// How much of what each chosen expert makes counts. [1,U,T] or [U,T]
        case expertWeights = "expert_weights"
        /// How far each hidden unit of each chosen expert opens. [F,U,T]
        case expertGate = "expert_gate"
        /// What each hidden unit of each chosen expert holds. [F,U,T]
        case expertUp = "expert_up"
        /// The hidden units of each chosen expert. [F,U,T]
        case expertActivation = "expert_activation"
        /// What each chosen expert makes, weighted. [E,U,T]
        case expertOutput = "expert_output"
        /// What the chosen experts make together, where more is added to it. [E,T]
        case expertSum = "expert_sum"
        /// How much of what the expert of all tokens makes counts. [1,T]
        case sharedGate = "shared_gate"
        /// What the expert of all tokens makes; its hidden units are those of a feed-forward network. [E,T]
        case sharedOutput = "shared_output"

        /// What the feed-forward network adds to the stream. [E,T]
        case feedForwardWrite = "feed_forward_write"
        /// The stream after the layer. [E,T]
        case layerOutput = "layer_output"

        /// The stream as the output matrix reads it. [E,O]
        case finalNorm = "final_norm"
        /// A score for each token of the vocabulary. [V,O]
        case logits

        /// Whether each layer has one; else there is one before or after the layers.
        public var isOfLayer: Bool { ![.embedding, .finalNorm, .logits].contains(self) }

        /// Whether each chosen expert has values of its own.
        public var isByExpert: Bool { [.expertGate, .expertUp, .expertActivation, .expertOutput].contains(self) }

        /// Whether the result is the residual stream, which each layer reads and adds to.
        public var isResidual: Bool { [.embedding, .attentionResidual, .layerOutput].contains(self) }
    }

    /// What a node of a part is if not its result.
    public enum Step: String, CaseIterable, Sendable {
        /// Rows chosen by index: of the embedding, or the tokens whose logits are wanted.
        case rows
        /// The product with the part's matrix, when more follows.
        case product
        /// The product with its bias, when more follows.
        case biased
        /// Counted by heads, when more follows.
        case heads
        /// Multiplied with what would make keys of latent vectors, so that latent vectors can be asked instead.
        case absorbed
        /// The part that is turned by the position, when the rest is put before it.
        case rotated
        /// Normalised, before the norm's weights.
        case unweighted
        /// Normalised and weighted, when more follows.
        case normed
        /// Multiplied by a number or bent below a cap, when more follows.
        case scaled
        /// Of groups of experts, when experts within them are chosen next.
        case groups
        /// Without the experts of the groups that were not chosen.
        case masked
        /// A sum that others are divided by.
        case sum
        /// Some of the terms, when more are added.
        case partial
        /// The same numbers in another arrangement, for whoever reads them next.
        case view
    }

    public let part: Part
    /// `nil` for the part's result.
    public let step: Step?

    public init(_ part: Part, _ step: Step? = nil) { (self.part, self.step) = (part, step) }

    /// The part whose result the node is; `nil` if it is none.
    public var result: Part? { step == nil ? part : nil }
}

extension NodeRole: RawRepresentable, Codable {
    /// As traces and SQL have it: `query`, `query.product`.
    public var rawValue: String { step.map { "\(part.rawValue).\($0.rawValue)" } ?? part.rawValue }

    public init?(rawValue: String) {
        let words = rawValue.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let part = words.first.flatMap(Part.init) else { return nil }
        guard words.count == 2 else {
            self.init(part)
            return
        }
        guard let step = Step(rawValue: words[1]) else { return nil }
        self.init(part, step)
    }
}
