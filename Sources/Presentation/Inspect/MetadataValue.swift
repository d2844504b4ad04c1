import GGUF

/// A metadata value in a document: as it is, except that of a long array only the start is there, and said to be.
struct MetadataValue: Encodable {
    let value: GGUFValue
    let isWhole: Bool

    private static let shownElements = 16

    private enum CodingKeys: CodingKey { case type, count, first }

    func encode(to encoder: any Encoder) throws {
        if case .array(let array) = value, array.count > Self.shownElements, !isWhole {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(value.typeName, forKey: .type)
            try container.encode(array.count, forKey: .count)
            try container.encode(
                array.prefix(Self.shownElements).map { MetadataValue(value: $0, isWhole: true) }, forKey: .first)
            return
        }
        var container = encoder.singleValueContainer()
        switch value {
        case .uint8(let v): try container.encode(v)
        case .int8(let v): try container.encode(v)
        case .uint16(let v): try container.encode(v)
        case .int16(let v): try container.encode(v)
        case .uint32(let v): try container.encode(v)
        case .int32(let v): try container.encode(v)
        case .uint64(let v): try container.encode(v)
        case .int64(let v): try container.encode(v)
        case .float32(let v): try container.encode(v)
        case .float64(let v): try container.encode(v)
        case .bool(let v): try container.encode(v)
        case .string(let v): try container.encode(v)
        case .array(let array): try container.encode(array.values.map { MetadataValue(value: $0, isWhole: true) })
        }
    }
}
