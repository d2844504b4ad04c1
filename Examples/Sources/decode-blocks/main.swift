import Foundation
import GGUF
import Quantization

// A tensor's first weights as its blocks say, and what storing the row as Q8_0 and Q4_0 would make of them.
do {
    let model = try GGUFFile(path: CommandLine.arguments[1])
    guard let tensor = model.tensor(named: CommandLine.arguments[2]),
        let format = BlockFormats.format(for: tensor.type)
    else { exit(2) }
    let row = model.values(of: tensor).withRow(of: UInt8.self, 0) { format.values(of: $0.bytes) }
    print(tensor.type, row.prefix(4))
    for other in [FormatQ8_0(), FormatQ4_0()] as [any EncodableFormat] {
        print(other.type, other.values(of: other.blocks(of: row).span.bytes).prefix(4))
    }
} catch {
    print(error)
    exit(1)
}
