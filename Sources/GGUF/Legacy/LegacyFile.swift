import Tensors

/// A LLaMA model in a file from before GGUF: ggml, ggmf or ggjt.
///
/// Layout, all little-endian u32 where nothing else is said: magic, version (not in ggml); n_vocab, n_embd, n_mult, n_head,
/// n_layer, n_rot, ftype; for each token its length, its bytes, its score (F32; not in ggml); then, up to the end of
/// the file, for each tensor the number of dimensions, the length of the name, the type, the dimensions (ne0 first), the
/// name, padding to 32 bytes (ggjt only) and the values.
public struct LegacyFile: Sendable {
    /// The numbers in the header.
    public struct Header: Hashable, Sendable {
        /// Tokens (n_vocab).
        public let vocabulary: Int
        /// Elements of a token's vector (n_embd).
        public let embedding: Int
        /// What the width of the feed-forward network was rounded up to a multiple of (n_mult); the width is not stored.
        public let multiple: Int
        /// Query heads (n_head).
        public let heads: Int
        /// Layers (n_layer).
        public let layers: Int
        /// Elements of a head that are rotated (n_rot).
        public let rotation: Int
        /// What the file was quantised to, by the numbers of `GGUFFileType` (ftype).
        public let fileType: Int
    }

    /// A token of the vocabulary.
    public struct Token: Sendable, Hashable {
        /// The token itself: a byte token is the byte, a space is a space.
        public let bytes: [UInt8]
        /// 0 where the file has none.
        public let score: Float
    }

    /// What the file says about one tensor, and where its values lie.
    public struct TensorRecord: Sendable, Hashable {
        /// The name of the original model, such as `layers.0.attention.wq.weight`.
        public let name: String
        /// How the values lie in the file.
        public let layout: LegacyLayout
        /// The dimensions, `ne0` first.
        public let shape: Shape
        /// Dimensions in the file, 1 or 2.
        public let dimensionCount: Int
        /// Bytes from the start of the file to the record.
        public let recordOffset: Int
        /// Bytes from the start of the file to the values.
        public let fileOffset: Int
        /// Bytes of the values.
        public let byteCount: Int
    }

    /// The path that was opened.
    public let path: String
    /// The file as memory.
    public let file: MappedFile
    /// The container and its version.
    public let format: LegacyFormat
    /// The numbers in front.
    public let header: Header
    /// The vocabulary, by id.
    public let tokens: [Token]
    /// The tensors, in the file's order.
    public let tensors: [TensorRecord]
    /// Bytes from the start of the file to the first tensor's record.
    public let tensorOffset: Int

    /// Whether a file begins as these files do; a speech model of whisper.cpp does too.
    public static func isLegacy(_ path: String) -> Bool {
        guard let file = try? MappedFile(path: path), file.byteCount >= 4 else { return false }
        return Lookalike.legacyMagics.contains(file.withBytes(in: 0..<4) { $0.littleEndian(UInt32.self, at: 0) })
    }

    /// Reads and checks everything but the tensors' values.
    ///
    /// - Throws: `GGUFError` with the byte, what is there and what should be.
    public init(path: String) throws(GGUFError) {
        let file = try MappedFile(path: path)
        var reader = ByteReader(file, file: path)
        format = try reader.legacyFormat()
        header = try reader.legacyHeader(format)
        tokens = try reader.legacyTokens(header.vocabulary, scores: format.hasScores)
        tensorOffset = reader.position
        var tensors: [TensorRecord] = []
        var names: Set<String> = []
        while reader.remaining > 0 {
            let tensor = try reader.legacyTensor(tensors.count, format)
            guard names.insert(tensor.name).inserted else {
                throw GGUFError(
                    file: path, offset: tensor.recordOffset, .tensor(.duplicateName(tensor.name, file: path)))
            }
            tensors.append(tensor)
        }
        (self.path, self.file, self.tensors) = (path, file, tensors)
    }

    /// The tensor of this name.
    public func tensor(named name: String) -> TensorRecord? { tensors.first { $0.name == name } }

