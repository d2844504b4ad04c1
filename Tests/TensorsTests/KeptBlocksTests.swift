import Tensors
import Testing

/// Which memory is kept for the next buffers. Blocks stand for memory that is never touched.
@Suite struct KeptBlocksTests {
    private static let megabyte = 1 << 20
    private var blocks = KeptBlocks()

    private func block(_ megabytes: Int) -> KeptBlocks.Block {
        .init(start: UnsafeMutableRawPointer(bitPattern: 4096)!, size: megabytes * Self.megabyte)
    }

    /// Takes blocks and gives them back. Megabytes, of each that goes to the system.
    private mutating func use(_ sizes: [Int]) -> [Int] {
        for size in sizes { _ = blocks.take(size * Self.megabyte) }
        var gone: [KeptBlocks.Block] = []
        for size in sizes {
            blocks.giveBack(block(size))
            gone += blocks.surplus()
        }
        return gone.map { $0.size / Self.megabyte }
    }

    @Test mutating func littleIsKept() {
        #expect(use([40, 20]) == [] && use([8]) == [40])
        #expect(blocks.take(20 * Self.megabyte)?.size == 20 * Self.megabyte)
        #expect(blocks.take(40 * Self.megabyte) == nil && blocks.take(21 * Self.megabyte) == nil)
    }

    @Test mutating func anEvaluationKeepsWhatWasInUseAtOnce() {
        blocks.begin()
        #expect(use([100, 200, 300]) == [])
        for size in [300, 100, 200] { #expect(blocks.take(size * Self.megabyte) != nil) }
        for size in [300, 100, 200] { blocks.giveBack(block(size)) }
        #expect(blocks.surplus().isEmpty)
        // New sizes take the place of old ones.
        #expect(use([400]) == [300, 100])
        blocks.end()
        #expect(blocks.surplus().map(\.size) == [200 * Self.megabyte, 400 * Self.megabyte])
    }

    @Test mutating func theLastOfSeveralEvaluationsEndsIt() {
        blocks.begin()
        #expect(use([100]) == [])
        blocks.begin()
        blocks.end()
        #expect(blocks.surplus().isEmpty)
        blocks.end()
        #expect(blocks.surplus().count == 1)
        // What the one before had in use is no measure for the next.
        blocks.begin()
        #expect(use([70]) == [] && use([65]) == [70])
    }
}
