/// Reads the syntax of `Expression`. Expressions are part of the program, so a mistake in one stops it.
struct ExpressionParser {
    indirect enum Part {
        case run(CharacterSetTable.Bits, minimum: Int, maximum: Int)
        case notBefore(CharacterSetTable.Bits)
        case group([[Part]], Repetition)
    }

    enum Repetition {
        case once
        case optional
        case anyNumber
    }

    private(set) var table = CharacterSetTable()
    private let source: String
    private var rest: Substring.UnicodeScalarView
    /// Inside of `(?i:…)`.
    private var ignoresCase = false

    init(_ source: String) {
        self.source = source
        rest = source[...].unicodeScalars
    }

    mutating func parse() -> [[Part]] {
        let sequences = alternatives()
        require(rest.isEmpty)
        return sequences
    }

    private mutating func alternatives() -> [[Part]] {
        var sequences = [sequence()]
        while take("|") { sequences.append(sequence()) }
        return sequences
    }

    private mutating func sequence() -> [Part] {
        var parts: [Part] = []
        while let next = rest.first, next != "|", next != ")" { parts.append(part()) }
        require(!parts.isEmpty)
        return parts
    }

    private mutating func part() -> Part {
        if take("(?!") {
            let set = table.bit(of: characterSet())
            require(take(")"))
            return .notBefore(set)
        }
        if take("$") { return .notBefore(table.bit(of: .any)) }
        if take("(?:") { return group() }
        if take("(?i:") {
            ignoresCase = true
            defer { ignoresCase = false }
            return group()
        }
        let set = table.bit(of: characterSet())
        let (minimum, maximum) = repetition()
        return .run(set, minimum: minimum, maximum: maximum)
    }

    private mutating func group() -> Part {
        let sequences = alternatives()
        require(take(")"))
        return .group(sequences, take("?") ? .optional : take("*") ? .anyNumber : .once)
    }

    private mutating func repetition() -> (minimum: Int, maximum: Int) {
        if take("?") { return (0, 1) }
        if take("*") { return (0, .max) }
        if take("+") { return (1, .max) }
        guard take("{") else { return (1, 1) }
        let minimum = number(radix: 10)
        let maximum = take(",") ? number(radix: 10) : minimum
        require(take("}") && minimum <= maximum && maximum > 0)
        return (minimum, maximum)
    }

    private mutating func characterSet() -> CharacterSet {
        if take("[") { return bracket() }
        var set = CharacterSet()
        add(to: &set)
        return set
    }

    /// What follows a `[`.
    private mutating func bracket() -> CharacterSet {
        var set = CharacterSet(isNegated: take("^"))
        while !take("]") {
            if take("&&[") { set.others.append(bracket()) } else { add(to: &set) }
        }
        return set
    }

    /// Adds one character, a range of them or a class.
    private mutating func add(to set: inout CharacterSet) {
        guard let lower = characterOrClass(&set) else { return }
        var upper = lower
        if rest.first == "-", rest.dropFirst().first != "]" {
            rest.removeFirst()
            guard let end = characterOrClass(&set) else { return require(false) }
            upper = end
        }
        require(lower <= upper)
        set.ranges.append(lower.value...upper.value)
        if ignoresCase, lower.isASCII, lower.properties.isLowercase {
            require(lower == upper)
            set.ranges.append(lower.value - 0x20...lower.value - 0x20)
        }
    }

    /// Takes a character; or takes a class, which goes into the set, and returns `nil`.
    private mutating func characterOrClass(_ set: inout CharacterSet) -> Unicode.Scalar? {
        let scalar = next()
        guard scalar == "\\" else { return scalar }
        switch next() {
        case "r": return "\r"
        case "n": return "\n"
        case "t": return "\t"
        case "u":
            require(take("{"))
            let value = Unicode.Scalar(UInt32(number(radix: 16)))
            require(take("}") && value != nil)
            return value
        case "s": set.classes.insert(.space)
        case "S": set.classes.formUnion(CharacterClass.allCases.filter { $0 != .space })
        case "d": set.ranges.append(0x30...0x39)
        case "p": property(&set)
        case let escaped:
            require(!escaped.properties.isAlphabetic)
            return escaped
        }
        return nil
    }

    private mutating func property(_ set: inout CharacterSet) {
        if take("{L}") {
            set.classes.insert(.letter)
        } else if take("{N}") {
            set.classes.insert(.number)
        } else if take("{P}") {
            set.classes.insert(.punctuation)
        } else if take("{M}") {
            set.classes.insert(.mark)
        } else if take("{S}") {
            set.classes.insert(.symbol)
        } else {
            require(take("{Han}"))
            set.ranges += Self.han
        }
    }

    /// What llama.cpp counts as Han (`unicode_cpt_is_han`).
    private static let han: [ClosedRange<UInt32>] = [
        0x4e00...0x9fff, 0x3400...0x4dbf, 0x20000...0x2a6df, 0x2a700...0x2ebef, 0xf900...0xfaff, 0x2f800...0x2fa1f,
    ]

    private mutating func number(radix: Int) -> Int {
        let digits = rest.prefix { $0.properties.isASCIIHexDigit }
        rest.removeFirst(digits.count)
        guard let number = Int(String(digits), radix: radix) else {
            require(false)
            return 0
        }
        return number
    }

    private mutating func next() -> Unicode.Scalar {
        require(!rest.isEmpty)
        return rest.removeFirst()
    }

    private mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.unicodeScalars) else { return false }
        rest.removeFirst(text.unicodeScalars.count)
        return true
    }

    private func require(_ condition: Bool) {
        precondition(condition, "cannot read the expression \(source) before \(String(rest))")
    }
}
