import ComputeGraph
import GGUF

/// A family of models: what its files say and hold, and the graph of a pass, read top to bottom.
///
/// One file in `Architectures/` and one line in `Architectures.all`. A family is made from a file's keys and keeps what it
/// reads there; numbers that it alone has are its own properties.
protocol Architecture: Sendable {
    /// What `general.architecture` calls it.
    static var names: [String] { get }

    var configuration: LlamaConfiguration { get set }

    /// - Throws: `LlamaError` if keys are missing, or say something that the graph does not do.
    init(_ keys: MetadataReader) throws(LlamaError)

    /// Asks for every weight of the graph by name and shape; one that nobody asks for is refused.
    func weights(_ file: inout WeightLoader) throws(LlamaError)

    /// The forward pass: tokens to logits `[V,O]`.
    func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value
}

/// Every architecture that Quipu runs: one line a file.
public enum Architectures {
    static let all: [any Architecture.Type] = [
        Llama.self,
        Qwen2.self,
        Qwen3.self,
        SmolLM3.self,
        Olmo2.self,
        Granite.self,
    ]

    /// Their names in `general.architecture`.
    public static var names: [String] { all.flatMap { $0.names } }

    /// - Throws: `LlamaError` if none has the file's name, or the one that does cannot run it.
    static func architecture(of file: GGUFFile) throws(LlamaError) -> any Architecture {
        try architecture(metadata: file.metadata, file: file.path)
    }

    static func architecture(metadata: Metadata, file: String) throws(LlamaError) -> any Architecture {
        let key = "general.architecture"
        guard let name = try MetadataReader(file: file, metadata: metadata, prefix: "").string(key) else {
            throw .missingKey(file: file, key: key)
        }
        guard let type = all.first(where: { $0.names.contains(name) }) else {
            throw .unsupported(
                file: file, what: "architecture", found: name,
                supported: "architectures " + names.map { "'\($0)'" }.joined(separator: ", "))
        }
        return try type.init(MetadataReader(file: file, metadata: metadata, prefix: name + "."))
    }
}
