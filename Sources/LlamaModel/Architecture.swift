import ComputeGraph
import GGUF

/// A family of models: what its files say and hold, and the graph of a pass, read top to bottom.
///
/// One file in `Architectures/` and one line in `Architectures.all`. A family is made from a file's keys and keeps what it
/// reads there; numbers that it alone has are its own properties.
protocol Architecture: Sendable {
    /// What `general.architecture` calls it.
    static var names: [String] { get }

    /// What it is, in one sentence that stands after its name.
    static var summary: String { get }

    /// Of so many layers one sees the whole context and the others a window, where a file with windows does not say; `nil`: an
    /// architecture without windows.
    static var windowEvery: Int? { get }

    var configuration: LlamaConfiguration { get set }

    /// How experts are chosen; `nil` where there are none.
    var routing: ExpertRouting? { get set }

    /// - Throws: `LlamaError` if keys are missing, or say something that the graph does not do.
    init(_ keys: MetadataReader) throws(LlamaError)

    /// Asks for every weight of the graph by name and shape; one that nobody asks for is refused.
    func weights(_ file: inout WeightLoader) throws(LlamaError)

    /// The forward pass: tokens to logits `[V,O]`.
    func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value
}

extension Architecture {
    static var windowEvery: Int? { nil }
    var routing: ExpertRouting? {
        get { nil }
        set { precondition(newValue == nil, "experts in a dense architecture") }
    }
}

/// Every architecture that Quipu runs: one line a file.
public enum Architectures {
    static let all: [any Architecture.Type] = [
        Llama.self,
        Qwen2.self,
        Qwen2MoE.self,
        Qwen3.self,
        Qwen3MoE.self,
        SmolLM3.self,
        Olmo2.self,
        Granite.self,
        Gemma2.self,
        Gemma3.self,
        Phi3.self,
        CommandR.self,
        StarCoder2.self,
        Mistral3.self,
        GPTOSS.self,
        DeepSeek2.self,
    ]

    /// Their names in `general.architecture`.
    public static var names: [String] { all.flatMap { $0.names } }

    static func named(_ name: String) -> (any Architecture.Type)? { all.first { $0.names.contains(name) } }

    /// What an architecture is, in one sentence, whether Quipu runs it or not; `nil` for a name unknown to Quipu.
    public static func summary(of name: String) -> String? {
        named(name)?.summary ?? OtherFamily.named(name)?.summary
    }

    /// - Throws: `LlamaError` if the file is no model, no architecture has its name, or the one that does cannot run it.
    static func architecture(of file: GGUFFile) throws(LlamaError) -> any Architecture {
        let kind = FileKind(file)
        guard let words = kind.words else { return try architecture(metadata: file.metadata, file: file.path) }
        // Without tensors the architecture may still be the larger obstacle.
        if kind == .keys, file.metadata.architecture != nil {
            _ = try architecture(metadata: file.metadata, file: file.path)
        }
        throw .notAModel(file: file.path, words: words)
    }

    static func architecture(metadata: Metadata, file: String) throws(LlamaError) -> any Architecture {
        let key = Metadata.architectureKey
        guard let name = try MetadataReader(file: file, metadata: metadata, prefix: "").string(key) else {
            throw .missingKey(file: file, key: key)
        }
        guard let type = named(name) else {
            throw .otherArchitecture(file: file, name: name)
        }
        return try type.init(MetadataReader(file: file, metadata: metadata, prefix: name + "."))
    }
}
