import GGUF
import LlamaModel
import Recording
import Tensors

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
    let metadata: [String: MetadataValue]
    let tensors: [TensorLine]

    private let entries: [Metadata.Entry]
    private let configuration: LlamaConfiguration?
    private let sections: Section

    private enum CodingKeys: CodingKey {
        case file, version, nTensors, nKv, nParams, sizeBytes, bpw, alignment, fileType, parts, metadata, tensors
    }

    /// - Parameter wholeArrays: whether the document holds long arrays to their end.
    public init(_ gguf: GGUFFile, sections: Section, wholeArrays: Bool) {
        file = gguf.path
        version = gguf.version
        nTensors = gguf.tensors.count
        nKv = gguf.metadata.entries.count
        nParams = gguf.parameterCount
        sizeBytes = gguf.byteCount
        bpw = Double(gguf.tensors.reduce(0) { $0 + $1.byteCount } * 8) / Double(max(1, gguf.parameterCount))
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
        configuration = try? LlamaConfiguration(metadata: gguf.metadata, file: gguf.path)
        self.sections = sections
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(file)] + summary(style) + [""] + types(style)
        if sections.contains(.metadata) { lines += [""] + metadataLines(style) }
        if sections.contains(.tensors) { lines += [""] + tensorLines(style) }
        if sections.isEmpty {
            lines += ["", style.dim("--tensors and --metadata list everything; --bytes NAME shows a tensor's bytes.")]
        }
        return lines.joined(separator: "\n")
    }

    private func summary(_ style: Style) -> [String] {
        var lines = [
            "GGUF version \(version), \(Numbers.count(nKv, "metadata key")), \(Numbers.count(nTensors, "tensor")), alignment \(alignment)"
                + (parts.count > 1 ? ", \(parts.count) files" : ""),
            "\(Numbers.grouped(nParams)) weights in \(ByteSize(sizeBytes)): \(Numbers.fixed(bpw, 3)) bits a weight"
                + (fileType.map { " (the file calls itself \($0))" } ?? ""),
        ]
        if let name = entries.first(where: { $0.key == "general.name" })?.value.string {
            lines.insert("\(name)", at: 0)
        }
        if let c = configuration {
            lines.append(
                "llama: \(Numbers.count(c.layers, "layer")), width \(c.embedding), feed-forward \(c.feedForward), vocabulary \(c.vocabulary), context \(c.trainedContext)"
            )
            let kind = c.kvHeads == c.heads ? "MHA" : c.kvHeads == 1 ? "MQA" : "GQA: each KV head serves \(c.groupSize)"
            lines.append(
                "attention: \(Numbers.count(c.heads, "query head")), \(Numbers.count(c.kvHeads, "KV head")) of \(c.headSize) values (\(kind))"
            )
        }
        return lines.flatMap { $0.onOneLine.wrapped(to: style.width) }
    }

    private func types(_ style: Style) -> [String] {
        guard !tensors.isEmpty else { return ["no tensors: the file holds metadata only, such as a vocabulary"] }
        var table = Table([
            ("type", .left), ("tensors", .right), ("size", .right), ("share", .right), ("bits a weight", .right),
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

    private func metadataLines(_ style: Style) -> [String] {
        var table = Table([("key", .left), ("type", .left), ("value", .left)])
        for entry in entries {
            table.add(entry.key, entry.value.typeName, entry.value.text(limit: 6))
        }
        return table.lines(style)
    }

    private func tensorLines(_ style: Style) -> [String] {
        var table = Table([
            ("tensor", .left), ("type", .left), ("shape", .right), ("offset", .right), ("bytes", .right),
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

extension [InspectReport.TensorLine] {
    fileprivate var total: Int { reduce(0) { $0 + $1.nBytes } }
}

/// A metadata value in a document: as it is, except that of a long array only the start is there, and said to be.
struct MetadataValue: Encodable {
    let value: GGUFValue
    let isWhole: Bool

    private static let shownElements = 16

    private enum CodingKeys: CodingKey { case type, count, first }

    func encode(to encoder: any Encoder) throws {
        if case .array(let array) = value, array.count > Self.shownElements, !isWhole {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(value.typeName, forKey: .type)
            try container.encode(array.count, forKey: .count)
            try container.encode(
                array.prefix(Self.shownElements).map { MetadataValue(value: $0, isWhole: true) }, forKey: .first)
            return
        }
        var container = encoder.singleValueContainer()
        switch value {
        case .uint8(let v): try container.encode(v)
        case .int8(let v): try container.encode(v)
        case .uint16(let v): try container.encode(v)
        case .int16(let v): try container.encode(v)
        case .uint32(let v): try container.encode(v)
        case .int32(let v): try container.encode(v)
        case .uint64(let v): try container.encode(v)
        case .int64(let v): try container.encode(v)
        case .float32(let v): try container.encode(v)
        case .float64(let v): try container.encode(v)
        case .bool(let v): try container.encode(v)
        case .string(let v): try container.encode(v)
        case .array(let array): try container.encode(array.values.map { MetadataValue(value: $0, isWhole: true) })
        }
    }
}

/// The result of `inspect --bytes`: bytes of a tensor as they are in the file.
public struct BytesReport: Report {
    let tensor: String
    let type: String
    let shape: [Int]
    let fileOffset: Int
    let firstByte: Int
    let nBytes: Int
    let bytesHex: String
    private let bytes: [UInt8]
    private let blockBytes: Int
    private let blockElements: Int

    private enum CodingKeys: CodingKey { case tensor, type, shape, fileOffset, firstByte, nBytes, bytesHex }

    /// - Precondition: the range lies within the tensor's bytes.
    public init(_ info: TensorInfo, in file: GGUFFile, range: Range<Int>) {
        tensor = info.name
        type = info.type.name
        shape = info.shape.significant
        fileOffset = info.fileOffset
        firstByte = range.lowerBound
        nBytes = info.byteCount
        let start = info.fileOffset + range.lowerBound
        bytes = file.parts[info.part].withBytes(in: start..<start + range.count) { $0.withUnsafeBytes { Array($0) } }
        bytesHex = bytes.map { $0.hex }.joined()
        blockBytes = info.type.blockBytes
        blockElements = info.type.blockElements
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold(tensor) + "  \(type) \(shape.map(String.init).joined(separator: "x"))",
            "\(nBytes) bytes from byte \(fileOffset) of the file",
            blockElements > 1 ? "a block: \(blockElements) weights in \(blockBytes) bytes; a line is one block" : "",
            style.dim("file offset   bytes"),
        ].filter { !$0.isEmpty }
        let step = blockElements > 1 ? blockBytes - firstByte % blockBytes : 16
        var place = 0
        while place < bytes.count {
            let width = place == 0 ? step : (blockElements > 1 ? blockBytes : 16)
            for start in stride(from: place, to: min(place + width, bytes.count), by: 20) {
                let end = min(start + 20, place + width, bytes.count)
                let label = start == place ? "\(fileOffset + firstByte + start)" : ""
                lines.append(label.leftPadded(to: 11) + "   " + bytes[start..<end].map(\.hex).joined(separator: " "))
            }
            place += width
        }
        return lines.joined(separator: "\n")
    }
}
