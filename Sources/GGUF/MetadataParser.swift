import Tensors

/// Reads the key-value pairs. Arrays are checked and stay where they are; see `GGUFArray`.
struct MetadataParser {
    private(set) var entries: [Metadata.Entry] = []
    private(set) var valueOffsets: [Int] = []
    private var keys: Set<String> = []

    mutating func read(_ count: Int, from reader: inout ByteReader<some ByteSource>) throws(GGUFError) {
        for index in 0..<count {
            let keyOffset = reader.position
            let key = try reader.string(.key(index))
            guard !key.isEmpty else { throw reader.error(at: keyOffset, .metadata(.emptyKey(index: index))) }
            guard keys.insert(key).inserted else {
                throw reader.error(at: keyOffset, .metadata(.duplicateKey(key)))
            }
            let type = try reader.valueType(of: key, .valueType(key: key))
            valueOffsets.append(reader.position)
            entries.append(Metadata.Entry(key: key, value: try reader.value(type, of: key)))
        }
    }

    /// The alignment of tensor data: `general.alignment`, or 32.
    func alignment(file: String) throws(GGUFError) -> Int {
        guard let index = entries.firstIndex(where: { $0.key == Metadata.alignmentKey }) else {
            return GGUFLimits.defaultAlignment
        }
        guard case .uint32(let alignment) = entries[index].value else {
            throw GGUFError(
                file: file, offset: valueOffsets[index], .metadata(.alignmentType(entries[index].value.type)))
        }
        guard alignment.nonzeroBitCount == 1 else {
            throw GGUFError(file: file, offset: valueOffsets[index], .metadata(.alignment(alignment)))
        }
        return Int(alignment)
    }
}

extension ByteReader {
    fileprivate mutating func valueType(
        of key: String, _ field: GGUFError.Field
    ) throws(GGUFError) -> GGUFValueType {
        let offset = position
        let id = try integer(Int32.self, field)
        guard let type = GGUFValueType(rawValue: UInt32(bitPattern: id)) else {
            throw error(at: offset, .metadata(.unknownType(key: key, id: id)))
        }
        return type
    }

    fileprivate mutating func value(_ type: GGUFValueType, of key: String) throws(GGUFError) -> GGUFValue {
        switch type {
        case .array: return .array(try array(of: key))
        case .string: return .string(try string(.value(key: key)))
        default:
            let range = try skip(type.byteCount!, .value(key: key))
            return source.withBytes(in: range) { GGUFValue(type, $0, at: 0) }
        }
    }

    private mutating func array(of key: String) throws(GGUFError) -> GGUFArray {
        let typeOffset = position
        let type = try valueType(of: key, .elementType(key: key))
        guard type != .array else { throw error(at: typeOffset, .metadata(.nestedArray(key: key))) }

        let countOffset = position
        let stored = try integer(UInt64.self, .elementCount(key: key))
        guard stored <= GGUFLimits.arrayElements else {
            throw error(at: countOffset, .header(.arrayTooLong(key: key, found: stored)))
        }
        let count = Int(stored)
        let start = position
        if let size = type.byteCount {
            _ = try skip(count * size, .value(key: key))
        } else {
            // Each string has at least its length: known to be cut short before reading the first.
            guard count * 8 <= remaining else {
                throw error(
                    at: start, .header(.truncated(.value(key: key), needed: count * 8, left: remaining)))
            }
            for index in 0..<count { _ = try skipString(.element(key: key, index)) }
        }
        return GGUFArray(type, count: count, in: source, range: start..<position)
    }
}
