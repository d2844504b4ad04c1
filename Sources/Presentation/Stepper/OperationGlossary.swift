import Foundation
import Recording

/// Operations in a sentence, their formulas, and what their dimensions count.
enum OperationGlossary {
    /// What the operation is for, by its name and kind.
    static func meaning(of operation: RecordedOperation) -> String {
        let words = operation.stem.split(separator: " ")
        if words.count > 1 || operation.kind == "RESHAPE" {
            switch operation.kind {
            case "SET_ROWS":
                return "Writes this pass's \(isKey(operation) ? "keys" : "values") into the cache, rounded to F16."
            case "VIEW", "RESHAPE", "PERMUTE": return viewMeaning(operation)
            default: break
            }
        }
        switch (words.first.map(String.init) ?? "", operation.kind) {
        case ("embd", _): return "Looks up each token's row in the embedding table: the residual stream begins."
        case ("norm", _): return "Scales each token's column to a root mean square of 1, whatever its size was."
        case ("attn_norm", _): return "Weights each channel by what was learned: what attention reads."
        case ("ffn_norm", _): return "Weights each channel by what was learned: what the feed-forward part reads."
        case ("result_norm", _): return "Weights each channel by what was learned: what the output matrix reads."
        case ("Qcur", "ROPE"), ("Kcur", "ROPE"):
            return "Rotates pairs of channels by the token's position, so that scores see distance."
        case ("Qcur", "MUL_MAT"): return "Queries: what each token looks for, all query heads side by side."
        case ("Kcur", "MUL_MAT"): return "Keys: what each token can be found by, all KV heads side by side."
        case ("Vcur", "MUL_MAT"): return "Values: what each token hands over to those that look at it."
        case ("wqkv", _): return "Queries, keys and values of all heads in one product."
        case ("kq", _): return "Scores: how well each query fits each key, in every head."
        case ("kq_soft_max", _): return "Attention: each head shares 1 out over the positions a token may look at."
        case ("kqv", _): return "Mixes the values of all positions, weighted by attention."
        case ("kqv_out", _): return "Puts the heads of a token side by side again."
        case ("attn_out", _): return "What attention adds to the residual stream, all heads combined."
        case ("ffn_inp", _): return "The residual stream after attention: what came in plus what attention adds."
        case ("ffn_gate", "MUL_MAT"): return "The gate: how far each hidden unit opens."
        case ("ffn_up", "MUL_MAT"): return "The content of each hidden unit, which its gate lets through."
        case ("ffn_swiglu", _): return "Hidden units: the gate, bent by silu, times the content."
        case ("ffn_out", "MUL_MAT"), ("ffn_down", "MUL_MAT"):
            return "What the feed-forward part adds to the residual stream."
        case ("l_out", _): return "The residual stream after this layer: what the next layer reads."
        case ("result_output", _): return "Logits: a score for each token of the vocabulary. The highest is predicted."
        case (_, "GET_ROWS"): return "Keeps the last token's column only: the prediction needs no other."
        case (let stem, "MUL_MAT") where stem.hasPrefix("node_"):
            return "What attention adds to the residual stream, before its bias."
        case (_, "ADD"): return "Adds the bias that was learned."
        default: return "Operation \(operation.kind)."
        }
    }

    private static func isKey(_ operation: RecordedOperation) -> Bool {
        operation.name.hasPrefix("cache_k") || operation.name.hasPrefix("Kcur")
    }

    private static func viewMeaning(_ operation: RecordedOperation) -> String {
        let what =
            operation.name.hasPrefix("cache")
            ? "The \(isKey(operation) ? "keys" : "values") of all positions so far, from the cache"
            : "The same numbers"
        switch operation.kind {
        case "RESHAPE": return what + ", counted in other dimensions. Nothing is computed."
        case "PERMUTE": return what + ", dimensions in another order. Nothing is computed."
        default: return what + ", in another layout. Nothing is computed."
        }
    }

