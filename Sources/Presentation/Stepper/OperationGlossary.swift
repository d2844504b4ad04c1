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
        case .unweighted?:
            return [.query, .key].contains(role.part)
                ? summary(of: operation)
                : "Scales each token's column to a root mean square of 1, whatever its size was."
        case .normed?: return "Weights each channel by what was learned."
        case .biased?: return "Adds the bias that was learned."
        case .rotated?: return rotation
        case .scaled?: return summary(of: operation)
        case .partial?: return "Some of the terms of the residual stream; more are added."
        case .view?: return summary(of: operation)
        case .heads?:
            return role.part == .mix
                ? "Mixes the values of all positions, weighted by attention." : summary(of: operation)
        case .rows?:
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
        case .gate: "The gate: how far each hidden unit opens."
        case .up: "The content of each hidden unit, which its gate lets through."
        case .attentionWrite: "What attention adds to the residual stream, before its bias, norm or scale."
        case .feedForwardWrite:
            "What the feed-forward part adds to the residual stream, before its bias, norm or scale."
        case .logits: "Logits: a score for each token of the vocabulary, before they are scaled."
        case .scores: "Scores: how well each query fits each key, in every head, before their cap."
        case .embedding, .attentionNorm, .keyCache, .valueCache, .pattern, .mix, .attentionResidual,
            .feedForwardNorm, .activation, .layerOutput, .finalNorm:
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
        case .query, .key:
            switch operation.kind {
            case RoPE.kind: rotation
            case Scale.kind: "Multiplies queries by one number, in place of the scores."
            default: product(part)
            }
        case .value, .gate, .up: isBias ? "Adds the bias that was learned." : product(part)
        case .queryKeyValue: product(part)
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
            isBias ? "Adds the bias that was learned." : "What the feed-forward part adds to the residual stream."
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