    /// The values of a tensor in one of today's types.
    ///
    /// - Throws: `GGUFError` if there is no such type, or a scale is too large for F16.
    public func values(of record: TensorRecord) throws(GGUFError) -> Tensor {
        guard let type = record.layout.type, record.layout.isConvertible else {
            throw error(record, .notConvertible(tensor: record.name, reason: record.layout.conversion ?? ""))
        }
        let layout = Layout(type, record.shape)
        let range = record.fileOffset..<record.fileOffset + record.byteCount
        guard case .blocks(let scales, let nibbles) = record.layout.change else {
            // Where values are not aligned they are copied.
            if record.fileOffset % 32 == 0 { return Tensor(layout, in: file, offset: record.fileOffset) }
            return Tensor(layout, in: buffer(file.withBytes(in: range) { $0.withUnsafeBytes { Array($0) } }))
        }
        var blocks = LegacyBlocks(type: type, sourceBytes: record.layout.blockBytes, scales: scales, nibbles: nibbles)
        let converted = file.withBytes(in: range) { $0.withUnsafeBytes { blocks.convert($0) } }
        if let block = blocks.unfit {
            throw GGUFError(
                file: path, offset: record.fileOffset + block * record.layout.blockBytes,
                .legacy(.scale(tensor: record.name, block: block)))
        }
        return Tensor(layout, in: buffer(converted))
    }

    private func error(_ record: TensorRecord, _ problem: GGUFError.LegacyProblem) -> GGUFError {
        GGUFError(file: path, offset: record.recordOffset, .legacy(problem))
    }

    private func buffer(_ bytes: [UInt8]) -> Buffer {
        let buffer = Buffer(unwritten: bytes.count)
        buffer.withMutableBytes(in: 0..<bytes.count) { target in
            target.withUnsafeMutableBytes { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
        }
        return buffer
    }
}

/// Blocks of 2023 to today's.
struct LegacyBlocks {
    let type: TensorType
    let sourceBytes: Int
    let scales: Int
    let nibbles: Bool
    /// The first block with a scale that F16 cannot hold.
    private(set) var unfit: Int?

    init(type: TensorType, sourceBytes: Int, scales: Int, nibbles: Bool) {
        (self.type, self.sourceBytes, self.scales, self.nibbles) = (type, sourceBytes, scales, nibbles)
    }

    mutating func convert(_ source: UnsafeRawBufferPointer) -> [UInt8] {
        let count = source.count / sourceBytes
        var result: [UInt8] = []
        result.reserveCapacity(count * type.blockBytes)
        for block in 0..<count {
            let bytes = UnsafeRawBufferPointer(rebasing: source[block * sourceBytes..<(block + 1) * sourceBytes])
            for index in 0..<scales {
                let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) }
                let half = Half.f16(Float(bitPattern: bits))
                if half & 0x7C00 == 0x7C00, unfit == nil { unfit = block }
                result += [UInt8(truncatingIfNeeded: half), UInt8(truncatingIfNeeded: half >> 8)]
            }
            let rest = Array(bytes[(4 * scales)...])
            guard nibbles else {
                result += rest
                continue
            }
            // What is before the 16 bytes of codes, such as the fifth bits, is in the order of elements then and now.
            result += rest.dropLast(16)
            result += Self.parted(Array(rest.suffix(16)))
        }
        return result
    }

    /// Elements 2i and 2i + 1 of byte i become elements i and i + 16.
    static func parted(_ codes: [UInt8]) -> [UInt8] {
        func element(_ index: Int) -> UInt8 { index % 2 == 0 ? codes[index / 2] & 0xF : codes[index / 2] >> 4 }
        return (0..<16).map { element($0) | element($0 + 16) << 4 }
    }
}

