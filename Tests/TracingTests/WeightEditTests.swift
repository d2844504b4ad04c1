import GGUF
import LlamaModel
import Quantization
import Quantizing
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

/// One number of one block.
@Suite struct WeightEditTests {
    /// The weights of a row before and after an edit, by the tensor that the graph gets.
    private static func rows(_ model: Llama, _ name: String, row: Int, _ edit: String) throws -> ([Float], [Float]) {
        let changed = try Interventions([.weight("\(name)@\(edit)")]).applied(to: model)
        func tensor(_ model: Llama) throws -> Tensor {
            let graph = try LlamaGraph(
                model, tokens: [0], cache: KVCache(model.configuration, capacity: 1))
            let index = try #require(graph.graph.leaves.firstIndex { $0.name == name })
            return graph.leaves[index]
        }
        let (before, after) = (try tensor(model), try tensor(changed))
        // Every other row is as it was.
        for other in 0..<before.shape.ne1 where other != row {
            #expect(Self.row(before, other) == Self.row(after, other))
        }
        return (Self.row(before, row), Self.row(after, row))
    }

    private static func row(_ tensor: Tensor, _ number: Int) -> [Float] {
        var values = [Float](repeating: 0, count: tensor.shape.ne0)
        let (start, length) = (tensor.offset + number * tensor.layout.rowBytes, tensor.layout.rowBytes)
        var span = values.mutableSpan
        tensor.source.withBytes(in: start..<start + length) {
            BlockFormats.format(for: tensor.type)!.decode($0, into: &span)
        }
        return values
    }

    @Test func aCodeOfQ4_1() throws {
        let model = try TinyModel.gqa.load()
        let name = "blk.0.ffn_down.weight"
        let info = try #require(model.file.tensor(named: name))
        try #require(info.type == .q4_1)
        let block = try WeightBlock(row: 12, block: 1, of: info, in: model.file).description
        let (before, after) = try Self.rows(model, name, row: 12, "row=12,block=1,code=7:15")
        for column in before.indices where column != 39 { #expect(before[column] == after[column]) }
        #expect(after[39] == 15 * block.scales.scale! + block.scales.minimum!)
    }

    @Test func scaleAndMinimumOfQ4_1() throws {
        let model = try TinyModel.gqa.load()
        let name = "blk.0.ffn_down.weight"
        let info = try #require(model.file.tensor(named: name))
        let block = try WeightBlock(row: 3, block: 0, of: info, in: model.file).description
        let (d, m) = (block.scales.scale!, block.scales.minimum!)
        func half(_ value: Float) -> Float { Half.float(f16: Half.f16(value)) }
        for (edit, scale, minimum) in [
            ("scale*=1.1", half(d * 1.1), m), ("scale=0.5", 0.5, m), ("min*=-2", d, half(m * -2)), ("min=0", d, 0),
        ] {
            let (before, after) = try Self.rows(model, name, row: 3, "row=3,block=0,\(edit)")
            for index in 0..<32 {
                #expect(after[index] == Float(block.elements[index].code) * scale + minimum, "\(edit)")
            }
            #expect(before[32...] == after[32...])
        }
    }

    /// In every format: the code that is set is the one that is read, and no other changes.
    @Test(arguments: BlockFormats.describable.map(\.type).filter { $0.blockElements > 1 && $0 != .q8_1 && $0 != .q8_K })
    func codesOfEveryFormat(type: TensorType) throws {
        let folder = try TemporaryFolder()
        var random = SeededGenerator(seed: 5)
        let bytes = (0..<2 * type.blockBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
        let tensor = Tensor.integers(type, bytes, Shape(2 * type.blockElements))
        try GGUFWriter(metadata: Metadata([]), tensors: [.init(name: "w", tensor)]).write(to: folder.path("w.gguf"))
        let file = try GGUFFile(path: folder.path("w.gguf"))
        let info = try #require(file.tensor(named: "w"))
        let before = try WeightBlock(row: 0, block: 1, of: info, in: file).description
        let format = try #require(BlockFormats.describableFormat(for: type))
        let record = try InterventionRecord.weight("w@row=0,block=1,code=5:1")
        do {
            let changed = try #require(try Interventions([record]).changedTensors(of: file)["w"])
            let bytes = type.blockBytes
            let after = changed.source.withBytes(
                in: changed.offset + bytes..<changed.offset + 2 * bytes, format.describe)
            #expect(after.elements[5].code == 1)
            for index in before.elements.indices where index != 5 {
                #expect(after.elements[index].code == before.elements[index].code)
            }
            #expect(before.points.isEmpty)
        } catch InterventionProblem.notEditable {
            // Grids and packed digits.
            #expect(!before.points.isEmpty || [.tq1_0].contains(type), "\(type)")
        }
    }

    @Test func plainElements() throws {
        let model = try TinyModel.gqa.load()
        let (before, after) = try Self.rows(model, "output_norm.weight", row: 0, "row=0,column=4,value=-3.25")
        #expect(after[4] == -3.25)
        #expect(before[..<4] == after[..<4] && before[5...] == after[5...])
        let halves = try TinyModel.biases.load()
        let (old, new) = try Self.rows(halves, "blk.0.ffn_up.weight", row: 2, "row=2,column=0,value*=2")
        #expect(new[0] == 2 * old[0] && new[1...] == old[1...])
    }

    @Test(arguments: [
        ("blk.0.ffn_down.weight", "expected NAME@row=R"), ("x@row=1,block=0,code=0:1", "no tensor 'x'"),
        ("blk.0.ffn_dwn.weight@row=1,block=0,code=0:1", "Did you mean blk.0.ffn_down.weight"),
        ("blk.0.ffn_down.weight@row=999,block=0,code=0:1", "row 999 is outside 0 to "),
        ("blk.0.ffn_down.weight@row=0,block=99,code=0:1", "block 99 is outside 0 to "),
        ("blk.0.ffn_down.weight@row=0,block=0,code=32:1", "code index 32 is outside 0 to 31"),
        ("blk.0.ffn_down.weight@row=0,block=0,code=3:16", "code 16 is outside 0 to 15"),
        ("blk.0.ffn_down.weight@row=0,block=0,code=3:-1", "code -1 is outside 0 to 15"),
        ("blk.0.ffn_down.weight@row=0,block=0,code=3:x", "expected NAME@row=R"),
        ("blk.0.ffn_down.weight@row=0,block=0,code=3", "expected NAME@row=R"),
        ("blk.0.ffn_down.weight@row=0,block=0,scale=nan", "expected NAME@row=R"),
        ("blk.0.ffn_down.weight@row=0,block=0,scale=1e9", "does not fit the F16"),
        ("blk.0.ffn_down.weight@row=0,block=0,zip=1", "expected NAME@row=R"),
        ("blk.0.ffn_down.weight@block=0,scale=1", "expected NAME@row=R"),
        ("blk.0.ffn_down.weight@row=0,column=0,value=1", "it is quantised"),
        ("output_norm.weight@row=0,block=0,code=0:1", "plain numbers"),
        ("output_norm.weight@row=0,block=0,scale=1", "no F16 'd'"),
    ])
    func editsThatCannotBe(edit: String, part: String) throws {
        let model = try TinyModel.gqa.load()
        do {
            _ = try Interventions([.weight(edit)]).applied(to: model)
            Issue.record("\(edit) was taken")
        } catch { #expect("\(error)".contains(part), "\(error)") }
    }
}
