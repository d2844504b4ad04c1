import Foundation
import Tensors

/// A vector in a `.npy` file, as NumPy writes one.
public enum ArrayVector {
    /// The values of a file with one dimension of F32, F64 or F16 numbers, or with others that are 1.
    ///
    /// - Throws: `ArrayProblem` with what is there and what should be.
    public static func read(_ path: String) throws(ArrayProblem) -> [Float] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .init(path: path, found: "no file that can be read")
        }
        let bytes = [UInt8](data)
        guard bytes.count > 10, bytes[0] == 0x93, bytes[1..<6].elementsEqual("NUMPY".utf8), (1...3).contains(bytes[6])
        else { throw .init(path: path, found: "something else") }
        let prefix = bytes[6] == 1 ? 10 : 12
        let length = (8..<prefix).reduce(0) { $0 | Int(bytes[$1]) << (8 * ($1 - 8)) }
        guard prefix + length <= bytes.count else { throw .init(path: path, found: "a header that is cut off") }
        let header = String(decoding: bytes[prefix..<prefix + length], as: UTF8.self)
        guard let type = header.firstMatch(of: /'descr':\s*'([^']*)'/)?.1,
            let shape = header.firstMatch(of: /'shape':\s*\(([0-9, ]*)\)/)?.1,
            let size = ["<f2": 2, "<f4": 4, "<f8": 8][String(type)]
        else { throw .init(path: path, found: "a header without a shape, or of numbers of another type: \(header)") }
        let extents = shape.split(separator: ",").compactMap { Int($0.filter { $0 != " " }) }
        let count = extents.reduce(1, { $0.multipliedReportingOverflow(by: $1).partialValue })
        let values = bytes[(prefix + length)...]
        guard extents.filter({ $0 != 1 }).count <= 1, count > 0, values.count == count * size else {
            throw .init(path: path, found: "an array of shape (\(shape)) in \(values.count) bytes")
        }
        return values.withUnsafeBytes { raw in
            (0..<count).map { index in
                switch size {
                case 2:
                    Half.float(f16: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
                case 4:
                    Float(
                        bitPattern: UInt32(
                            littleEndian: raw.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
                default:
                    Float(
                        Double(
                            bitPattern: UInt64(
                                littleEndian: raw.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))))
                }
            }
        }
    }
}

/// A file that is no vector.
public struct ArrayProblem: InputProblem, Equatable {
    let path: String
    let found: String

    public var description: String {
        "\(path): found \(found), expected a vector in a .npy file, of F16, F32 or F64. `numpy.save` writes one."
    }
}
