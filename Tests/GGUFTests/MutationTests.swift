import GGUF
import Tensors
import Testing

/// Valid files with random damage: whatever it does, nothing crashes, and what opens can be read to the last byte.
@Suite struct MutationTests {
    /// A small generator with a fixed seed, so that a failure can be repeated. Source: SplitMix64 (Steele et al. 2014).
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    private static let interesting: [UInt8] = [0, 1, 2, 4, 8, 9, 12, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xc3, 0xfe, 0xff]

    private static func valid() -> [UInt8] {
        var raw = RawGGUF(tensors: 3, entries: 7)
        raw.entry("general.alignment", u32: 32)
        raw.key("name", .string)
        raw.append("grüße")
        raw.array("words", .string, count: 3)
        for word in ["a", "日本", "<s>"] { raw.append(word) }
        raw.array("scores", .float32, count: 2)
        raw.append(UInt64(0))
        raw.key("flag", .bool)
        raw.append(UInt8(1))
        raw.entry("split.count", u16: 1)
        raw.key("big", .uint64)
        raw.append(UInt64.max)
        raw.tensor("a", [32, 2], type: TensorType.q4_1.rawValue)
        raw.tensor("b", [3, 1, 2], offset: 64)
        raw.tensor("c", [], offset: 96)
        raw.pad()
        raw.data(128)
        return raw.bytes
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func damagedFilesNeverCrash(seed: UInt64) throws {
        var random = Generator(state: seed)
        let folder = try TemporaryFolder()
        let valid = Self.valid()
        var opened = 0
        for _ in 0..<500 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...3, using: &random) { Self.damage(&bytes, using: &random) }
            let path = try folder.write(bytes)
            do throws(GGUFError) {
                try Self.readEverything(GGUFFile(path: path))
                opened += 1
            } catch {
                #expect(error.description.hasPrefix("\(path)"))
                #expect((0...bytes.count).contains(error.offset ?? 0))
            }
        }
        // Damage to names and data goes unnoticed; if everything or nothing opened, the test would test nothing.
        #expect((20..<480).contains(opened), "\(opened) of 500 opened")
    }

    private static func damage(_ bytes: inout [UInt8], using random: inout Generator) {
        guard !bytes.isEmpty else { return }
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[index] = interesting.randomElement(using: &random)!
        case 2: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 3: bytes.removeSubrange(index..<min(index + Int.random(in: 1...8, using: &random), bytes.count))
        case 4: bytes.insert(contentsOf: bytes[index..<min(index + 8, bytes.count)], at: index)
        default:
            for byte in index..<min(index + 8, bytes.count) { bytes[byte] = [0, 0xff].randomElement(using: &random)! }
        }
    }

    private static func readEverything(_ file: GGUFFile) {
        for entry in file.metadata.entries {
            _ = (entry.value.integer, entry.value.number, entry.value.array?.values, entry.value.array?.strings)
            #expect(file.metadata[entry.key] == entry.value || entry.value.isNaN)
        }
        for tensor in file.tensors {
            #expect(file.tensor(named: tensor.name) == tensor)
            let values = file.values(of: tensor)
            #expect(values.withBytes { $0.byteCount } == tensor.byteCount)
            if tensor.type.isPlain { #expect(values.floats().count == tensor.shape.count) }
        }
    }
}

extension GGUFValue {
    /// Whether the value, or one in it, is not a number, and so not equal to itself.
    fileprivate var isNaN: Bool {
        array?.values.contains { $0.number?.isNaN == true } ?? (number?.isNaN == true)
    }
}
