/// What a bracket expression such as `[^\r\n\p{L}]` or a single character of an expression matches.
struct CharacterSet: Hashable, Sendable {
    var classes: Set<CharacterClass> = []
    var ranges: [ClosedRange<UInt32>] = []
    var isNegated = false
    /// `[a&&[b]]`: what else a character must be in.
    var others: [CharacterSet] = []

    static let any = CharacterSet(isNegated: true)

    /// - Parameter characterClass: the class of `scalar`.
    func contains(_ scalar: UInt32, _ characterClass: CharacterClass) -> Bool {
        let isListed = classes.contains(characterClass) || ranges.contains { $0.contains(scalar) }
        return isListed != isNegated && others.allSatisfy { $0.contains(scalar, characterClass) }
    }

    /// Whether all characters beyond ASCII that share a class are in, or all are not.
    var isUniformBeyondASCII: Bool {
        ranges.allSatisfy { $0.upperBound < 0x80 } && others.allSatisfy(\.isUniformBeyondASCII)
    }
}

/// The sets of one expression, each a bit: one look-up tells for a character which of them it is in.
struct CharacterSetTable: Sendable {
    /// A bit for each of the sets.
    typealias Bits = UInt32

    private var sets: [CharacterSet] = []
    private var ascii: [Bits] = Array(repeating: 0, count: 0x80)
    private var classes: [Bits] = Array(repeating: 0, count: CharacterClass.allCases.count)
    /// The sets that ask for more than the class of a character.
    private var others: [(bit: Bits, set: CharacterSet)] = []

    /// The bit of a set, which is added if it is not there yet.
    mutating func bit(of set: CharacterSet) -> Bits {
        if let index = sets.firstIndex(of: set) { return 1 << index }
        precondition(sets.count < Bits.bitWidth, "an expression with more than \(Bits.bitWidth) sets of characters")
        let bit: Bits = 1 << sets.count
        sets.append(set)
        for scalar in UInt32(0)..<0x80 where set.contains(scalar, CharacterClass(scalar)) {
            ascii[Int(scalar)] |= bit
        }
        if set.isUniformBeyondASCII {
            for known in CharacterClass.allCases where set.contains(0x80, known) { classes[Int(known.rawValue)] |= bit }
        } else {
            others.append((bit, set))
        }
        return bit
    }

    /// The bits of the sets that a character is in.
    func bits(of scalar: UInt32, _ characterClass: CharacterClass) -> Bits {
        if scalar < 0x80 { return ascii[Int(scalar)] }
        var bits = classes[Int(characterClass.rawValue)]
        for (bit, set) in others where set.contains(scalar, characterClass) { bits |= bit }
        return bits
    }
}
