import Foundation
import Tensors

/// Arrays by name in a `.safetensors` file: eight bytes that say how long its JSON header is, the header, the values.
///
/// Source: the format's description by Hugging Face. Little-endian, row-major, the slowest dimension first.
public struct SafetensorsFile: Sendable {
    public struct Entry: Sendable {
        /// F32, F16, BF16, …
        public let type: String
        /// As in NumPy.
        public let shape: [Int]
        fileprivate let bytes: Range<Int>
    }

    public let path: String
    public let entries: [String: Entry]
    private let data: Data

    private static let sizes = ["F32": 4, "F16": 2, "BF16": 2]

    /// - Throws: `SafetensorsProblem` if there is no such file, or its header does not fit it.
    public init(path: String) throws(SafetensorsProblem) {
        func problem(_ found: String) -> SafetensorsProblem { SafetensorsProblem(path: path, found: found) }
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
            throw problem("no file that can be read")
        }
        guard data.count > 8 else { throw problem("\(data.count) bytes") }
        let length = data.prefix(8).enumerated().reduce(UInt64(0)) {
            $0 | UInt64($1.element) << (8 * UInt64($1.offset))
        }
        guard length > 1, length <= UInt64(data.count - 8) else {
            throw problem("something else, or a part of the file")
        }
        let start = 8 + Int(length)
        guard let header = (try? JSONSerialization.jsonObject(with: data[8..<start])) as? [String: Any] else {
            throw problem("something else: no JSON header")
        }
        var entries: [String: Entry] = [:]
        for (name, value) in header where name != "__metadata__" {
            guard let object = value as? [String: Any], let type = object["dtype"] as? String,
                let shape = object["shape"] as? [Int], shape.allSatisfy({ $0 >= 0 }),
                let offsets = object["data_offsets"] as? [Int], offsets.count == 2,
                offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= data.count - start
            else { throw problem("an entry \(name.debugDescription) without type, shape and bytes inside the file") }
            let count = shape.reduce((value: 1, overflow: false)) {
                let product = $0.value.multipliedReportingOverflow(by: $1)
                return (product.partialValue, $0.overflow || product.overflow)
            }
            if let size = Self.sizes[type] {
                guard !count.overflow, offsets[1] - offsets[0] == count.value * size else {
                    throw problem("an entry \(name.debugDescription) with other bytes than its shape \(shape) takes")
                }
            }
            entries[name] = Entry(type: type, shape: shape, bytes: start + offsets[0]..<start + offsets[1])
        }
        (self.path, self.entries, self.data) = (path, entries, data)
    }

    /// The values of an array in F32, F16 or BF16; `nil` if it is of another type.
    public func floats(_ entry: Entry) -> [Float]? {
        guard let size = Self.sizes[entry.type] else { return nil }
        return data[entry.bytes].withUnsafeBytes { raw in
            (0..<raw.count / size).map { index in
                if size == 4 {
                    let bits = raw.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
                    return Float(bitPattern: UInt32(littleEndian: bits))
                }
                let bits = UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                return entry.type == "F16" ? Half.float(f16: bits) : Half.float(bf16: bits)
            }
        }
    }
}

/// A file that is no `.safetensors` file.
public struct SafetensorsProblem: InputProblem, Equatable {
    let path: String
    let found: String

    public var description: String { "\(path): found \(found), expected a .safetensors file." }
}
