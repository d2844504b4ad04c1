import Foundation
import GGUF
import ProgramFiles
import Tensors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Arrays in a file that NumPy loads: `.npz`, a zip file of one `.npy` file an array, or `.npy`, a single one.
///
/// Nothing is compressed, and nothing depends on the time, so that the same arrays give the same bytes. The file gets its
/// name when it is complete, and is removed when it never is. Formats: NumPy's NEP 1 (version 1.0), and PKWARE's APPNOTE
/// 6.3 with its 64-bit fields, so that arrays and archives may be larger than 4 GB.
public final class ArrayFile {
    public enum Kind: String, Sendable, CaseIterable {
        case npz, npy

        /// By the ending of the path.
        public init?(path: String) { self.init(rawValue: URL(fileURLWithPath: path).pathExtension.lowercased()) }
    }

    private struct Entry {
        let name: [UInt8]
        let checksum: UInt32
        let bytes: Int
        let offset: Int
    }

    private let path: String
    private let kind: Kind
    private let replaces: Bool
    private let temporaryPath: String
    private let handle: FileHandle
    private var entries: [Entry] = []
    private var written = 0
    private var isFinished = false

    /// - Throws: `TraceError.unwritable` if the path is taken and not to be replaced, or its folder cannot be written to.
    public init(path: String, kind: Kind, replaces: Bool) throws {
        (self.path, self.kind, self.replaces) = (path, kind, replaces)
        try TraceStore.checkFolder(of: path)
        try Self.checkFree(path, replaces)
        temporaryPath = PartialName.path(for: path)
        guard FileManager.default.createFile(atPath: temporaryPath, contents: nil),
            let handle = FileHandle(forWritingAtPath: temporaryPath)
        else { throw TraceError.unwritable(path: path, reason: String(cString: strerror(errno))) }
        self.handle = handle
    }

    deinit {
        try? handle.close()
        if !isFinished { unlink(temporaryPath) }
    }

    /// Adds an array of F32.
    ///
    /// - Parameter shape: in NumPy's order, the slowest dimension first.
    /// - Precondition: as many values as the shape has; of `.npy`, only one array is added.
    public func add(_ name: String, shape: [Int], values: [Float]) throws {
        precondition(values.count == shape.reduce(1, *) && (kind == .npz || written == 0))
        let header = Self.header(shape)
        try values.withUnsafeBytes { values in
            guard kind == .npz else {
                try write(header)
                return try write(values)
            }
            var checksum = Checksum()
            header.withUnsafeBytes { checksum.add($0) }
            checksum.add(values)
            let entry = Entry(
                name: Array((name + ".npy").utf8), checksum: checksum.value, bytes: header.count + values.count,
                offset: written)
            entries.append(entry)
            try write(Self.localHeader(of: entry))
            try write(header)
            try write(values)
        }
    }

    /// Begins the array of a `.npy` file whose values come bit by bit.
    ///
    /// - Parameter type: of the values, as NumPy has it: `<f4`, `<i4`.
    /// - Precondition: a `.npy` file with nothing in it.
    public func begin(shape: [Int], type: String = "<f4") throws {
        precondition(kind == .npy && written == 0)
        try write(Self.header(shape, type: type))
    }

    /// Adds values after `begin`.
    public func append(_ values: [some BitwiseCopyable]) throws {
        if !values.isEmpty { try values.withUnsafeBytes { try write($0) } }
    }

    /// Ends the file and gives it its name.
    ///
    /// - Returns: its size in bytes.
    public func finish() throws -> Int {
        if kind == .npz { try write(directory()) }
        try wrapping { try handle.synchronize() }
        // Again: writing may have taken long enough for someone else to take the name.
        try Self.checkFree(path, replaces)
        guard rename(temporaryPath, path) == 0 else {
            throw TraceError.unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        isFinished = true
        return written
    }

    private static func checkFree(_ path: String, _ replaces: Bool) throws {
        let kind = PathKind(at: path)
        guard kind != .missing else { return }
        if let words = kind.words { throw TraceError.unwritable(path: path, reason: "it is \(words)") }
        if !replaces { throw TraceError.unwritable(path: path, reason: "it exists already") }
    }

    private func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        // Safe: the data is written before the bytes go away.
        let data = Data(
            bytesNoCopy: UnsafeMutableRawPointer(mutating: bytes.baseAddress!), count: bytes.count, deallocator: .none)
        try wrapping { try handle.write(contentsOf: data) }
        written += bytes.count
    }

