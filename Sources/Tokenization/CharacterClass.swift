/// The classes of characters that the pre-tokenizers' expressions tell apart.
package enum CharacterClass: UInt8, CaseIterable, Sendable {
    /// `\p{L}`
    case letter
    /// `\p{N}`
    case number
    /// `\s`
    case space
    /// `\p{P}`
    case punctuation
    /// `\p{M}`
    case mark
    /// `\p{S}`
    case symbol
    /// Everything else: controls, unassigned.
    case other

    /// The class of a code point, surrogates included.
    ///
    /// llama.cpp's table is Unicode 15.1, Swift's is newer: a character that came later counts as unassigned, as it does
    /// there. With that rule the two agree on all 1,114,112 code points (compared with llama.cpp of libllama 0.5.0).
    package init(_ scalar: UInt32) {
        if scalar < 0x80 {
            self = Self.ascii[Int(scalar)]
        } else if let scalar = Unicode.Scalar(scalar), let age = scalar.properties.age, age <= (15, 1) {
            self.init(scalar.properties)
        } else {
            self = .other
        }
    }

    private init(_ properties: Unicode.Scalar.Properties) {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            self = .letter
        case .decimalNumber, .letterNumber, .otherNumber:
            self = .number
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            self = .punctuation
        case .nonspacingMark, .spacingMark, .enclosingMark:
            self = .mark
        case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
            self = .symbol
        default:
            self = properties.isWhitespace ? .space : .other
        }
    }

    private static let ascii = (UInt8(0)..<0x80).map { CharacterClass(Unicode.Scalar($0).properties) }
}
