import Tensors

/// Sizes that GGUF readers refuse to exceed. Source: ggml `gguf.cpp`, `ggml.h`.
enum GGUFLimits {
    static let stringBytes = 1 << 30
    static let arrayElements = 1 << 30
    static let tensorNameBytes = 63
    static let defaultAlignment = 32
    /// A metadata entry has at least a key of one byte, its length and a value type, and a value of one byte.
    static let smallestEntryBytes = 8 + 1 + 4 + 1
    /// A tensor record has at least an empty name's length, a dimension count, a type and an offset.
    static let smallestTensorBytes = 8 + 4 + 4 + 8
}

/// Reads little-endian fields one after the other and trusts no length: every read is checked against what is left.
struct ByteReader<Source: ByteSource> {
    let source: Source
    let file: String
    private(set) var position = 0

    init(_ source: Source, file: String) {
        self.source = source
        self.file = file
    }

    var remaining: Int { source.byteCount - position }

    func error(at offset: Int, _ problem: GGUFError.Problem) -> GGUFError {
        GGUFError(file: file, offset: offset, problem)
    }

    /// The next `count` bytes, without looking at them.
    ///
    /// - Precondition: `count` is not negative.
    mutating func skip(_ count: Int, _ field: GGUFError.Field) throws(GGUFError) -> Range<Int> {
        guard count <= remaining else {
            throw error(at: position, .header(.truncated(field, needed: count, left: remaining)))
        }
        defer { position += count }
        return position..<position + count
    }

    mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _: Integer.Type, _ field: GGUFError.Field
    ) throws(GGUFError) -> Integer {
        let range = try skip(MemoryLayout<Integer>.size, field)
        return source.withBytes(in: range) { $0.littleEndian(Integer.self, at: 0) }
    }

    /// A string's bytes.
    mutating func skipString(_ field: GGUFError.Field) throws(GGUFError) -> Range<Int> {
        let start = position
        let length = try integer(UInt64.self, field)
        guard length <= GGUFLimits.stringBytes else {
            throw error(at: start, .header(.stringTooLong(field, found: length)))
        }
        return try skip(Int(length), field)
    }

    mutating func string(_ field: GGUFError.Field) throws(GGUFError) -> String {
        let range = try skipString(field)
        return source.withBytes(in: range) { String($0) }
    }
}

extension RawSpan {
    /// - Precondition: the value lies within the span.
    func littleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(_: Integer.Type, at offset: Int) -> Integer {
        // Safe: the load is bounds-checked, and every bit pattern is an integer.
        Integer(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: Integer.self))
    }
}

extension String {
    init(_ bytes: RawSpan) {
        self = bytes.withUnsafeBytes { String(storedBytes: $0) }
    }
}
