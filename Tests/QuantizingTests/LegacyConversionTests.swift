import Foundation
import GGUF
import Quantizing
import Tensors
import TestSupport
import Testing
import Tokenization

@Suite struct LegacyConversionTests {
    private let folder: TemporaryFolder
    private let twin: GGUFFile

    init() throws {
        folder = try TemporaryFolder()
        twin = try TinyModel.stories.file()
    }

    private func write(_ bytes: [UInt8], _ name: String = "old.bin") throws -> String {
        try Data(bytes).write(to: URL(filePath: folder.path(name)))
        return folder.path(name)
    }

    private static func bits(_ tensor: Tensor) -> [UInt8] { tensor.withBytes { $0.withUnsafeBytes { Array($0) } } }

    /// The weights of a GGUF file, written as each old format has them and converted, are the weights of that file.
    @Test(arguments: LegacyModel.all.indices)
    func becomesItsTwin(format: Int) throws {
        let old = LegacyModel.all[format]
        let legacy = try LegacyFile(path: try write(old.bytes(of: twin)))
        #expect(legacy.tensors.count == twin.tensors.count)
        #expect(legacy.tokens.count == 512 && legacy.tokens[3].bytes == [0])
        var options = LegacyConversion.Options()
        (options.context, options.epsilon) = (128, 1e-5)
        let conversion = try LegacyConversion(legacy, options)
        try conversion.write(to: folder.path("new.gguf"), overwrite: false) { _, _ in }
        let new = try GGUFFile(path: folder.path("new.gguf"))
        for info in new.tensors {
            let other = try #require(twin.tensor(named: info.name))
            #expect(info.type == other.type && info.shape == other.shape && info.dimensionCount == other.dimensionCount)
            #expect(Self.bits(new.values(of: info)) == Self.bits(twin.values(of: other)), "\(info.name)")
        }
        for key in [
            "general.architecture", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
            "llama.attention.head_count", "llama.attention.head_count_kv", "llama.block_count",
            "llama.rope.dimension_count", "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.bos_token_id",
            "tokenizer.ggml.token_type", "tokenizer.ggml.tokens",
        ] { #expect(new.metadata[key] == twin.metadata[key], "\(key)") }
        if legacy.format.hasScores {
            #expect(new.metadata["tokenizer.ggml.scores"] == twin.metadata["tokenizer.ggml.scores"])
        }
        let text = "Once upon a time, there was a little girl named Lily. é🎉"
        #expect(
            try Tokenizer(metadata: new.metadata).encode(text) == Tokenizer(metadata: twin.metadata).encode(text))
    }

    /// One block of each layout that changed, by hand: element i has code 3i % 16, the scale is 0.5, the minimum -2.
    @Test func blocksOfTwentyTwentyThree() throws {
        func byte(_ low: Int, _ high: Int) -> UInt8 { UInt8(low % 16 + 16 * (high % 16)) }
        let paired: [UInt8] = (0..<16).map { byte(3 * (2 * $0), 3 * (2 * $0 + 1)) }
        let parted: [UInt8] = (0..<16).map { byte(3 * $0, 3 * ($0 + 16)) }
        let (scale, minimum) = (LegacyModel.little(Float(0.5).bitPattern), LegacyModel.little(Float(-2).bitPattern))
        let (halfScale, halfMinimum): ([UInt8], [UInt8]) = ([0x00, 0x38], [0x00, 0xC0])
        let fifth: [UInt8] = [1, 2, 3, 4]
        let cases: [(version: UInt32, id: UInt32, old: [UInt8], type: TensorType, new: [UInt8])] = [
            (1, 2, scale + paired, .q4_0, halfScale + parted), (2, 2, scale + parted, .q4_0, halfScale + parted),
            (3, 2, halfScale + parted, .q4_0, halfScale + parted),
            (1, 3, scale + minimum + paired, .q4_1, halfScale + halfMinimum + parted),
            (2, 3, scale + minimum + parted, .q4_1, halfScale + halfMinimum + parted),
            (1, 6, halfScale + fifth + paired, .q5_0, halfScale + fifth + parted),
            (2, 6, halfScale + fifth + parted, .q5_0, halfScale + fifth + parted),
            (1, 7, halfScale + halfMinimum + fifth + paired, .q5_1, halfScale + halfMinimum + fifth + parted),
            (1, 8, scale + paired + paired, .q8_0, halfScale + paired + paired),
            (3, 8, halfScale + paired + paired, .q8_0, halfScale + paired + paired),
        ]
        for (version, id, old, type, new) in cases {
            let file = try LegacyFile(path: try write(Self.oneTensor(version: version, id: id, old)))
            let values = try file.values(of: file.tensors[0])
            #expect(values.type == type && Self.bits(values) == new, "ggjt v\(version), type \(id)")
        }
    }

    /// A header, no tokens, and a tensor of 32 elements.
    private static func oneTensor(version: UInt32, id: UInt32, _ data: [UInt8], elements: UInt32 = 32) -> [UInt8] {
        var bytes = Array("tjgg".utf8)
        for number in [version, 0, 64, 32, 4, 1, 16, 2] { bytes += LegacyModel.little(number) }
        for number in [1, 4, id, elements] { bytes += LegacyModel.little(number) }
        bytes += Array("name".utf8)
        bytes += Array(repeating: 0, count: -bytes.count & 31)
        return bytes + data
    }

