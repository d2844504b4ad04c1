import GGUF

/// What a GGUF file is: a model, or one of the files that belong to models.
///
/// Source: `general.type` of gguf-py's `GGUFType`; llama.cpp `llama-adapter.cpp`, `tools/imatrix`, `tools/mtmd/clip.cpp`.
public enum FileKind: Sendable, Equatable {
    case model
    case adapter
    case projector
    case importanceMatrix
    case controlVector
    /// A tokenizer without tensors.
    case vocabulary
    /// The keys of a model without its tensors.
    case keys
    /// `general.type` is a name that Quipu does not know.
    case other(String)

    public init(_ file: GGUFFile) {
        let (metadata, architecture) = (file.metadata, file.metadata.architecture)
        let type = metadata["general.type"]?.string
        self =
            switch (type, architecture) {
            case ("adapter"?, _): .adapter
            case ("imatrix"?, _): .importanceMatrix
            case ("mmproj"?, _), (_, "clip"?): .projector
            case (_, "controlvector"?): .controlVector
            case (let type?, _) where type != "model": .other(type)
            case _ where metadata["adapter.type"] != nil: .adapter
            case _ where metadata["imatrix.datasets"] != nil: .importanceMatrix
            case _ where !file.tensors.isEmpty: .model
            case _ where metadata["tokenizer.ggml.tokens"] != nil: .vocabulary
            default: .keys
            }
    }

    /// One word for programs.
    public var name: String {
        switch self {
        case .model: "model"
        case .adapter: "adapter"
        case .projector: "mmproj"
        case .importanceMatrix: "imatrix"
        case .controlVector: "controlvector"
        case .vocabulary: "vocabulary"
        case .keys: "keys"
        case .other(let type): type
        }
    }

    /// What it is and what can be done with it, in sentences; `nil` for a model.
    public var words: String? {
        switch self {
        case .model: nil
        case .adapter:
            "This is an adapter (LoRA): changes to the weights of another model, and no model by itself. "
                + "llama.cpp adds it to its base model with --lora; llama-export-lora writes both as one model."
        case .projector:
            "This is a projector (mmproj): the part that turns images or sound into embeddings for a language model. "
                + "llama.cpp loads it beside that model with --mmproj; Quipu runs the language model, a file of its own."
        case .importanceMatrix:
            "This is an importance matrix (imatrix): how large the inputs of each weight were in a sample of text. "
                + "llama-quantize takes it with --imatrix."
        case .controlVector:
            "This is a control vector: a direction for each layer that steers what a model writes. "
                + "`quipu trace --control-vector` adds it to a run, as llama.cpp's option of this name does."
        case .vocabulary:
            "This is a vocabulary only: a tokenizer without the weights of a model. `quipu tokenize` works with it."
        case .keys:
            "There are no tensors: the file holds metadata only."
        case .other(let type):
            "Its general.type is '\(type)', which is no model, and not on Quipu's list of other files."
        }
    }
}
