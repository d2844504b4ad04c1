import GGUF
import Tensors
import Tokenization

/// A loaded model: file, sizes, weights, vocabulary.
public struct Llama: Sendable {
    public let file: GGUFFile
    private(set) var architecture: any Architecture
    public var configuration: LlamaConfiguration { architecture.configuration }
    public private(set) var weights: LlamaWeights
    /// The texts of the tokens, whether or not the tokenizer is one that Quipu has.
    public let vocabulary: Vocabulary
    private let loadedTokenizer: Result<Tokenizer, TokenizationError>

    /// A tokenizer that is missing or unknown is no obstacle: ids can be run without one.
    ///
    /// - Throws: `LlamaError` if the file is no model that Quipu runs.
    public init(file: GGUFFile) throws {
        self.file = file
        (architecture, weights) = try Self.parts(of: file)
        do throws(TokenizationError) {
            loadedTokenizer = .success(try Tokenizer(metadata: file.metadata))
        } catch {
            loadedTokenizer = .failure(error)
        }
        vocabulary =
            (try? loadedTokenizer.get())?.vocabulary
            ?? Vocabulary(listedIn: file.metadata, count: architecture.configuration.vocabulary)
    }

    /// Why a file cannot be run; `nil` if it can. This is what loading checks, without the work for the tokenizer.
    public static func refusal(of file: GGUFFile) -> LlamaError? {
        do throws(LlamaError) {
            _ = try parts(of: file)
            return nil
        } catch {
            return error
        }
    }

    private static func parts(of file: GGUFFile) throws(LlamaError) -> (any Architecture, LlamaWeights) {
        let architecture = try Architectures.architecture(of: file)
        try checkVocabulary(of: file, architecture.configuration)
        return (architecture, try LlamaWeights(file: file, architecture))
    }

    /// How many tokens there are is said by a key, the list of their texts, and the embeddings: a row each.
    private static func checkVocabulary(of file: GGUFFile, _ configuration: LlamaConfiguration) throws(LlamaError) {
        let name = "token_embd.weight"
        guard let rows = file.tensor(named: name)?.shape.ne1 else { return }
        let key = "\(configuration.architecture).vocab_size"
        let said = [
            ("tokenizer.ggml.tokens", file.metadata["tokenizer.ggml.tokens"]?.array?.count, "lists"),
            (key, file.metadata[key]?.integer, "says"),
        ]
        for case (let key, let count?, let verb) in said where count > 0 && count != rows {
            throw .otherVocabulary(file: file.path, key: key, verb: verb, count: count, tensor: name, rows: rows)
        }
    }

    /// What turns text into ids.
    ///
    /// - Throws: `LlamaError.noTokenizer`.
    public var tokenizer: Tokenizer {
        get throws(LlamaError) {
            switch loadedTokenizer {
            case .success(let tokenizer): return tokenizer
            case .failure(let reason): throw .noTokenizer(file: file.path, reason: reason)
            }
        }
    }

    /// The model with other tensors in the place of some weights, by name. Its file stays what it was.
    ///
    /// - Precondition: tensors of the same shapes.
    public func replacing(_ tensors: [String: Tensor]) -> Llama {
        for (name, tensor) in tensors {
            let shape = file.tensor(named: name)?.shape
            precondition(
                shape == tensor.shape, "'\(name)' is \(shape.map(\.description) ?? "nowhere"), got \(tensor.shape)")
        }
        var copy = self
        copy.weights = weights.replacing(tensors)
        return copy
    }

    /// X and U: experts of a layer, and how many of them a token goes through; `nil` for dense models.
    public var experts: (count: Int, used: Int)? { architecture.routing.map { ($0.count, $0.used) } }

    /// Layers that have experts.
    public var layersWithExperts: [Int] {
        (0..<configuration.layers).filter { weights["blk.\($0).ffn_gate_inp.weight"] != nil }
    }

    /// The model with another choice of experts. Its file stays what it was.
    ///
    /// - Parameters:
    ///   - used: experts of a token.
    ///   - forced: by layer, experts that each token goes through whatever the router says; their weights are the router's.
    ///   - dropped: by layer, experts that no token goes through.
    /// - Precondition: a model with experts, and as many as are needed.
    public func choosing(experts used: Int, forced: [Int: Set<Int>], dropped: [Int: Set<Int>]) -> Llama {
        var copy = self
        copy.architecture.routing!.used = used
        copy.architecture.routing!.forced = forced
        copy.architecture.routing!.dropped = dropped
        return copy
    }

    /// The model with another number of KV heads. Its file stays what it was.
    ///
    /// - Parameter tensors: by name, in all layers, what projects keys and values: `kvHeads * headSize` rows each.
    /// - Precondition: rows of that number, and `kvHeads` divides the query heads.
    public func replacing(_ tensors: [String: Tensor], kvHeads: Int) -> Llama {
        var copy = self
        copy.architecture.configuration = configuration.with(kvHeads: kvHeads)
        copy.weights = weights.replacing(tensors)
        for (weights, sizes) in zip(copy.weights.layers, copy.configuration.perLayer) {
            switch weights.attention {
            case .separate(_, let key, let value):
                key.check(rows: sizes.keyWidth)
                value.check(rows: sizes.valueWidth)
            case .fused(let matrix):
                matrix.check(rows: sizes.heads * sizes.keySize + sizes.keyWidth + sizes.valueWidth)
            }
        }
        return copy
    }
}

extension LlamaWeights.Linear {
    fileprivate func check(rows: Int) {
        precondition(
            weight.tensor.shape.ne1 == rows && bias.map { $0.tensor.shape.ne0 == rows } ?? true,
            "'\(weight.info.name)' is \(weight.tensor.shape), expected \(rows) rows, and as many in its bias")
    }
}