extension ByteReader {
    fileprivate mutating func legacyFormat() throws(GGUFError) -> LegacyFormat {
        let beginning = source.withBytes(in: 0..<min(Lookalike.byteCount, source.byteCount)) { bytes in
            (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        let magic = beginning.prefix(4)
        guard magic.elementsEqual("lmgg".utf8) || magic.elementsEqual("fmgg".utf8) || magic.elementsEqual("tjgg".utf8)
        else { throw error(at: 0, .legacy(.magic(beginning))) }
        _ = try skip(4, .magic)
        if magic.elementsEqual("lmgg".utf8) { return .ggml }
        let version = try integer(UInt32.self, .version)
        let most: UInt32 = magic.elementsEqual("fmgg".utf8) ? 1 : 3
        guard (1...most).contains(version) else {
            throw error(at: 4, .legacy(.version(version, most: Int(most))))
        }
        return most == 1 ? .ggmf : .ggjt(version: Int(version))
    }

    fileprivate mutating func legacyHeader(_ format: LegacyFormat) throws(GGUFError) -> LegacyFile.Header {
        let start = position
        var numbers: [Int] = []
        for name in ["n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype"] {
            numbers.append(Int(try integer(UInt32.self, .named(name))))
        }
        let header = LegacyFile.Header(
            vocabulary: numbers[0], embedding: numbers[1], multiple: numbers[2], heads: numbers[3], layers: numbers[4],
            rotation: numbers[5], fileType: numbers[6])
        if format == .ggml, let family = try otherFamily(numbers, at: start) {
            throw error(at: start, .legacy(.otherFamily(family)))
        }
        guard header.heads > 0, header.embedding > 0, header.embedding % header.heads == 0,
            header.rotation == header.embedding / header.heads, header.layers > 0, header.layers <= 1 << 16
        else { throw error(at: start, .legacy(.notLlama(numbers))) }
        let limit = remaining / (format.hasScores ? 8 : 4)
        guard header.vocabulary <= limit else {
            throw error(at: start, .header(.count(.named("n_vocab"), found: Int64(header.vocabulary), limit: limit)))
        }
        return header
    }

    /// Whisper's header has eleven numbers: n_audio_ctx comes second and is 1500, n_text_ctx sixth and is 448.
    private func otherFamily(_ numbers: [Int], at start: Int) throws(GGUFError) -> String? {
        numbers[1] == 1500 && numbers[5] == 448 ? "whisper.cpp, for speech" : nil
    }

    fileprivate mutating func legacyTokens(_ count: Int, scores: Bool) throws(GGUFError) -> [LegacyFile.Token] {
        var tokens: [LegacyFile.Token] = []
        tokens.reserveCapacity(count)
        for index in 0..<count {
            let length = try integer(UInt32.self, .token(index))
            let range = try skip(Int(length), .token(index))
            let bytes = source.withBytes(in: range) { $0.withUnsafeBytes { Array($0) } }
            var score: Float = 0
            if scores {
                let offset = position
                score = Float(bitPattern: try integer(UInt32.self, .token(index)))
                guard score.isFinite else { throw error(at: offset, .legacy(.score(token: index, value: "\(score)"))) }
            }
            tokens.append(LegacyFile.Token(bytes: bytes, score: score))
        }
        return tokens
    }

    fileprivate mutating func legacyTensor(
        _ index: Int, _ format: LegacyFormat
    ) throws(GGUFError) -> LegacyFile.TensorRecord {
        let start = position
        let dimensionCount = try integer(UInt32.self, .named("the number of dimensions of tensor \(index)"))
        let nameLength = try integer(UInt32.self, .named("the length of the name of tensor \(index)"))
        let id = try integer(UInt32.self, .named("the type of tensor \(index)"))
        guard (1...2).contains(dimensionCount) else {
            throw error(at: start, .legacy(.dimensionCount(index, found: Int(dimensionCount))))
        }
        var dimensions: [Int] = []
        for dimension in 0..<Int(dimensionCount) {
            dimensions.append(Int(try integer(UInt32.self, .named("ne\(dimension) of tensor \(index)"))))
        }
        guard nameLength <= GGUFLimits.tensorNameBytes else {
            throw error(at: start + 4, .tensor(.nameTooLong(index: index, byteCount: UInt64(nameLength))))
        }
        let name = source.withBytes(in: try skip(Int(nameLength), .tensorName(index))) { String($0) }
        guard let layout = LegacyLayout.of(id: id, in: format) else {
            throw error(at: start + 8, .legacy(.type(tensor: name, id: Int(id), format: format.name)))
        }
        let shape = Shape(dimensions)
        guard shape.ne0 > 0, shape.ne1 > 0, shape.ne0 % layout.blockElements == 0 else {
            throw error(at: start + 12, .legacy(.shape(tensor: name, dimensions: dimensions, layout: layout)))
        }
        // No overflow: blocks of a row are fewer than 2^32, and so are rows; a block has less than 2^8 bytes.
        let blocks = (shape.ne0 / layout.blockElements).multipliedReportingOverflow(by: shape.ne1)
        let bytes = blocks.partialValue.multipliedReportingOverflow(by: layout.blockBytes)
        _ = try skip(min(remaining, position.padding(to: format.alignment)), .padding(alignment: format.alignment))
        let offset = position
        guard !blocks.overflow, !bytes.overflow, bytes.partialValue <= remaining else {
            throw error(
                at: offset,
                .legacy(
                    .dataTruncated(
                        tensor: name, needed: bytes.overflow ? nil : bytes.partialValue, left: remaining)))
        }
        _ = try skip(bytes.partialValue, .named("the data of tensor \(index)"))
        return LegacyFile.TensorRecord(
            name: name, layout: layout, shape: shape, dimensionCount: Int(dimensionCount), recordOffset: start,
            fileOffset: offset, byteCount: bytes.partialValue)
    }
}
