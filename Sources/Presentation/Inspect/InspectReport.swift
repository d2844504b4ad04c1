import GGUF
import LlamaModel
import Recording
import Tensors
import Tokenization

/// The result of `inspect`.
public struct InspectReport: Report {
    public struct Section: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let metadata = Section(rawValue: 1)
        public static let tensors = Section(rawValue: 2)
    }

    struct TensorLine: Encodable {
        let name: String
        let type: String
        let shape: [Int]
        let fileOffset: Int
        let nBytes: Int
        let bpw: Double
        /// Index of the file of a split model.
        let part: Int
    }

    let file: String
    let version: Int
    let nTensors: Int
    let nKv: Int
    let nParams: Int
    let sizeBytes: Int
    let bpw: Double
    let alignment: Int
    @OrNull var fileType: String?
    let parts: [String]
    /// What the file is: `model`, `adapter`, …
    let kind: String
    /// What a file that is no model is, and what can be done with it.
    @OrNull var use: String?
    @OrNull var architecture: String?
    /// The architecture in words; null for one unknown to Quipu.
    @OrNull var summary: String?
    /// Whether Quipu runs the file, from ids at least.
    let runs: Bool
    /// Why not.
    @OrNull var missing: String?
    /// Why text cannot be turned into ids.
    @OrNull var tokenizerMissing: String?
    @OrNull var model: ModelSection?
    let metadata: [String: MetadataValue]
    let tensors: [TensorLine]

    private let entries: [Metadata.Entry]
    private let sections: Section

    private enum CodingKeys: CodingKey {
        case file, version, nTensors, nKv, nParams, sizeBytes, bpw, alignment, fileType, parts, metadata, tensors
        case kind, use, architecture, summary, runs, missing, tokenizerMissing, model
    }

    /// - Parameter wholeArrays: whether the document holds long arrays to their end.
    public init(_ gguf: GGUFFile, sections: Section, wholeArrays: Bool) {
        file = gguf.path
        version = gguf.version
        nTensors = gguf.tensors.count
        nKv = gguf.metadata.entries.count
        nParams = gguf.parameterCount
        sizeBytes = gguf.byteCount
        bpw = Double(gguf.tensors.total * 8) / Double(max(1, gguf.parameterCount))
        alignment = gguf.alignment
        fileType = gguf.metadata["general.file_type"]?.integer.flatMap { GGUFFileType(id: $0)?.name }
        parts = gguf.parts.map(\.path)
        entries = gguf.metadata.entries
        metadata = Dictionary(
            uniqueKeysWithValues: entries.map { ($0.key, MetadataValue(value: $0.value, isWhole: wholeArrays)) })
        tensors = gguf.tensors.map { info in
            TensorLine(
                name: info.name, type: info.type.name,
                shape: Array(info.shape.dimensions.prefix(max(1, info.dimensionCount))), fileOffset: info.fileOffset,
                nBytes: info.byteCount, bpw: info.bitsPerWeight, part: info.part)
        }
        let kind = FileKind(gguf)
        self.kind = kind.name
        use = kind.words
        let refusal = Llama.refusal(of: gguf)
        runs = refusal == nil
        let name = gguf.metadata.architecture
        architecture = name
        summary = name.flatMap { Architectures.summary(of: $0) }
        missing = refusal?.lack
        tokenizerMissing = Vocabulary.problem(of: gguf.metadata)?.description
        model = ModelOverview(gguf).map { ModelSection($0, of: gguf) }
        self.sections = sections
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(file.onOneLine)] + glance(style) + [""] + types(style)
        if sections.contains(.metadata) { lines += [""] + metadataLines(style) }
        if sections.contains(.tensors) { lines += [""] + tensorLines(style) }
        if sections.isEmpty {
            lines += ["", style.dim("--tensors and --metadata list everything; --bytes NAME shows a tensor's bytes.")]
        }
        return lines.joined(separator: "\n")
    }

    private func glance(_ style: Style) -> [String] {
        var lines: [String] = []
        if let name = entries.first(where: { $0.key == "general.name" })?.value.string { lines.append(name) }
        if let use { lines.append(use) }
        if let architecture {
            lines.append("Architecture \(architecture)" + (summary.map { ": \($0)." } ?? "."))
        }
        if runs { lines.append("Quipu runs it.") }
        if runs, let tokenizerMissing {
            lines.append("Only ids go in, not text: \(tokenizerMissing). See `quipu trace --ids`.")
        }
        if let missing, missing != use { lines.append("Quipu does not run it: \(missing)") }
        lines += model?.lines ?? []
        lines += fileLines
        return lines.flatMap { $0.onOneLine.wrapped(to: style.width) }
    }

    /// One size a sentence.
    private var fileLines: [String] {
        let header =
            "GGUF version \(version), \(Numbers.count(nKv, "metadata key")), \(Numbers.count(nTensors, "tensor")), alignment \(alignment)"
            + (parts.count > 1 ? ", \(parts.count) files" : "") + "."
        let size = (parts.count > 1 ? "The files are " : "The file is ") + "\(ByteSize(sizeBytes))."
        guard !tensors.isEmpty else { return [header, size] }
        return [
            header,
            "\(Numbers.grouped(nParams)) weights. Their tensors take \(ByteSize(tensors.total)): "
                + "\(Numbers.fixed(bpw, 3)) bits per weight"
                + (fileType.map { " (the file calls itself \($0))" } ?? "") + ". " + size,
        ]
    }

    private func types(_ style: Style) -> [String] {
        guard !tensors.isEmpty else { return ["no tensors"] }
        var table = Table([
            ("type", .left), ("tensors", .right), ("size", .right), ("share", .right), ("bits per weight", .right),
        ])
        let byType = Dictionary(grouping: tensors, by: \.type)
        let total = max(1, tensors.reduce(0) { $0 + $1.nBytes })
        for (type, group) in byType.sorted(by: {
            $0.value.total > $1.value.total || ($0.value.total == $1.value.total && $0.key < $1.key)
        }) {
            table.add(
                type, "\(group.count)", ByteSize(group.total).description,
                Numbers.percent(Double(group.total) / Double(total)), Numbers.short(group[0].bpw))
        }
        return table.lines(style)
    }

    /// Keys are never cut: one that leaves too little for the value has a line of its own.
    private func metadataLines(_ style: Style) -> [String] {
        let rows = entries.map {
            (key: $0.key.onOneLine, type: $0.value.typeName, value: $0.value.text(limit: 6).onOneLine)
        }
        let typeWidth = rows.map { $0.type.displayWidth }.max() ?? 0
        let keyLimit = style.width - typeWidth - Self.leastValueWidth - 4
        let keyWidth = rows.map { $0.key.displayWidth }.filter { $0 <= keyLimit }.max() ?? 0
        func line(_ key: String, _ type: String, _ value: String) -> String {
            let start = key.padded(to: keyWidth) + "  " + type.padded(to: typeWidth) + "  "
            return (start + value.cut(to: style.width - start.displayWidth)).withoutTrailingSpaces
        }
        return [style.dim(line("key", "type", "value"))]
            + rows.flatMap { key, type, value in
                key.displayWidth <= keyWidth ? [line(key, type, value)] : [key, line("", type, value)]
            }
    }

    private static let leastValueWidth = 16

    private func tensorLines(_ style: Style) -> [String] {
        var table = Table([
            ("tensor", .whole), ("type", .left), ("shape", .right), ("offset", .right), ("bytes", .right),
            ("bpw", .right),
        ])
        for tensor in tensors {
            table.add(
                tensor.name, tensor.type, tensor.shape.map(String.init).joined(separator: "x"), "\(tensor.fileOffset)",
                "\(tensor.nBytes)", Numbers.short(tensor.bpw))
        }
        return table.lines(style)
    }
}

extension [TensorInfo] {
    fileprivate var total: Int { reduce(0) { $0 + $1.byteCount } }
}

extension [InspectReport.TensorLine] {
    fileprivate var total: Int { reduce(0) { $0 + $1.nBytes } }
}