    private func wrapping(_ body: () throws -> Void) throws {
        do { try body() } catch let error as CocoaError {
            throw TraceError.unwritable(path: path, reason: FileProblem.reason(of: error))
        }
    }

    // MARK: formats

    /// What comes before the values of a `.npy` file: a multiple of 64 bytes.
    static func header(_ shape: [Int], type: String = "<f4") -> [UInt8] {
        let tuple = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(tuple)), }"
        let padding = (64 - (10 + text.utf8.count + 1) % 64) % 64
        let line = Array((text + String(repeating: " ", count: padding) + "\n").utf8)
        return [0x93] + Array("NUMPY".utf8) + [1, 0] + Self.bytes(UInt16(line.count)) + line
    }

    private static let largest = UInt32.max

    /// Version, UTF-8 names, no compression, the first day that the format knows, checksum, sizes in the 64-bit fields.
    private static func common(_ entry: Entry) -> [UInt8] {
        bytes(UInt16(45)) + bytes(UInt16(0x0800)) + bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(UInt16(0x21))
            + bytes(entry.checksum) + bytes(largest) + bytes(largest) + bytes(UInt16(entry.name.count))
    }

    private static func localHeader(of entry: Entry) -> [UInt8] {
        let sizes = bytes(UInt64(entry.bytes)) + bytes(UInt64(entry.bytes))
        return bytes(UInt32(0x0403_4b50)) + common(entry) + bytes(UInt16(4 + sizes.count)) + entry.name
            + bytes(UInt16(1)) + bytes(UInt16(sizes.count)) + sizes
    }

    private static func directoryHeader(of entry: Entry) -> [UInt8] {
        let fields = bytes(UInt64(entry.bytes)) + bytes(UInt64(entry.bytes)) + bytes(UInt64(entry.offset))
        let regularFile = UInt32(0o100644) << 16
        return bytes(UInt32(0x0201_4b50)) + bytes(UInt16(3 << 8 | 45)) + common(entry)
            + bytes(UInt16(4 + fields.count)) + [UInt8](repeating: 0, count: 6) + bytes(regularFile) + bytes(largest)
            + entry.name + bytes(UInt16(1)) + bytes(UInt16(fields.count)) + fields
    }

    /// The list of entries, and where it is.
    private func directory() -> [UInt8] {
        let list = entries.flatMap(Self.directoryHeader)
        let count = UInt64(entries.count)
        let end =
            Self.bytes(UInt32(0x0606_4b50)) + Self.bytes(UInt64(44)) + Self.bytes(UInt16(45)) + Self.bytes(UInt16(45))
            + Self.bytes(UInt32(0)) + Self.bytes(UInt32(0)) + Self.bytes(count) + Self.bytes(count)
            + Self.bytes(UInt64(list.count)) + Self.bytes(UInt64(written))
        let locator =
            Self.bytes(UInt32(0x0706_4b50)) + Self.bytes(UInt32(0)) + Self.bytes(UInt64(written + list.count))
            + Self.bytes(UInt32(1))
        let short = Self.bytes(UInt16(clamping: count))
        let last =
            Self.bytes(UInt32(0x0605_4b50)) + [0, 0, 0, 0] + short + short + Self.bytes(Self.largest)
            + Self.bytes(Self.largest) + [0, 0]
        return list + end + locator + last
    }

    private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}

/// CRC-32 as zip files have it.
struct Checksum {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    private var state = UInt32.max

    var value: UInt32 { ~state }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var state = state
        Self.table.withUnsafeBufferPointer { table in
            for byte in bytes { state = state >> 8 ^ table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] }
        }
        self.state = state
    }
}
