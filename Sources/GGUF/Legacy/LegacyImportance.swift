import Tensors

/// An importance matrix from before GGUF, `imatrix.dat`.
///
/// Layout, little-endian: i32 number of entries; for each the length of a name and the name, i32 calls, i32 number of values,
/// as many F32; then, in later files, i32 chunks, and the length and bytes of the data set's name. Values are means over
/// tokens, times the calls. Source: llama.cpp `common_imatrix_load_legacy`.
public struct LegacyImportance: Sendable {
    /// The importances of one weight.
    public struct Entry: Sendable, Hashable {
        /// The weight tensor's name.
        public let name: String
        /// How often the weight was used while the matrix was made.
        public let calls: Int
        /// The mean square of each column's activations.
        public let means: [Float]
    }

    /// The path that was opened.
    public let path: String
    /// One for each weight, in the file's order.
    public let entries: [Entry]
    /// The texts that activations come from; none where the file does not say.
    public let datasets: [String]
    /// Chunks of text; 0 where the file does not say.
    public let chunks: Int

    /// Whether a file begins with a number of entries and the name of a weight, as these files do.
    public static func isLegacy(_ path: String) -> Bool {
        guard let file = try? MappedFile(path: path) else { return false }
        return isLegacy(
            file.withBytes(in: 0..<min(Lookalike.byteCount, file.byteCount)) { bytes in
                bytes.withUnsafeBytes { Array($0) }
            })
    }

    static func isLegacy(_ beginning: [UInt8]) -> Bool {
        guard beginning.count > 12 else { return false }
        func number(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(beginning[offset + $1]) << (8 * $1) } }
        let (count, length) = (number(0), number(4))
        // The magic of any other file is a larger number.
        return (1...1 << 20).contains(count) && (4...255).contains(length)
            && beginning.dropFirst(8).prefix(length).allSatisfy { (0x2D...0x7A).contains($0) }
    }

    /// Reads a whole file.
    ///
    /// - Throws: `GGUFError` with the byte, what is there and what should be.
    public init(path: String) throws(GGUFError) {
        let file = try MappedFile(path: path)
        var reader = ByteReader(file, file: path)
        let count = Int(try reader.integer(Int32.self, .named("the number of entries")))
        guard count > 0, count <= reader.remaining / 16 else {
            throw GGUFError(
                file: path, offset: 0,
                .header(.count(.named("the number of entries"), found: Int64(count), limit: reader.remaining / 16)))
        }
        var entries: [Entry] = []
        for index in 0..<count { entries.append(try reader.importanceEntry(index)) }
        var datasets: [String] = []
        var chunks = 0
        if reader.remaining > 0 {
            chunks = max(0, Int(try reader.integer(Int32.self, .named("the number of chunks"))))
            if reader.remaining > 0 {
                let range = try reader.importanceText(.named("the name of the data set"))
                if !range.isEmpty { datasets.append(file.withBytes(in: range) { String($0) }) }
            }
        }
        (self.path, self.entries, self.datasets, self.chunks) = (path, entries, datasets, chunks)
    }
}

extension ByteReader {
    fileprivate mutating func importanceText(_ field: GGUFError.Field) throws(GGUFError) -> Range<Int> {
        let start = position
        let length = try integer(Int32.self, field)
        guard length >= 0 else {
            throw error(at: start, .header(.count(field, found: Int64(length), limit: remaining)))
        }
        return try skip(Int(length), field)
    }

    fileprivate mutating func importanceEntry(_ index: Int) throws(GGUFError) -> LegacyImportance.Entry {
        let range = try importanceText(.named("the name of entry \(index)"))
        let name = source.withBytes(in: range) { String($0) }
        let calls = Int(try integer(Int32.self, .named("the calls of entry \(index)")))
        let start = position
        let count = Int(try integer(Int32.self, .named("the number of values of entry \(index)")))
        guard count > 0, count <= remaining / 4 else {
            throw error(
                at: start,
                .header(
                    .count(.named("the number of values of entry \(index)"), found: Int64(count), limit: remaining / 4))
            )
        }
        let values = try skip(4 * count, .named("the values of entry \(index)"))
        var means = source.withBytes(in: values) { bytes in
            (0..<count).map { Float(bitPattern: bytes.littleEndian(UInt32.self, at: 4 * $0)) }
        }
        for position in means.indices {
            guard means[position].isFinite else {
                throw error(
                    at: values.lowerBound + 4 * position, .legacy(.importance(entry: name, value: "\(means[position])"))
                )
            }
            if calls > 0 { means[position] /= Float(calls) }
        }
        return LegacyImportance.Entry(name: name, calls: calls, means: means)
    }
}
