import GGUF
import Quantization

// The first weights of a row, as the file's blocks say, and what Q4_0 would make of them.
do {
    let model = try GGUFFile(path: CommandLine.arguments.last!)
    guard let tensor = model.tensor(named: "blk.0.attn_q.weight"), let format = BlockFormats.format(for: tensor.type)
    else { fatalError("no such tensor, or a type that has no format") }
    let row = model.values(of: tensor).withRow(of: UInt8.self, 0) { format.values(of: $0.bytes) }
    print(tensor.name, tensor.type, row.prefix(8))
    print("as Q4_0", FormatQ4_0().values(of: FormatQ4_0().blocks(of: row).span.bytes).prefix(8))
} catch { print(error) }
