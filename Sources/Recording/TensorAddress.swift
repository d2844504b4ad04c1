import Tensors

/// A tensor, or part of one, as users of ggml write it: `Qcur-3[12,4]`, `kq_soft_max-3[:, :, 2]`, `Qcur-0#1`.
public struct TensorAddress: Sendable, Hashable {
    /// Indices along one dimension.
    public enum Slice: Sendable, Hashable {
        case index(Int)
        /// From the first to before the second; `nil`: from the start, to the end.
        case range(Int?, Int?)

        public func resolved(in extent: Int) -> Range<Int>? {
            switch self {
            case .index(let index):
                let resolved = index < 0 ? extent + index : index
                return (0..<extent).contains(resolved) ? resolved..<resolved + 1 : nil
            case .range(let low, let high):
                let start = low.map { $0 < 0 ? extent + $0 : $0 } ?? 0
                let end = high.map { $0 < 0 ? extent + $0 : $0 } ?? extent
                return start >= 0 && start < end && end <= extent ? start..<end : nil
            }
        }
    }

    public let name: String
    /// Which of several nodes of one name, in order; `nil`: the last.
    public let occurrence: Int?
    /// ne0 first; dimensions not named are taken whole.
    public let slices: [Slice]

    /// - Throws: `TraceError.badAddress` with what is wrong.
    public init(_ text: String) throws(TraceError) {
        var rest = Substring(text)
        var slices: [Slice] = []
        // Names such as `Qcur-0 (view)` hold no brackets.
        if let open = rest.firstIndex(of: "[") {
            guard rest.last == "]" else { throw .badAddress(text: text, reason: "the closing ] is missing") }
            let parts = rest[rest.index(after: open)..<rest.index(before: rest.endIndex)].split(
                separator: ",", omittingEmptySubsequences: false)
            guard parts.count <= 4 else {
                throw .badAddress(text: text, reason: "a tensor has four dimensions at most")
            }
            for part in parts { slices.append(try Self.slice(part, in: text)) }
            rest = rest[..<open]
        }
        var occurrence: Int?
        if let hash = rest.lastIndex(of: "#") {
            guard let number = Int(rest[rest.index(after: hash)...]), number >= 0 else {
                throw .badAddress(text: text, reason: "after # comes a number from 0")
            }
            occurrence = number
            rest = rest[..<hash]
        }
        guard !rest.isEmpty else { throw .badAddress(text: text, reason: "the name is missing") }
        name = String(rest)
        self.occurrence = occurrence
        self.slices = slices
    }

    private static func slice(_ part: Substring, in text: String) throws(TraceError) -> Slice {
        let part = part.filter { !$0.isWhitespace }
        let bounds = part.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = bounds.map { $0.isEmpty ? nil : Int($0) }
        let areValid = zip(bounds, numbers).allSatisfy { $0.isEmpty || $1 != nil }
        switch (bounds.count, areValid) {
        case (1, true) where numbers[0] != nil: return .index(numbers[0]!)
        case (2, true): return .range(numbers[0], numbers[1])
        default: throw .badAddress(text: text, reason: "'\(part)' is no index, no a:b and no :")
        }
    }

    /// The index ranges of the four dimensions.
    ///
    /// - Throws: `TraceError.outside` if a slice lies outside the shape.
    public func ranges(in shape: Shape) throws(TraceError) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        for dimension in 0..<4 {
            let extent = shape[dimension]
            guard dimension < slices.count else {
                ranges.append(0..<extent)
                continue
            }
            guard let range = slices[dimension].resolved(in: extent) else {
                throw .outside(address: description, dimension: dimension, shape: shape)
            }
            ranges.append(range)
        }
        return ranges
    }
}

extension TensorAddress: CustomStringConvertible {
    public var description: String {
        let inside = slices.map { slice in
            switch slice {
            case .index(let index): "\(index)"
            case .range(let low, let high): "\(low.map(String.init) ?? ""):\(high.map(String.init) ?? "")"
            }
        }
        return name + (occurrence.map { "#\($0)" } ?? "")
            + (inside.isEmpty ? "" : "[" + inside.joined(separator: ",") + "]")
    }
}
