extension GGUFError {
    /// A file from before GGUF breaks its format's rules, or holds what cannot be converted.
    public enum LegacyProblem: Hashable, Sendable {
        case magic([UInt8])
        case version(UInt32, most: Int)
        /// Another program's models begin with the same magic.
        case otherFamily(String)
        /// The numbers of the header are no llama's.
        case notLlama([Int])
        case score(token: Int, value: String)
        case dimensionCount(Int, found: Int)
        case type(tensor: String, id: Int, format: String)
        case shape(tensor: String, dimensions: [Int], layout: LegacyLayout)
        /// `needed` is `nil` if the number of bytes overflows.
        case dataTruncated(tensor: String, needed: Int?, left: Int)
        case notConvertible(tensor: String, reason: String)
        /// A scale is no number that F16 holds.
        case scale(tensor: String, block: Int)
        case importance(entry: String, value: String)
        case missingTensor(String)
        case unknownTensor(String)
        case tensorShape(tensor: String, found: [Int], expected: [Int])
    }
}

extension GGUFError.LegacyProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .magic(let bytes):
            .init(
                Lookalike.describe(bytes), "the magic of ggml, ggmf or ggjt",
                bytes.starts(with: "GGUF".utf8) ? "The file is GGUF already." : Lookalike.advice(bytes))
        case .version(let version, let most):
            .init("version \(version)", "1" + (most > 1 ? " to \(most)" : ""), GGUFError.damaged)
        case .otherFamily(let family):
            .init(
                "\"lmgg\" and the header of a model of \(family)", "a llama's",
                "Use it with that program, which still reads this format; Quipu is for language models.")
        case .notLlama(let numbers):
            .init(
                "the numbers \(numbers.map(String.init).joined(separator: ", ")) after the magic",
                "n_vocab, n_embd, n_mult, n_head, n_layer, n_rot and ftype of a llama, n_rot being n_embd / n_head",
                "The file is damaged, or a model of another family (GPT-2, GPT-J, …) in ggml's first format: convert the "
                    + "original model to GGUF.")
        case .score(let token, let value):
            .init("\(value) as the score of token \(token)", "a number", GGUFError.damaged)
        case .dimensionCount(let index, let found):
            .init("\(found) dimensions for tensor \(index)", "1 or 2", GGUFError.damaged)
        case .type(let tensor, let id, let format):
            .init(
                "type \(id) for tensor \(GGUFError.quoted(tensor))", "a type that \(format) files have",
                GGUFError.damaged)
        case .shape(let tensor, let dimensions, let layout):
            .init(
                "shape \(dimensions.map(String.init).joined(separator: "x")) for tensor \(GGUFError.quoted(tensor)) of type "
                    + layout.name, "rows of a multiple of \(layout.blockElements), and one row or more",
                GGUFError.damaged)
        case .dataTruncated(let tensor, let needed, let left):
            .init(
                "the end of the file after \(left) bytes for the data of tensor \(GGUFError.quoted(tensor))",
                needed.map { "\($0) bytes" } ?? "a size that can be counted", GGUFError.damaged)
        case .notConvertible(let tensor, let reason):
            .init(
                "tensor \(GGUFError.quoted(tensor)): \(reason)", "values that today's formats hold",
                "Convert the original model to GGUF, or a version of this file in F16.")
        case .scale(let tensor, let block):
            .init(
                "a scale in block \(block) of tensor \(GGUFError.quoted(tensor)) that F16 cannot hold",
                "at most 65504", GGUFError.damaged)
        case .importance(let entry, let value):
            .init("\(value) as an importance in entry \(GGUFError.quoted(entry))", "a number", GGUFError.damaged)
        case .missingTensor(let name):
            .init("no tensor \(GGUFError.quoted(name))", "all tensors of a llama", GGUFError.damaged)
        case .unknownTensor(let name):
            .init(
                "the tensor \(GGUFError.quoted(name))", "the tensors of a llama",
                "Its name in GGUF is not known, and not guessed: convert the original model.")
        case .tensorShape(let name, let found, let expected):
            .init(
                "shape \(found.map(String.init).joined(separator: "x")) for tensor \(GGUFError.quoted(name))",
                expected.map(String.init).joined(separator: "x"),
                "If this is one part of several (.bin, .bin.1, …), each holds a part of every tensor: convert the original "
                    + "model. Else the file is damaged.")
        }
    }
}
