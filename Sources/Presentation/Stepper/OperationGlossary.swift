import ComputeGraph
import Foundation
import Operations
import Recording

/// What an operation is for in the network, what its dimensions count, and which numbers stand in its formula.
///
/// What a kind of operation computes is said by the operation itself.
enum OperationGlossary {
    /// What the operation is for: by its role, else what its kind computes.
    static func meaning(of operation: RecordedOperation) -> String {
        guard let role = operation.role else { return summary(of: operation) }
        if operation.isView { return view(operation, role) }
        switch role.step {
        case .absorbed?:
            return "Queries as questions to latent vectors: what would make keys of these is multiplied in beforehand."
        case .rotated?:
            return operation.kind == RoPE.kind ? rotation : summary(of: operation)
        case .unweighted?:
            return [.query, .key].contains(role.part)
                ? summary(of: operation)
                : "Scales each token's column to a root mean square of 1, whatever its size was."
        case .normed?:
            return role.part == .expertWeights
                ? "Divides the weights of a token's experts by their sum." : "Weights each channel by what was learned."
        case .biased?:
            return role.part == .routerChoice
                ? "Adds a bias that was learned: it changes which experts are chosen, not how much they count."
                : "Adds the bias that was learned."
        case .scaled?: return summary(of: operation)
        case .groups?: return "Groups of experts: those whose best two experts rate highest stay in the choice."
        case .masked?: return "Ratings of experts, those of groups that were not chosen put out of the running."
        case .sum?: return "The sum of the weights of a token's experts."
        case .partial?: return summary(of: operation)
        case .view?: return summary(of: operation)
        case .heads?:
            return role.part == .mix
                ? "Mixes the values of all positions, weighted by attention." : summary(of: operation)
        case .rows?:
            if role.part == .expertWeights { return "The router's probabilities of the chosen experts." }
            return role.part == .embedding
                ? "Looks up each token's row in the embedding table."
                : "Keeps the last token's column only: the prediction needs no other."
        case .product?: return product(role.part) ?? summary(of: operation)
        case nil: return result(role.part, operation) ?? summary(of: operation)
        }
    }

    private static let rotation = "Rotates pairs of channels by the token's position, so that scores see distance."

    private static func summary(of operation: RecordedOperation) -> String {
        operation.operation?.summary ?? "Operation \(operation.kind)."
    }

    /// A product that is not yet the part's result.
    private static func product(_ part: NodeRole.Part) -> String? {
        switch part {
        case .query: "Queries: what each token looks for, all query heads side by side."
        case .key: "Keys: what each token can be found by, all KV heads side by side."
        case .value: "Values: what each token hands over to those that look at it."
        case .queryKeyValue: "Queries, keys and values of all heads in one product."
        case .latent: "The latent vector that keys and values are made of, and the part of all keys that is rotated."
        case .keyValue: "Keys and values of all heads, unpacked from the latent vector."
        case .gate: "The gate: how far each hidden unit opens."
        case .up: "The content of each hidden unit, which its gate lets through."
        case .attentionWrite: "What attention adds to the residual stream, before its bias, norm or scale."
        case .feedForwardWrite:
            "What the feed-forward part adds to the residual stream, before its bias, norm or scale."
        case .logits: "Logits: a score for each token of the vocabulary, before they are scaled."
        case .routerScores: "The router: how well each expert fits the token."
        case .expertGate: "The gates of the chosen experts: how far each hidden unit opens."
        case .expertUp: "The content of each hidden unit of the chosen experts."
        case .expertOutput: "What each chosen expert makes of its hidden units, before it is weighted."
        case .sharedGate: "How much of the expert that all tokens go through counts, before it is bent."
        case .sharedOutput: "What the expert that all tokens go through makes."
        case .scores: "Scores: how well each query fits each key, in every head, before their cap."
        case .embedding, .attentionNorm, .keyCache, .valueCache, .pattern, .mix, .attentionResidual, .feedForwardNorm,
            .activation, .layerOutput, .finalNorm, .routerProbabilities, .routerChoice, .expertWeights,
            .expertActivation, .expertSum:
            nil
        }
    }