    /// By kind, with ggml's order of indices; `nil` for a kind that is not known.
    static func formula(kind: String) -> String? {
        switch kind {
        case "GET_ROWS": "y[i,t] = W[i, index[t]]"
        case "RMS_NORM": "y[i] = x[i] / sqrt(mean(x²) + ε)"
        case "MUL": "y[i,t] = x[i,t] · w[i]"
        case "ADD": "y[i] = a[i] + b[i]"
        case "MUL_MAT": "y[r,t,h] = Σ_k W[k,r,h/g] · x[k,t,h]"
        case "ROPE": "(x₁ + i x₂) · (cos θ + i sin θ), θ = pos·base^(-2j/n)"
        case "SOFT_MAX": "y[n] = exp(z[n]) / Σ_m exp(z[m]), z = s·x + mask - max"
        case "SWIGLU": "y[i] = g[i] / (1 + exp(-g[i])) · u[i]"
        case "SET_ROWS": "cache[index[t]] = f16(x[t])"
        case "CONT": "y = x, copied in order"
        case "RESHAPE": "y = x, the elements counted in other dimensions"
        case "VIEW": "y = a part of x"
        case "PERMUTE": "y = x, dimension d becoming dimension axes[d]"
        default: nil
        }
    }

    /// The parameters of a formula, as recorded.
    static func parameters(of operation: RecordedOperation) -> String {
        let shown = ["eps": "ε", "scale": "s", "freq_base": "base", "n_dims": "n"]
        guard ["RMS_NORM", "SOFT_MAX", "ROPE"].contains(operation.kind),
            let all = try? JSONDecoder().decode([String: Double].self, from: Data(operation.parameters.utf8))
        else { return "" }
        return all.filter { shown[$0.key] != nil }.sorted { $0.key < $1.key }.map {
            "\(shown[$0.key]!) = \(Numbers.significant(Double(Float($0.value).description) ?? $0.value))"
        }.joined(separator: ", ")
    }

    /// What the dimensions count, `ne0` first; `nil` where no short word tells.
    static func dimensions(of operation: RecordedOperation) -> [String]? {
        let stem = operation.stem.split(separator: " ").first.map(String.init) ?? ""
        // One token makes a shape of heads look flat.
        let isDeep = !["MUL_MAT", "ADD"].contains(operation.kind) && words(operation) == 1 || operation.shape.ne2 > 1
        switch stem {
        case "kq", "kq_soft_max": return ["position", "token", "head"]
        case "kqv" where operation.kind == "MUL_MAT": return ["channel", "token", "head"]
        case "kqv" where operation.kind == "PERMUTE": return ["channel", "head", "token"]
        case "Qcur" where isDeep:
            return operation.kind == "PERMUTE" ? ["channel", "token", "head"] : ["channel", "head", "token"]
        case "Kcur" where isDeep, "Vcur" where isDeep: return ["channel", "KV head", "token"]
        case "result_output": return ["vocabulary"]
        case "ffn_gate", "ffn_up", "ffn_swiglu": return ["hidden unit", "token"]
        case _ where stem.hasPrefix("cache"): return cacheDimensions(operation)
        default: return operation.shape.ne0 == 1 ? nil : ["channel", "token"]
        }
    }

    private static func words(_ operation: RecordedOperation) -> Int { operation.stem.split(separator: " ").count }

    private static func cacheDimensions(_ operation: RecordedOperation) -> [String]? {
        let isKey = operation.name.hasPrefix("cache_k")
        switch (operation.kind, isKey) {
        case ("VIEW", true): return ["channel", "KV head", "position"]
        case ("VIEW", false): return ["position", "KV head", "channel"]
        case ("PERMUTE", true): return ["channel", "position", "KV head"]
        case ("PERMUTE", false): return ["position", "channel", "KV head"]
        case ("SET_ROWS", true): return ["channel", "cell"]
        default: return nil
        }
    }
}
