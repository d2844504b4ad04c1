/// The 256 characters in which byte-level BPE vocabularies spell bytes.
///
/// Printable bytes stand for themselves; the others, in order, are U+0100, U+0101, …: a space reads "Ġ", a line feed
/// "Ċ". So every token is readable text whatever bytes it stands for. Source: `bytes_to_unicode` of OpenAI's GPT-2.
enum ByteAlphabet {
    /// The character of every byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7e, 0xa1...0xac, 0xae...0xff:
                return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next)!
            }
        }
    }()

    /// The same characters in UTF-8.
    static let utf8: [[UInt8]] = scalars.map { Array(String($0).utf8) }

    /// The byte a character stands for, `nil` if it is none of the 256.
    static func byte(of scalar: Unicode.Scalar) -> UInt8? { bytes[scalar] }

    private static let bytes = Dictionary(
        uniqueKeysWithValues: zip(scalars, UInt8.min...UInt8.max))

    /// The spelling of `bytes`.
    static func spell(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var spelling: [UInt8] = []
        spelling.reserveCapacity(2 * bytes.count)
        for byte in bytes { spelling.append(contentsOf: utf8[Int(byte)]) }
        return spelling
    }
}