    private static func result(_ part: NodeRole.Part, _ operation: RecordedOperation) -> String? {
        let isBias = operation.kind == Add.kind
        return switch part {
        case .embedding:
            operation.kind == Scale.kind
                ? "Multiplies the embeddings by one number: the residual stream begins."
                : "Looks up each token's row in the embedding table: the residual stream begins."
        case .attentionNorm: "Weights each channel by what was learned: what attention reads."
        case .feedForwardNorm: "Weights each channel by what was learned: what the feed-forward part reads."
        case .finalNorm: "Weights each channel by what was learned: what the output matrix reads."
        case .query where operation.kind == Concat.kind:
            "Queries as the latent vectors are asked, and behind them the part that was rotated."
        case .key where operation.kind == Concat.kind:
            "Keys as the cache keeps them: what distance does not matter to, and behind it the part that was rotated."
        case .query, .key:
            switch operation.kind {
            case RoPE.kind: rotation
            case Scale.kind: "Multiplies queries by one number, in place of the scores."
            default: product(part)
            }
        case .value, .gate, .up: isBias ? "Adds the bias that was learned." : product(part)
        case .queryKeyValue, .keyValue: product(part)
        case .latent: "The latent vector that keys and values of all heads are made of, normalised."
        case .keyCache: "Writes this pass's keys into the cache, rounded to F16."
        case .valueCache: "Writes this pass's values into the cache, rounded to F16."
        case .scores:
            operation.kind == Scale.kind
                ? "Scores, bent below a cap: how well each query fits each key, in every head."
                : "Scores: how well each query fits each key, in every head."
        case .pattern: "Attention: each head shares 1 out over the positions a token may look at."
        case .mix: "Puts the heads of a token side by side again."
        case .attentionWrite: "What attention adds to the residual stream, all heads combined."
        case .attentionResidual: "The residual stream after attention: what came in plus what attention adds."
        case .activation:
            "Hidden units: the gate, bent by \(operation.kind == GEGLU.kind ? "gelu" : "silu"), times the content."
        case .feedForwardWrite:
            isBias
                ? "Adds the bias or the last expert: what the feed-forward part adds to the residual stream."
                : "What the feed-forward part adds to the residual stream."
        case .routerScores, .expertGate, .expertUp: product(part)
        case .routerProbabilities:
            operation.kind == SoftMax.kind
                ? "The router's choice as shares: all experts of a token together make 1."
                : "The router's ratings as numbers between 0 and 1, each expert by itself."
        case .routerChoice: "The experts of each token in order of preference: it goes through the first of them."
        case .expertWeights: "How much of what each chosen expert makes counts."
        case .expertActivation: "Hidden units of the chosen experts: the gate, bent by silu, times the content."
        case .expertOutput: "What each chosen expert makes, times the weight that the router gave it."
        case .expertSum: "What the chosen experts make together."
        case .sharedGate: "How much of the expert that all tokens go through counts: a number between 0 and 1."
        case .sharedOutput: operation.kind == Mul.kind ? "The same, as far as its gate lets it through." : product(part)
        case .layerOutput: "The residual stream after this layer: what the next layer reads."
        case .logits: "Logits: a score for each token of the vocabulary. The highest is predicted."
        }
    }

    private static func view(_ operation: RecordedOperation, _ role: NodeRole) -> String {
        let summary = summary(of: operation)
        switch role.part {
        case .keyCache, .valueCache:
            let what = "The \(role.part == .keyCache ? "keys" : "values") of all positions so far, from the cache"
            return summary.replacing("The same numbers", with: what, maxReplacements: 1)
        default: return summary
        }
    }

    /// The parameters of the formula, as recorded.
    static func parameters(of operation: RecordedOperation) -> String {
        guard let symbols = operation.operation?.symbols, !symbols.isEmpty,
            let all = try? JSONDecoder().decode([String: Double].self, from: Data(operation.parameters.utf8))
        else { return "" }
        return all.filter { symbols[$0.key] != nil }.sorted { $0.key < $1.key }.map {
            "\(symbols[$0.key]!) = \(Numbers.significant(Double(Float($0.value).description) ?? $0.value))"
        }.joined(separator: ", ")
    }

    /// What the dimensions count, `ne0` first; `nil` where no short word tells.
    static func dimensions(of operation: RecordedOperation) -> [String]? {
        guard let role = operation.role else { return nil }
        let isPermuted = operation.kind == Permute.kind
        switch (role.part, role.step) {
        case (.scores, _), (.pattern, _): return ["position", "token", "head"]
        case (.mix, .heads?): return ["channel", "token", "head"]
        case (.mix, .view?): return ["channel", "head", "token"]
        case (.query, .view?): return isPermuted ? ["channel", "token", "head"] : ["channel", "head", "token"]
        case (.query, _) where operation.isByHead: return ["channel", "head", "token"]
        case (.key, _) where operation.isByHead, (.value, _) where operation.isByHead:
            return ["channel", "KV head", "token"]
        case (.keyCache, nil): return ["channel", "cell"]
        case (.keyCache, _):
            return isPermuted ? ["channel", "position", "KV head"] : ["channel", "KV head", "position"]
        case (.valueCache, .view?) where operation.kind != Reshape.kind:
            return isPermuted ? ["position", "channel", "KV head"] : ["position", "KV head", "channel"]
        case (.valueCache, _): return nil
        case (.gate, _), (.up, _), (.activation, _): return ["hidden unit", "token"]
        case (.routerScores, _), (.routerProbabilities, nil): return ["expert", "token"]
        case (.routerChoice, nil), (.routerChoice, .biased?): return ["rank", "token"]
        case (.expertGate, _), (.expertUp, _), (.expertActivation, _): return ["hidden unit", "slot", "token"]
        case (.expertOutput, nil), (.expertOutput, .product?): return ["channel", "slot", "token"]
        case (.expertWeights, _), (.routerChoice, _), (.routerProbabilities, _): return nil
        case (.logits, _): return ["vocabulary"]
        default: return operation.shape.ne0 == 1 ? nil : ["channel", "token"]
        }
    }
}

extension RecordedOperation {
    /// Whether heads have a dimension of their own. One token makes a shape of heads look flat.
    fileprivate var isByHead: Bool {
        switch role?.step {
        case .product?, .biased?, .view?: false
        case nil, .heads?, .rotated?: true
        default: shape.ne2 > 1 || tokens == 1 && shape.ne1 > 1
        }
    }
}
