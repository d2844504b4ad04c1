import Foundation
import Tensors
import Testing

/// Memory of buffers that come and go, on several threads.
@Suite struct BufferTests {
    /// Around each size at which memory is rounded up or no longer kept.
    private static let sizes = [0, 1, 4, 255, 256, 257, 511, 512, 513, 4096, 6144, 65535, 65536, 65537, 200_000]

    @Test func noTwoBuffersShareMemory() async {
        await withTaskGroup(of: Bool.self) { group in
            for task in 0..<4 { group.addTask { Self.comeAndGo(seed: UInt8(task)) } }
            for await isWhole in group { #expect(isWhole) }
        }
    }

    /// Fills buffers, drops every other one and fills new ones, and looks whether each still has what it was filled with.
    private static func comeAndGo(seed: UInt8) -> Bool {
        var live: [(buffer: Buffer, mark: UInt8)] = []
        for round in 0..<200 {
            for (index, size) in sizes.enumerated() {
                let mark = seed &* 61 &+ UInt8(truncatingIfNeeded: round * 16 + index)
                let buffer = Buffer(unwritten: size)
                buffer.withMutableElements(of: UInt8.self, in: 0..<size) { $0.update(repeating: mark) }
                live.append((buffer, mark))
            }
            guard live.allSatisfy({ isFilled($0.buffer, with: $0.mark) }) else { return false }
            if live.count > 60 { live = live.enumerated().filter { $0.offset % 2 == 0 }.map(\.element) }
        }
        return true
    }

    /// Each byte is the one before it: one comparison in C, since these are gigabytes and tests are not optimised.
    private static func isFilled(_ buffer: Buffer, with mark: UInt8) -> Bool {
        buffer.withBytes(in: 0..<buffer.byteCount) { bytes in
            bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress, let first = bytes.first else { return true }
                return first == mark && memcmp(start, start + 1, bytes.count - 1) == 0
            }
        }
    }

    @Test func memoryIsAlignedAndZerosAreZeros() {
        for size in Self.sizes {
            do {
                let used = Buffer(unwritten: size)
                used.withMutableElements(of: UInt8.self, in: 0..<size) { $0.update(repeating: 0xff) }
            }
            let buffer = Buffer(byteCount: size)
            #expect(Self.isFilled(buffer, with: 0))
            buffer.withBytes(in: 0..<size) { bytes in
                bytes.withUnsafeBytes { #expect(size == 0 || Int(bitPattern: $0.baseAddress) % Buffer.alignment == 0) }
            }
        }
    }

    @Test func allValuesOfATensorAndOfAViewOfIt() {
        let tensor = Tensor.floats((0..<24).map(Float.init), Shape(4, 3, 2))
        #expect(tensor.withElements(of: Float.self) { values in values.indices.map { values[$0] } } == tensor.floats())
        let plane = tensor.view(Layout(.f32, Shape(4, 3)), at: 48)
        let row = plane.view(Layout(.f32, Shape(4)), at: 16)
        #expect(plane.withElements(of: Float.self) { values in values.indices.map { values[$0] } } == plane.floats())
        #expect(row.withRow(of: Float.self, 0) { values in values.indices.map { values[$0] } } == [16, 17, 18, 19])
        row.withMutableRow(of: Float.self, 0) { $0[0] = -1 }
        #expect(tensor[ElementIndex(0, 1, 1)] == -1)
    }
}
