import GGUF
import Recording

/// The result of `inspect` for a file from before GGUF.
public struct LegacyReport: Report {
    struct TensorLine: Encodable {
        let name: String
        let type: String
        let shape: [Int]
        let recordOffset: Int
        let fileOffset: Int
        let nBytes: Int
        let bpw: Double
        /// What it takes to make today's blocks of it; null if they are the same.
        @OrNull var conversion: String?
        let convertible: Bool
    }

    struct TokenLine: Encodable {
        let id: Int
        let text: String
        @OrNull var score: Float?
    }

    let file: String
    let format: String
    let sizeBytes: Int
    let header: [String: Int]
    @OrNull var fileType: String?
    let nTensors: Int
    let tensorOffset: Int
    let tokens: [TokenLine]
    let tensors: [TensorLine]
    /// What GGUF says and this file does not.
    let missing: [String]

    private let numbers: [(String, Int)]
    private let alignment: Int
    private let hasScores: Bool
    private let sections: InspectReport.Section
    private let program: String

    private enum CodingKeys: CodingKey {
        case file, format, sizeBytes, header, fileType, nTensors, tensorOffset, tokens, tensors, missing
    }

    public init(_ legacy: LegacyFile, sections: InspectReport.Section, program: String) {
        file = legacy.path
        format = legacy.format.name
        sizeBytes = legacy.file.byteCount
        let numbers = legacy.header
        self.numbers = [
            ("n_vocab", numbers.vocabulary), ("n_embd", numbers.embedding), ("n_mult", numbers.multiple),
            ("n_head", numbers.heads), ("n_layer", numbers.layers), ("n_rot", numbers.rotation),
            ("ftype", numbers.fileType),
        ]
        header = Dictionary(uniqueKeysWithValues: self.numbers)
        fileType = GGUFFileType(id: numbers.fileType)?.name
        nTensors = legacy.tensors.count
        tensorOffset = legacy.tensorOffset
        alignment = legacy.format.alignment
        let hasScores = legacy.format.hasScores
        self.hasScores = hasScores
        tokens = legacy.tokens.enumerated().map { id, token in
            TokenLine(
                id: id, text: String(storedBytes: token.bytes).showingBytes(), score: hasScores ? token.score : nil)
        }
        tensors = legacy.tensors.map { record in
            TensorLine(
                name: record.name, type: record.layout.name,
                shape: Array(record.shape.dimensions.prefix(record.dimensionCount)), recordOffset: record.recordOffset,
                fileOffset: record.fileOffset, nBytes: record.byteCount,
                bpw: Double(record.layout.blockBytes * 8) / Double(record.layout.blockElements),
                conversion: record.layout.conversion, convertible: record.layout.isConvertible)
        }
        missing = [
            "the architecture (the loader was for llamas only)", "the width of the feed-forward network (rows of w1)",
            "the number of KV heads (rows of wk)", "the context that the model was trained for",
            "the epsilon of the norms", "the kinds of the tokens",
            hasScores ? nil : "the scores of the tokens",
            "how many tensors there are (they go on to the end of the file)",
            "all other metadata: name, chat template, BOS and EOS, rotation base",
        ].compactMap(\.self)
        self.sections = sections
        self.program = program
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(file.onOneLine)]
        lines +=
            ("A llama in \(format), a format from before GGUF (2023). The file is \(ByteSize(sizeBytes)), "
            + "\(Numbers.count(tokens.count, "token")), \(Numbers.count(nTensors, "tensor"))"
            + (fileType.map { "; it calls itself \($0)" } ?? "") + ".")
            .wrapped(to: style.width, indent: "")
        lines += ["", style.bold("Header: numbers without names, in a fixed order")]
        for (index, (name, value)) in numbers.enumerated() {
            let offset = (hasScores ? 8 : 4) + 4 * index
            lines.append("  byte \("\(offset)".leftPadded(to: 2))  \(name.padded(to: 8)) \(value)")
        }
        lines += ["", style.bold("What GGUF says and this file does not")]
        lines += missing.flatMap { ("  " + $0).wrapped(to: style.width, indent: "    ") }
        let tokenWords =
            "Tokens begin at byte \((hasScores ? 8 : 4) + 28): length, bytes\(hasScores ? ", score" : ""). "
        let tensorWords =
            "Tensors begin at byte \(tensorOffset): each record is in front of its values, "
            + (alignment > 1 ? "which begin at multiples of \(alignment)." : "which begin wherever it ends.")
        lines += [""] + (tokenWords + tensorWords).wrapped(to: style.width, indent: "")
        lines += conversions.flatMap { $0.wrapped(to: style.width) }
        if sections.contains(.metadata) { lines += [""] + tokenLines(style) }
        if sections.contains(.tensors) { lines += [""] + tensorLines(style) }
        if sections.isEmpty { lines += ["", style.dim("--metadata lists the tokens, --tensors the tensors.")] }
        lines += [style.dim("\(program) convert \(file.quotedIfNeeded) NEW.gguf")]
        return lines.joined(separator: "\n")
    }

    private var conversions: [String] {
        Dictionary(grouping: tensors.filter { $0.conversion != nil }, by: \.type).sorted { $0.key < $1.key }
            .map { type, group in
                group[0].convertible
                    ? "\(type) had other blocks then: `convert` makes today's of them (\(group[0].conversion!))."
                    : "\(type) cannot be converted: \(group[0].conversion!)."
            }
    }

    private func tokenLines(_ style: Style) -> [String] {
        var table = Table([("id", .right), ("token", .left), ("score", .right)])
        for token in tokens { table.add("\(token.id)", "‹\(token.text.onOneLine)›", token.score.map { "\($0)" } ?? "") }
        return table.lines(style)
    }

    private func tensorLines(_ style: Style) -> [String] {
        var table = Table([
            ("tensor", .whole), ("type", .left), ("shape", .right), ("offset", .right), ("bytes", .right),
            ("bpw", .right),
        ])
        for tensor in tensors {
            table.add(
                tensor.name.onOneLine, tensor.type, tensor.shape.map(String.init).joined(separator: "x"),
                "\(tensor.fileOffset)", "\(tensor.nBytes)", Numbers.short(tensor.bpw))
        }
        return table.lines(style)
    }
}
