import Tensors

/// A metadata array. Arrays hold values of one type and never other arrays.
///
/// An array read from a file stays there until its values are asked for, so that listing tensors does not cost decoding
/// a vocabulary. Each call decodes again: keep the result.
public struct GGUFArray: Sendable {
    /// The type of all values; never `array`.
    public let elementType: GGUFValueType
    /// How many values there are.
    public let count: Int
    private let storage: Storage

    private enum Storage {
        case values([GGUFValue])
        /// Bytes of a file that have been checked to be `count` values.
        case file(any ByteSource, Range<Int>)
    }

    /// - Precondition: all values have the type, which is not an array's.
    public init(_ elementType: GGUFValueType, _ values: [GGUFValue]) {
        precondition(elementType != .array, "an array of arrays")
        precondition(values.allSatisfy { $0.type == elementType }, "values of other types than \(elementType.name)")
        self.elementType = elementType
        count = values.count
        storage = .values(values)
    }

    /// - Precondition: the reader has checked that the range holds `count` values.
    init(_ elementType: GGUFValueType, count: Int, in source: any ByteSource, range: Range<Int>) {
        self.elementType = elementType
        self.count = count
        storage = .file(source, range)
    }

    /// All values, decoded now. See `prefix(_:)` for the first ones only.
    public var values: [GGUFValue] { prefix(count) }

    /// The first values, at most `length`, without decoding the others.
    ///
    /// - Precondition: `length` is not negative.
    public func prefix(_ length: Int) -> [GGUFValue] {
        switch storage {
        case .values(let values): Array(values.prefix(length))
        case .file(let source, let range):
            decoded(min(length, count), in: source, range) { GGUFValue(elementType, $0, at: $1) }
        }
    }

    /// All strings; `nil` if this is no array of strings.
    ///
    /// Swift calls strings equal that differ only in how accents are composed; a vocabulary may hold both. Where that
    /// matters, compare `utf8`.
    public var strings: [String]? {
        guard elementType == .string else { return nil }
        return switch storage {
        case .values(let values): values.map { $0.string! }
        case .file(let source, let range):
            decoded(count, in: source, range) { bytes, offset in
                let length = Int(bytes.littleEndian(UInt64.self, at: offset))
                return String(bytes.extracting(offset + 8..<offset + 8 + length))
            }
        }
    }

    /// All integers; `nil` unless every value is an integer that fits `Int`.
    public var integers: [Int]? {
        let integers = values.compactMap(\.integer)
        return integers.count == count ? integers : nil
    }

    /// All numbers, integers converted; `nil` for strings and booleans.
    public var numbers: [Double]? {
        let numbers = values.compactMap { $0.number ?? $0.integer.map(Double.init) }
        return numbers.count == count ? numbers : nil
    }

    /// The values as they lie in a file; `nil` for an array that was not read from one.
    var storedBytes: [UInt8]? {
        guard case .file(let source, let range) = storage else { return nil }
        return source.withBytes(in: range) { $0.withUnsafeBytes { Array($0) } }
    }

    /// The first `length` stored elements, each decoded from its offset.
    private func decoded<Element>(
        _ length: Int, in source: any ByteSource, _ range: Range<Int>, _ decode: (RawSpan, Int) -> Element
    ) -> [Element] {
        source.withBytes(in: range) { bytes in
            var elements: [Element] = []
            elements.reserveCapacity(length)
            var offset = 0
            for _ in 0..<length {
                elements.append(decode(bytes, offset))
                offset += elementType.byteCount ?? 8 + Int(bytes.littleEndian(UInt64.self, at: offset))
            }
            return elements
        }
    }
}

extension GGUFArray: Hashable {
    public static func == (left: GGUFArray, right: GGUFArray) -> Bool {
        left.elementType == right.elementType && left.count == right.count && left.values == right.values
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(elementType)
        hasher.combine(values)
    }
}
