import Tensors

/// The bytes of a header, padded up to where the tensor data, if any, begins.
struct HeaderEncoder {
    private(set) var bytes: [UInt8] = []
    let alignment: Int
    private var dataByteCount = 0

    init(_ metadata: Metadata, _ tensors: [GGUFWriter.TensorEntry], version: Int) {
        alignment = Self.alignment(of: metadata)
        bytes += Array("GGUF".utf8)
        append(UInt32(version))
        append(Int64(tensors.count))
        append(Int64(metadata.entries.count))
        for entry in metadata.entries {
            append(entry.key)
            append(entry.value.type.rawValue)
            append(entry.value)
        }
        for entry in tensors {
            append(entry.name)
            append(UInt32(entry.dimensionCount))
            for dimension in 0..<entry.dimensionCount { append(Int64(entry.layout.shape[dimension])) }
            append(entry.layout.type.rawValue)
            append(UInt64(dataByteCount))
            dataByteCount += entry.layout.byteCount
            dataByteCount += dataByteCount.padding(to: alignment)
        }
        // Without tensors there is no data section to be aligned.
        if !tensors.isEmpty { bytes += [UInt8](repeating: 0, count: bytes.count.padding(to: alignment)) }
    }

    /// The alignment that metadata asks for. A value that is none is left to `check`.
    static func alignment(of metadata: Metadata) -> Int {
        guard let alignment = metadata[Metadata.alignmentKey]?.integer, alignment > 0,
            alignment.nonzeroBitCount == 1
        else { return GGUFLimits.defaultAlignment }
        return alignment
    }

    /// Reads the header back, so that nothing is written that would be refused.
    func check(path: String) throws(GGUFError) {
        let copy = Buffer(byteCount: bytes.count)
        copy.withMutableElements(of: UInt8.self, in: 0..<bytes.count) { out in
            for index in bytes.indices { out[index] = bytes[index] }
        }
        _ = try GGUFHeader(reading: copy, file: path, fileByteCount: bytes.count + dataByteCount)
    }

    private mutating func append(_ integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.littleEndian) { bytes += $0 }
    }

    private mutating func append(_ string: String) {
        let stored = string.storedBytes
        append(UInt64(stored.count))
        bytes += stored
    }

    private mutating func append(_ value: GGUFValue) {
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(value)
        case .uint16(let value): append(value)
        case .int16(let value): append(value)
        case .uint32(let value): append(value)
        case .int32(let value): append(value)
        case .uint64(let value): append(value)
        case .int64(let value): append(value)
        case .float32(let value): append(value.bitPattern)
        case .float64(let value): append(value.bitPattern)
        case .bool(let value): append(value ? 1 : 0 as UInt8)
        case .string(let value): append(value)
        case .array(let array): append(array)
        }
    }

    private mutating func append(_ array: GGUFArray) {
        append(array.elementType.rawValue)
        append(UInt64(array.count))
        if let stored = array.storedBytes {
            bytes += stored
        } else {
            for value in array.values { append(value) }
        }
    }
}
