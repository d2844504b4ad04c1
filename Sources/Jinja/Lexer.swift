/// Cuts a template into tokens, with `trim_blocks` and `lstrip_blocks` as chat templates expect.
///
/// White space goes by the rules of Jinja2's lexer: the last line end of the template is dropped, `-` strips all white
/// space on its side, a statement or comment alone on its line leaves nothing of that line, `+` keeps it.
struct Lexer {
    private let source: [UInt8]
    private var position = 0
    private var line = 1
    private var countedTo = 0
    /// Whether what was read last ended with a line end.
    private var isLineStart = true
    private var tokens: [Token] = []

    static func tokens(of template: [UInt8]) throws -> [Token] {
        var lexer = Lexer(source: normalised(template))
        while lexer.position < lexer.source.count { try lexer.readData() }
        lexer.add(.end)
        return lexer.tokens
    }

    private init(source: [UInt8]) { self.source = source }

    /// Every line end becomes `\n`; the last one goes away.
    private static func normalised(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if text[index] == 0x0D {
                result.append(0x0A)
                if index + 1 < text.count, text[index + 1] == 0x0A { index += 1 }
            } else {
                result.append(text[index])
            }
            index += 1
        }
        if result.last == 0x0A { result.removeLast() }
        return result
    }

    private mutating func lineNumber(at offset: Int) -> Int {
        while countedTo < offset {
            if source[countedTo] == 0x0A { line += 1 }
            countedTo += 1
        }
        return line
    }

    private mutating func add(_ kind: Token.Kind, at offset: Int? = nil) {
        tokens.append(Token(kind: kind, line: lineNumber(at: offset ?? position)))
    }

    private mutating func syntax(_ words: String) -> JinjaError {
        JinjaError(.syntax(words), line: lineNumber(at: min(position, source.count)))
    }

    private func starts(_ text: StaticString, at offset: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard offset + count <= source.count else { return false }
        return text.withUTF8Buffer { pattern in (0..<count).allSatisfy { source[offset + $0] == pattern[$0] } }
    }

    private func byte(_ offset: Int) -> UInt8? { offset < source.count ? source[offset] : nil }

    private func afterSpaces(_ offset: Int) -> Int {
        var offset = offset
        while true {
            let count = Spaces.length(source[...], at: offset)
            if count == 0 { return offset }
            offset += count
        }
    }

    // MARK: text between tags

    private mutating func readData() throws {
        let start = position
        var tag = start
        while tag < source.count {
            if source[tag] == UInt8(ascii: "{"), let next = byte(tag + 1), "%{#".utf8.contains(next) { break }
            tag += 1
        }
        guard tag < source.count else {
            add(.data(Array(source[start...])), at: start)
            position = source.count
            return
        }
        let kind = source[tag + 1]
        let sign = signAfter(tag + 2)
        let text = strippedText(start..<tag, sign: sign, isVariable: kind == UInt8(ascii: "{"))
        if !text.isEmpty { add(.data(text), at: start) }
        position = tag + 2 + (sign == nil ? 0 : 1)
        isLineStart = false
        switch kind {
        case UInt8(ascii: "#"): try skipComment()
        case UInt8(ascii: "{"):
            add(.variableBegin, at: tag)
            try readTag(isVariable: true)
        default:
            if let body = rawStart(after: position) {
                position = body
                isLineStart = source[body - 1] == 0x0A
                try readRaw()
            } else {
                add(.blockBegin, at: tag)
                try readTag(isVariable: false)
            }
        }
    }

    private func signAfter(_ offset: Int) -> UInt8? {
        byte(offset).flatMap { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") ? $0 : nil }
    }

    /// The text before a tag, without what the tag takes with it.
    private func strippedText(_ range: Range<Int>, sign: UInt8?, isVariable: Bool) -> [UInt8] {
        let text = source[range]
        if sign == UInt8(ascii: "-") { return Array(Spaces.trimmedEnd(text)) }
        if sign == UInt8(ascii: "+") || isVariable { return Array(text) }
        let lineEnd = text.lastIndex(of: 0x0A)
        guard lineEnd != nil || isLineStart else { return Array(text) }
        let lastLine = lineEnd.map { $0 + 1 } ?? range.lowerBound
        return Spaces.trimmedEnd(text[lastLine...]).isEmpty ? Array(text[..<lastLine]) : Array(text)
    }

    /// Where a tag's end leads, if there is one here: `-%}` takes white space with it, `%}` one line end.
    private func end(_ closing: StaticString, at offset: Int, trims: Bool) -> Int? {
        if source[offset] == UInt8(ascii: "-"), starts(closing, at: offset + 1) { return afterSpaces(offset + 3) }
        if trims, source[offset] == UInt8(ascii: "+"), starts(closing, at: offset + 1) { return offset + 3 }
        guard starts(closing, at: offset) else { return nil }
        return trims && byte(offset + 2) == 0x0A ? offset + 3 : offset + 2
    }

    private mutating func skipComment() throws {
        let start = position
        while position < source.count {
            if let next = end("#}", at: position, trims: true) {
                isLineStart = source[next - 1] == 0x0A
                position = next
                return
            }
            position += 1
        }
        position = start
        throw syntax("the comment that begins here has no end, \"#}\".")
    }

    private func rawStart(after offset: Int) -> Int? {
        var offset = afterSpaces(offset)
        guard starts("raw", at: offset) else { return nil }
        offset = afterSpaces(offset + 3)
        if starts("-%}", at: offset) { return afterSpaces(offset + 3) }
        return starts("%}", at: offset) ? offset + 2 : nil
    }

    private mutating func readRaw() throws {
        let start = position
        var tag = start
        while tag < source.count {
            if starts("{%", at: tag) {
                let sign = signAfter(tag + 2)
                let name = afterSpaces(tag + 2 + (sign == nil ? 0 : 1))
                let closing = starts("endraw", at: name) ? afterSpaces(name + 6) : source.count
                if closing < source.count, let next = end("%}", at: closing, trims: true) {
                    let text = strippedText(start..<tag, sign: sign, isVariable: false)
                    if !text.isEmpty { add(.data(text), at: start) }
                    isLineStart = source[next - 1] == 0x0A
                    position = next
                    return
                }
            }
            tag += 1
        }
        throw syntax("{% raw %} has no {% endraw %}.")
    }

    // MARK: inside tags

    private mutating func readTag(isVariable: Bool) throws {
        let start = position
        var open: [UInt8] = []
        while position < source.count {
            if open.isEmpty {
                let next = isVariable ? end("}}", at: position, trims: false) : end("%}", at: position, trims: true)
                if let next {
                    add(isVariable ? .variableEnd : .blockEnd)
                    isLineStart = source[next - 1] == 0x0A
                    position = next
                    return
                }
            }
            try readToken(&open)
        }
        position = start
        throw syntax("the tag that begins here has no end, \(isVariable ? "\"}}\"" : "\"%}\"").")
    }

    private mutating func readToken(_ open: inout [UInt8]) throws {
        let byte = source[position]
        let spaces = Spaces.length(source[...], at: position)
        if spaces > 0 {
            position += spaces
        } else if (0x30...0x39).contains(byte) {
            try readNumber()
        } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
            try readString(quote: byte)
        } else if byte == 0x5F || byte >= 0x80 || Self.isLetter(byte) {
            try readName()
        } else {
            try readSymbol(&open)
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    private mutating func readName() throws {
        let start = position
        while let byte = byte(position),
            byte == 0x5F || byte >= 0x80 || Self.isLetter(byte) || (0x30...0x39).contains(byte)
        {
            position += 1
        }
        let name = String(decoding: source[start..<position], as: UTF8.self)
        guard let first = name.unicodeScalars.first, first == "_" || first.properties.isXIDStart,
            name.unicodeScalars.allSatisfy({ $0.properties.isXIDContinue })
        else {
            position = start
            throw syntax("found a character that no name has.")
        }
        add(.name(name), at: start)
    }

    private mutating func readNumber() throws {
        let start = position
        func afterDigits(_ offset: Int) -> Int {
            var offset = offset
            while let byte = byte(offset), (0x30...0x39).contains(byte) { offset += 1 }
            return offset
        }
        position = afterDigits(position)
        let integerEnd = position
        var isFloat = false
        if byte(position) == UInt8(ascii: "."), let next = byte(position + 1), (0x30...0x39).contains(next),
            start == 0 || source[start - 1] != UInt8(ascii: ".")
        {
            position = afterDigits(position + 1)
            isFloat = true
        }
        if let mark = byte(position), mark | 0x20 == UInt8(ascii: "e") {
            var exponent = position + 1
            if byte(exponent) == UInt8(ascii: "+") || byte(exponent) == UInt8(ascii: "-") { exponent += 1 }
            if let next = byte(exponent), (0x30...0x39).contains(next) {
                position = afterDigits(exponent)
                isFloat = true
            }
        }
        let text = String(decoding: source[start..<position], as: UTF8.self)
        if let next = byte(position), next == 0x5F || Self.isLetter(next) {
            throw JinjaError(
                .unsupported("numbers written like \"\(text)\(Character(Unicode.Scalar(next)))…\""),
                line: lineNumber(at: start))
        }
        if isFloat {
            add(.float(Double(text) ?? .infinity), at: start)
        } else if source[start] == 0x30, integerEnd - start > 1, text.contains(where: { $0 != "0" }) {
            throw JinjaError(
                .syntax("found the number \(text), expected one without a leading 0."),
                line: lineNumber(at: start))
        } else if let value = Int(text) {
            add(.integer(value), at: start)
        } else {
            throw JinjaError(.unsupported("integers of more than 64 bits"), line: lineNumber(at: start))
        }
    }

    private mutating func readString(quote: UInt8) throws {
        let start = position
        position += 1
        while let byte = byte(position), byte != quote { position += byte == UInt8(ascii: "\\") ? 2 : 1 }
        guard position < source.count else {
            position = start
            throw syntax("the string that begins here has no end.")
        }
        let line = lineNumber(at: start)
        do {
            tokens.append(Token(kind: .string(try StringLiteral.unescaped(source[start + 1..<position])), line: line))
        } catch let error as JinjaError {
            throw error.at(line)
        }
        position += 1
    }

    private static let symbols: [(text: StaticString, name: String)] = [
        ("//", "//"), ("**", "**"), ("==", "=="), ("!=", "!="), (">=", ">="), ("<=", "<="), ("+", "+"), ("-", "-"),
        ("/", "/"), ("*", "*"), ("%", "%"), ("~", "~"), ("[", "["), ("]", "]"), ("(", "("), (")", ")"), ("{", "{"),
        ("}", "}"), (">", ">"), ("<", "<"), ("=", "="), (".", "."), (":", ":"), ("|", "|"), (",", ","), (";", ";"),
    ]

    private mutating func readSymbol(_ open: inout [UInt8]) throws {
        guard let symbol = Self.symbols.first(where: { starts($0.text, at: position) }) else {
            throw syntax("found a character that means nothing in a tag.")
        }
        switch symbol.name {
        case "{": open.append(UInt8(ascii: "}"))
        case "(": open.append(UInt8(ascii: ")"))
        case "[": open.append(UInt8(ascii: "]"))
        case "}", ")", "]":
            guard let expected = open.popLast() else { throw syntax("found \"\(symbol.name)\", which nothing opens.") }
            guard expected == source[position] else {
                throw syntax("found \"\(symbol.name)\", expected \"\(Character(Unicode.Scalar(expected)))\".")
            }
        default: break
        }
        add(.symbol(symbol.name))
        position += symbol.text.utf8CodeUnitCount
    }
}

/// What stands between quotes, as Python's `unicode-escape` reads it.
enum StringLiteral {
    private static let simple: [UInt8: UInt8] = [
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "t"): 0x09, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "b"): 0x08,
        UInt8(ascii: "f"): 0x0C, UInt8(ascii: "v"): 0x0B, UInt8(ascii: "a"): 0x07, UInt8(ascii: "\\"): 0x5C,
        UInt8(ascii: "'"): 0x27, UInt8(ascii: "\""): 0x22,
    ]

    static func unescaped(_ text: ArraySlice<UInt8>) throws -> [UInt8] {
        guard text.contains(UInt8(ascii: "\\")) else { return Array(text) }
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let mark = rest.popFirst() else {
                result.append(byte)
                continue
            }
            switch mark {
            case 0x0A: break
            case UInt8(ascii: "x"): try append(number(&rest, digits: 2, radix: 16), to: &result)
            case UInt8(ascii: "u"): try append(number(&rest, digits: 4, radix: 16), to: &result)
            case UInt8(ascii: "U"): try append(number(&rest, digits: 8, radix: 16), to: &result)
            case UInt8(ascii: "N"): throw JinjaError.unsupported("the escape \\N")
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                let more = rest.prefix(2).prefix { (0x30...0x37).contains($0) }
                rest = rest.dropFirst(more.count)
                let digits = String(decoding: [mark] + more, as: UTF8.self)
                try append(UInt32(digits, radix: 8)!, to: &result)
            default:
                if let plain = simple[mark] { result.append(plain) } else { result += [byte, mark] }
            }
        }
        return result
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, digits: Int, radix: Int) throws -> UInt32 {
        let text = String(decoding: rest.prefix(digits), as: UTF8.self)
        guard text.utf8.count == digits, !text.hasPrefix("+"), !text.hasPrefix("-"),
            let value = UInt32(text, radix: radix)
        else {
            throw JinjaError(.syntax("found an escape with other than \(digits) hexadecimal digits in a string."))
        }
        rest = rest.dropFirst(digits)
        return value
    }

    private static func append(_ value: UInt32, to result: inout [UInt8]) throws {
        guard let scalar = Unicode.Scalar(value) else {
            throw JinjaError.unsupported("the escape of U+\(String(value, radix: 16, uppercase: true)) in a string")
        }
        result += Array(String(scalar).utf8)
    }
}