    @Test func layoutsThatAreRefusedByName() throws {
        let block = [UInt8](repeating: 0, count: 20)
        for (id, words) in [(UInt32(4), "Q4_2"), (5, "Q4_3")] {
            let bytes = Self.oneTensor(version: 1, id: id, Array(block.prefix(id == 4 ? 10 : 12)), elements: 16)
            let file = try LegacyFile(path: try write(bytes))
            let error = #expect(throws: GGUFError.self) { try file.values(of: file.tensors[0]) }
            #expect(error?.description.contains(words) == true)
        }
        // Without a version, Q4_0 had two layouts.
        var old = Array("lmgg".utf8)
        for number in [0, 64, 32, 4, 1, 16, 2, 1, 4, 2, 32] as [UInt32] { old += LegacyModel.little(number) }
        let file = try LegacyFile(path: try write(old + Array("name".utf8) + block))
        let error = #expect(throws: GGUFError.self) { try file.values(of: file.tensors[0]) }
        #expect(error?.description.contains("do not say which") == true)
        // A scale that F16 cannot hold.
        let large = Self.oneTensor(
            version: 2, id: 2, LegacyModel.little(Float(1e6).bitPattern) + [UInt8](repeating: 0, count: 16))
        let wide = try LegacyFile(path: try write(large))
        #expect(throws: GGUFError.self) { try wide.values(of: wide.tensors[0]) }
    }

    /// The magic of the first format is whisper.cpp's too, and was that of other families.
    @Test func otherFilesOfTheSameMagic() throws {
        var whisper = Array("lmgg".utf8)
        for number in [51864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 1] as [UInt32] {
            whisper += LegacyModel.little(number)
        }
        let error = #expect(throws: GGUFError.self) { try LegacyFile(path: try write(whisper)) }
        #expect(error?.description.contains("whisper.cpp") == true)
        var gpt = Array("lmgg".utf8)
        for number in [50257, 1024, 768, 12, 12, 1, 0, 0] as [UInt32] { gpt += LegacyModel.little(number) }
        let other = #expect(throws: GGUFError.self) { try LegacyFile(path: try write(gpt)) }
        #expect(other?.description.contains("50257, 1024, 768") == true)
    }

    /// Cut anywhere, damaged anywhere: an error with a byte, or a file that can be read to the end.
    @Test(arguments: [0, 4])
    func damagedFiles(format: Int) throws {
        let whole = LegacyModel.all[format].bytes(of: twin)
        var lengths = Array(0..<400) + Array(stride(from: 401, to: whole.count, by: 9973))
        lengths += [whole.count - 1]
        for length in lengths {
            let path = try write(Array(whole[..<length]))
            #expect(throws: GGUFError.self, "\(length)") {
                try LegacyConversion(LegacyFile(path: path), .init())
            }
        }
        let start = try LegacyFile(path: try write(whole)).tensorOffset
        for offset in Array(0..<60) + Array(start..<start + 60) {
            for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
                var bytes = whole
                bytes[offset] = value
                let path = try write(bytes)
                do throws(GGUFError) {
                    let file = try LegacyFile(path: path)
                    for record in file.tensors where record.layout.isConvertible { _ = try file.values(of: record) }
                    do { _ = try LegacyConversion(file, .init()) } catch is GGUFError {} catch is ConvertProblem {
                    } catch {
                        Issue.record(error)
                    }
                } catch {
                    #expect(error.description.hasPrefix(path))
                }
            }
        }
    }

    @Test func shapesThatDoNotFit() throws {
        let legacy = try LegacyFile(path: try write(LegacyModel.ggjt(3).bytes(of: twin)))
        var options = LegacyConversion.Options()
        options.kvHeads = 8
        let asked = ConvertProblem.kvHeads(file: legacy.path, asked: 8, rows: 32, head: 8)
        #expect(throws: asked) { try LegacyConversion(legacy, options) }
        options.kvHeads = 4
        #expect(try LegacyConversion(legacy, options).kvHeads == 4)
    }

    // MARK: importance matrices

    private static func importance(calls: UInt32, _ values: [Float], tail: [UInt8] = []) -> [UInt8] {
        let name = Array("blk.0.attn_q.weight".utf8)
        return LegacyModel.little(1) + LegacyModel.little(UInt32(name.count)) + name + LegacyModel.little(calls)
            + LegacyModel.little(UInt32(values.count)) + values.flatMap { LegacyModel.little($0.bitPattern) } + tail
    }

    @Test func importancesOfBeforeGGUF() throws {
        let tail = LegacyModel.little(7) + LegacyModel.little(4) + Array("wiki".utf8)
        let path = try write(Self.importance(calls: 4, [2, 8], tail: tail), "imatrix.dat")
        let matrix = try ImportanceMatrix(path: path)
        #expect(matrix.values == ["blk.0.attn_q.weight": [0.5, 2]])
        #expect(matrix.datasets == ["wiki"] && matrix.chunks == 7)
        // Without calls, and without what later versions added.
        let plain = try ImportanceMatrix(path: try write(Self.importance(calls: 0, [2, 8]), "imatrix.dat"))
        #expect(plain.values == ["blk.0.attn_q.weight": [2, 8]] && plain.chunks == 0)
    }

    @Test func damagedImportances() throws {
        let whole = Self.importance(calls: 4, [2, 8])
        for length in 13..<whole.count {
            let path = try write(Array(whole[..<length]), "imatrix.dat")
            #expect(throws: GGUFError.self) { try ImportanceMatrix(path: path) }
        }
        let path = try write(Self.importance(calls: 4, [2, .nan]), "imatrix.dat")
        #expect(throws: GGUFError.self) { try ImportanceMatrix(path: path) }
        #expect(LegacyImportance.isLegacy(path) && !LegacyImportance.isLegacy(TinyModel.stories.path))
    }
}
