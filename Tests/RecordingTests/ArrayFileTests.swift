import Foundation
import Recording
import TestSupport
import Testing

/// Files of arrays against what the formats say; that NumPy loads them is tested in `python/tests`.
@Suite struct ArrayFileTests {
    private struct End {
        let entries: Int
        let directory: Range<Int>

        /// The 64-bit record that the last bytes of a zip file lead to.
        init(_ file: Data) {
            func number<Number: FixedWidthInteger>(_ type: Number.Type, _ offset: Int) -> Int {
                let bytes = file[offset..<offset + MemoryLayout<Number>.size]
                return Int(bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
            }
            let locator = file.count - 22 - 20
            let record = number(UInt64.self, locator + 8)
            entries = number(UInt64.self, record + 32)
            let start = number(UInt64.self, record + 48)
            directory = start..<start + number(UInt64.self, record + 40)
        }
    }

    @Test func holdsTheValuesAfterAnAlignedHeader() throws {
        let folder = try TemporaryFolder()
        for (shape, text) in [([2, 3], "(2, 3)"), ([6], "(6,)"), ([1, 1, 6], "(1, 1, 6)")] {
            let path = folder.path("\(shape.count).npy")
            let file = try ArrayFile(path: path, kind: .npy, replaces: false)
            try file.add("x", shape: shape, values: [1, -2.5, .infinity, 0, 3, 0x1.1p-133])
            let size = try file.finish()
            let bytes = try Data(contentsOf: URL(filePath: path))
            #expect(bytes.count == size && bytes.prefix(8) == Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0]))
            let header = Int(bytes[8]) + Int(bytes[9]) << 8
            #expect((10 + header) % 64 == 0 && bytes[9 + header] == UInt8(ascii: "\n"))
            let line = String(decoding: bytes[10..<10 + header], as: UTF8.self)
            #expect(line.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': \(text), }"), "\(line)")
            let values = bytes[(10 + header)...].withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            #expect(values == [1, -2.5, .infinity, 0, 3, 0x1.1p-133])
        }
    }

    /// More entries than a zip file could count before it had 64-bit fields.
    @Test func countsManyArrays() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("many.npz")
        let file = try ArrayFile(path: path, kind: .npz, replaces: false)
        for number in 0..<70_000 { try file.add("x\(number)", shape: [1, 1], values: [Float(number)]) }
        _ = try file.finish()
        let bytes = try Data(contentsOf: URL(filePath: path))
        let end = End(bytes)
        #expect(end.entries == 70_000 && end.directory.upperBound == bytes.count - 22 - 20 - 56)
        #expect(bytes.prefix(4) == Data([0x50, 0x4b, 3, 4]))
        #expect(bytes[end.directory].prefix(4) == Data([0x50, 0x4b, 1, 2]))
    }

    @Test func theSameArraysGiveTheSameBytes() throws {
        let folder = try TemporaryFolder()
        let files = try ["a.npz", "b.npz"].map { name in
            let file = try ArrayFile(path: folder.path(name), kind: .npz, replaces: false)
            try file.add("x", shape: [2, 1], values: [1, 2])
            _ = try file.finish()
            return try Data(contentsOf: URL(filePath: folder.path(name)))
        }
        #expect(files[0] == files[1])
    }

    @Test func leavesNothingBehindAndReplacesOnlyWhenAsked() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("x.npz")
        do {
            let file = try ArrayFile(path: path, kind: .npz, replaces: false)
            try file.add("x", shape: [1, 1], values: [1])
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("")).isEmpty)
        // Taken while it was written.
        let file = try ArrayFile(path: path, kind: .npz, replaces: false)
        try folder.write("mine", to: "x.npz")
        #expect(throws: TraceError.unwritable(path: path, reason: "it exists already")) { try file.finish() }
        #expect(throws: TraceError.unwritable(path: path, reason: "it exists already")) {
            try ArrayFile(path: path, kind: .npz, replaces: false)
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
        let replacing = try ArrayFile(path: path, kind: .npz, replaces: true)
        _ = try replacing.finish()
        #expect(try Data(contentsOf: URL(filePath: path)).starts(with: [0x50, 0x4b, 6, 6]))
        #expect(throws: TraceError.self) { try ArrayFile(path: folder.path("no/x.npz"), kind: .npz, replaces: false) }
        #expect(throws: TraceError.self) { try ArrayFile(path: folder.path(""), kind: .npz, replaces: true) }
    }
}
