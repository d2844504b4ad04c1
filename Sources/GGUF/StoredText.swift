import Tensors

/// Strings of a file, byte for byte. GGUF says that they are UTF-8, but some files hold a byte that is not.
///
/// Such a byte, 0x80 to 0xFF, becomes one of the last 128 scalars, U+10FF80 to U+10FFFF, and becomes the byte again when
/// it is written. A file that has one of these scalars itself gets it as its four bytes, so that nothing is ever
/// confused: what is read and written again is the same.
extension String {
    /// The bytes of a file as text.
    public init(storedBytes bytes: some Collection<UInt8>) {
        // All of the scalars that stand for bytes begin with 0xF4.
        if !bytes.contains(0xF4), let text = String(validating: bytes, as: UTF8.self) {
            self = text
            return
        }
        var scalars = UnicodeScalarView()
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var rest = bytes[...]
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .emptyInput:
                self = String(scalars)
                return
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                let width = encoded.count
                if scalar.storedByte == nil {
                    scalars.append(scalar)
                } else {
                    scalars.append(bytes: rest.prefix(width))
                }
                rest = rest.dropFirst(width)
            case .error(let length):
                scalars.append(bytes: rest.prefix(length))
                rest = rest.dropFirst(length)
            }
        }
    }

    /// The text as a file holds it.
    public var storedBytes: [UInt8] {
        guard holdsStoredBytes else { return Array(utf8) }
        return unicodeScalars.flatMap { scalar in scalar.storedByte.map { [$0] } ?? Array(String(scalar).utf8) }
    }

    /// The text for people: `\xFF` where a byte is not UTF-8.
    ///
    /// - Parameter backslash: what stands for a backslash; JSON has two.
    public func showingBytes(backslash: String = "\\") -> String {
        guard holdsStoredBytes else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            guard let byte = scalar.storedByte else { return text.unicodeScalars.append(scalar) }
            text += "\(backslash)x\(String(byte, radix: 16, uppercase: true))"
        }
    }

    /// Without what moves a terminal's cursor or turns the direction of writing, and with bytes that are not UTF-8 as `\xFF`;
    /// line ends and tabs stay.
    package var withoutControls: String { showingBytes().picturingControls { $0 != "\n" && $0 != "\t" } }

    /// The same on one line: line ends and tabs are pictures too.
    package var onOneLine: String { showingBytes().picturingControls() }

    private var holdsStoredBytes: Bool {
        utf8.contains(0xF4) && unicodeScalars.contains { $0.storedByte != nil }
    }
}

extension Unicode.Scalar {
    private static let firstOfBytes: UInt32 = 0x10FF00

    /// The byte that the scalar stands for.
    fileprivate var storedByte: UInt8? {
        value >= Self.firstOfBytes + 0x80 ? UInt8(value - Self.firstOfBytes) : nil
    }

    /// - Precondition: 0x80 or more; all others are UTF-8.
    fileprivate init(storedByte byte: UInt8) {
        precondition(byte >= 0x80, "byte \(byte) is UTF-8")
        self.init(Self.firstOfBytes + UInt32(byte))!
    }
}

extension String.UnicodeScalarView {
    fileprivate mutating func append(bytes: some Sequence<UInt8>) {
        append(contentsOf: bytes.map(Unicode.Scalar.init(storedByte:)))
    }
}
