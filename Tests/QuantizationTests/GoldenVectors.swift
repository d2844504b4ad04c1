import Foundation
import Tensors
import Testing

/// What real ggml made of a set of rows; see `make_vectors.py` for the files and the library they come from.
struct GoldenVectors {
    struct Row {
        let name: String
        let input: [Float]
        /// Empty where the weights are those of `encodeActivations`.
        let weights: [UInt8]
        /// FNV-1a of the decoded bytes; `nil` where ggml does not decode the type.
        let decodedHash: UInt64?
        /// From the AVX2 kernel and from the portable one.
        let dot: Float
        let genericDot: Float
        /// The sum of the magnitudes of the terms; `nil` where ggml does not multiply the type.
        let terms: Double?
    }

    let rows: [Row]

    init(_ type: TensorType) throws {
        var inputs = try Reader(file: "inputs.bin")
        var vectors = try Reader(file: "\(type.name).bin")
        let count = try inputs.read(UInt32.self)
        try #require(try vectors.read(UInt32.self) == count)
        rows = try (0..<count).map { _ in
            let name = try inputs.readString()
            let input = try inputs.readArray(of: Float.self, count: Int(inputs.read(UInt32.self)))
            try #require(try vectors.readString() == name)
            try #require(try vectors.read(UInt32.self) == input.count)
            let weights = try vectors.readArray(of: UInt8.self, count: Int(vectors.read(UInt32.self)))
            let hash = try vectors.read(UInt64.self)
            let (dot, generic) = (try vectors.read(Float.self), try vectors.read(Float.self))
            let terms = try vectors.read(Double.self)
            return Row(
                name: name, input: input, weights: weights, decodedHash: hash == 0 ? nil : hash,
                dot: dot, genericDot: generic, terms: terms == 0 && hash == 0 ? nil : terms)
        }
    }
}

/// The encoded activations of all input rows.
struct GoldenActivations {
    let rows: [(name: String, input: [Float], bytes: [UInt8]?, hash: UInt64?)]

    init(_ type: TensorType) throws {
        var inputs = try Reader(file: "inputs.bin")
        var activations = try Reader(file: "\(type.name).act")
        rows = try (0..<inputs.read(UInt32.self)).map { _ in
            let name = try inputs.readString()
            let input = try inputs.readArray(of: Float.self, count: Int(inputs.read(UInt32.self)))
            if type == .f16 || type == .bf16 {
                return (name, input, nil, try activations.read(UInt64.self))
            }
            let size = try #require(type.rowBytes(input.count))
            return (name, input, try activations.readArray(of: UInt8.self, count: size), nil)
        }
    }
}

func fnv1a(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

struct Reader {
    private let data: Data
    private var offset = 0

    init(file: String) throws {
        let folder = try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        data = try Data(contentsOf: folder.appendingPathComponent(file))
    }

    mutating func read<Number: BitwiseCopyable>(_: Number.Type) throws -> Number {
        try readArray(of: Number.self, count: 1)[0]
    }

    mutating func readArray<Number: BitwiseCopyable>(of _: Number.Type, count: Int) throws -> [Number] {
        let size = MemoryLayout<Number>.stride * count
        try #require(offset + size <= data.count, "the fixture ends early")
        defer { offset += size }
        return data.withUnsafeBytes { bytes in
            (0..<count).map {
                bytes.loadUnaligned(fromByteOffset: offset + $0 * MemoryLayout<Number>.stride, as: Number.self)
            }
        }
    }

    mutating func readString() throws -> String {
        String(decoding: try readArray(of: UInt8.self, count: Int(read(UInt32.self))), as: UTF8.self)
    }
}
