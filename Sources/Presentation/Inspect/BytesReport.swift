import GGUF
import LlamaModel
import Tensors

/// The result of `inspect --bytes`: bytes of a tensor as they are in the file.
public struct BytesReport: Report {
    let tensor: String
    let type: String
    let shape: [Int]
    let fileOffset: Int
    let firstByte: Int
    let nBytes: Int
    let bytesHex: String
    private let bytes: [UInt8]
    private let blockBytes: Int
    private let blockElements: Int

    private enum CodingKeys: CodingKey { case tensor, type, shape, fileOffset, firstByte, nBytes, bytesHex }

    /// - Precondition: the range lies within the tensor's bytes.
    public init(_ info: TensorInfo, in file: GGUFFile, range: Range<Int>) {
        tensor = info.name
        type = info.type.name
        shape = info.shape.significant
        fileOffset = info.fileOffset
        firstByte = range.lowerBound
        nBytes = info.byteCount
        let start = info.fileOffset + range.lowerBound
        bytes = file.parts[info.part].withBytes(in: start..<start + range.count) { $0.withUnsafeBytes { Array($0) } }
        bytesHex = bytes.map { $0.hex }.joined()
        blockBytes = info.type.blockBytes
        blockElements = info.type.blockElements
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold(tensor) + "  \(type) \(shape.map(String.init).joined(separator: "x"))",
            "\(nBytes) bytes from byte \(fileOffset) of the file",
            blockElements > 1 ? "a block: \(blockElements) weights in \(blockBytes) bytes; a line is one block" : "",
            style.dim("file offset   bytes"),
        ].filter { !$0.isEmpty }
        let step = blockElements > 1 ? blockBytes - firstByte % blockBytes : 16
        var offset = 0
        while offset < bytes.count {
            let width = offset == 0 ? step : (blockElements > 1 ? blockBytes : 16)
            for start in stride(from: offset, to: min(offset + width, bytes.count), by: 20) {
                let end = min(start + 20, offset + width, bytes.count)
                let label = start == offset ? "\(fileOffset + firstByte + start)" : ""
                lines.append(label.leftPadded(to: 11) + "   " + bytes[start..<end].map(\.hex).joined(separator: " "))
            }
            offset += width
        }
        return lines.joined(separator: "\n")
    }
}
