import Tensors

/// Everything in one GGUF file before the tensor data: version, metadata, tensor records.
///
/// Layout: magic `GGUF`, version u32, tensor count i64, entry count i64, entries, tensor records, padding, data.
/// Versions 2 and 3 read the same; 3 only added big-endian files, which are refused. Source: ggml `gguf.cpp`.
package struct GGUFHeader: Sendable {
    package let version: Int
    package let alignment: Int
    package let metadata: Metadata
    /// Bytes from the start of the file to each entry's value, in the order of `metadata.entries`.
    package let valueOffsets: [Int]
    package let tensors: [TensorInfo]
    /// Bytes from the start of the file to the data section.
    package let dataOffset: Int

    /// Reads and checks a header.
    ///
    /// - Parameters:
    ///   - file: The name for errors.
    ///   - part: Index of this file in a split model.
    ///   - fileByteCount: Where the tensor data must end; a writer checks a header before the data is there.
    package init(
        reading source: some ByteSource, file: String, part: Int = 0, fileByteCount: Int? = nil
    ) throws(GGUFError) {
        var reader = ByteReader(source, file: file)
        let start = try reader.preamble()
        var entries = MetadataParser()
        try entries.read(start.entryCount, from: &reader)
        alignment = try entries.alignment(file: file)

        var records = TensorParser(part: part, alignment: alignment)
        try records.read(start.tensorCount, from: &reader)
        dataOffset = try reader.dataOffset(tensorCount: start.tensorCount, alignment: alignment)
        tensors = try records.located(
            at: dataOffset, file: file, fileByteCount: fileByteCount ?? source.byteCount)

        version = Int(start.version)
        metadata = Metadata(entries.entries)
        valueOffsets = entries.valueOffsets
    }

    /// The value of `key` and where it is stored.
    func value(of key: String) -> (value: GGUFValue, offset: Int)? {
        metadata.index(of: key).map { (metadata.entries[$0].value, valueOffsets[$0]) }
    }
}

extension ByteReader {
    fileprivate mutating func preamble() throws(GGUFError) -> (version: UInt32, tensorCount: Int, entryCount: Int) {
        let beginning = source.withBytes(in: 0..<min(Lookalike.byteCount, source.byteCount)) { bytes in
            (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        let magic = Array("GGUF".utf8)
        // A file of less than four bytes that are right so far is cut short; any other is something else.
        guard beginning.prefix(4).elementsEqual(magic.prefix(beginning.count)) else {
            throw error(at: 0, .header(.magic(beginning)))
        }
        _ = try skip(magic.count, .magic)

        let versionOffset = position
        let version = try integer(UInt32.self, .version)
        if version != 0, version & 0xffff == 0 {
            throw error(at: versionOffset, .header(.otherEndianness(version: version)))
        }
        guard version == 2 || version == 3 else { throw error(at: versionOffset, .header(.version(version))) }

        let tensorCountOffset = position
        let tensorCount = try integer(Int64.self, .tensorCount)
        let entryCountOffset = position
        let entryCount = try integer(Int64.self, .entryCount)
        return (
            version,
            try checked(tensorCount, .tensorCount, at: tensorCountOffset, bytesEach: GGUFLimits.smallestTensorBytes),
            try checked(entryCount, .entryCount, at: entryCountOffset, bytesEach: GGUFLimits.smallestEntryBytes)
        )
    }

    /// Refuses what the rest of the file cannot hold before anything is done that many times.
    private func checked(
        _ count: Int64, _ field: GGUFError.Field, at offset: Int, bytesEach: Int
    ) throws(GGUFError) -> Int {
        let limit = remaining / bytesEach
        guard 0...Int64(limit) ~= count else {
            throw error(at: offset, .header(.count(field, found: count, limit: limit)))
        }
        return Int(count)
    }

    /// Skips to the data section. Without tensors there is none, and no padding either.
    fileprivate mutating func dataOffset(tensorCount: Int, alignment: Int) throws(GGUFError) -> Int {
        guard tensorCount > 0 else { return position }
        // No overflow: alignment is at most 2^31.
        _ = try skip(position.padding(to: alignment), .padding(alignment: alignment))
        return position
    }
}

extension Int {
    /// Bytes to add to reach the next multiple of `alignment`, a power of two.
    func padding(to alignment: Int) -> Int { -self & (alignment - 1) }
}
