/// How many errors fall into each bucket: by the upper bits of their magnitude, exponent and 8 bits of mantissa, so that
/// neighbouring buckets are 0.4 % apart.
struct ErrorHistogram: Sendable {
    private static let droppedBits: UInt32 = 15
    private static let buckets = 1 << 16

    private struct Entry: Sendable {
        let bucket: Int
        let count: UInt32
    }

    /// A number a bucket, 256 KiB; empty when it is packed.
    private var numbers: [UInt32] = []
    /// Those that are not 0, in order, when it is packed.
    private var packed: [Entry] = []

    init() { numbers = Array(repeating: 0, count: Self.buckets) }

    mutating func add(_ error: Float) { numbers[Int(error.bitPattern >> Self.droppedBits)] += 1 }

    /// - Precondition: it is not packed.
    mutating func merge(_ other: ErrorHistogram) {
        for entry in other.entries { numbers[entry.bucket] += entry.count }
    }

    /// Lets go of the memory of buckets with nothing in them; nothing is added after that.
    mutating func pack() { (packed, numbers) = (entries, []) }

    private var entries: [Entry] {
        guard !numbers.isEmpty else { return packed }
        return numbers.indices.compactMap { numbers[$0] > 0 ? Entry(bucket: $0, count: numbers[$0]) : nil }
    }

    /// The magnitude that `rank` of the errors do not pass; `nil` if there are fewer.
    func magnitude(ofRank rank: Int, most: Float) -> Double? {
        var seen = 0
        for entry in entries {
            seen += Int(entry.count)
            guard seen >= rank else { continue }
            let upper = Float(bitPattern: (UInt32(entry.bucket) + 1) << Self.droppedBits).nextDown
            return Double(entry.bucket == 0 ? 0 : min(upper, most))
        }
        return nil
    }
}

/// As numbers in pairs: how many buckets on from the last, and how many errors are in it.
extension ErrorHistogram: Codable {
    init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        var bucket = 0
        while !container.isAtEnd {
            let (step, count) = (try container.decode(UInt16.self), try container.decode(UInt32.self))
            bucket += Int(step)
            guard bucket < Self.buckets else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "a bucket beyond the last")
            }
            packed.append(Entry(bucket: bucket, count: count))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        var bucket = 0
        for entry in entries {
            try container.encode(entry.bucket - bucket)
            try container.encode(entry.count)
            bucket = entry.bucket
        }
    }
}
