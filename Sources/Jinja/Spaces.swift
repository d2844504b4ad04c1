/// White space as Python's `str.isspace` knows it, in UTF-8.
enum Spaces {
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Bytes of the white space character at `offset`; 0 if there is none.
    static func length(_ text: ArraySlice<UInt8>, at offset: Int) -> Int {
        guard offset < text.endIndex else { return 0 }
        let byte = text[offset]
        if byte < 0x80 { return isSpace(Unicode.Scalar(byte)) ? 1 : 0 }
        let count = byte == 0xC2 ? 2 : (0xE1...0xE3).contains(byte) ? 3 : 0
        guard count > 0, offset + count <= text.endIndex else { return 0 }
        let scalars = String(decoding: text[offset..<offset + count], as: UTF8.self).unicodeScalars
        return scalars.count == 1 && isSpace(scalars.first!) ? count : 0
    }

    static func trimmedEnd(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while !text.isEmpty {
            var start = text.endIndex - 1
            while start > text.startIndex, text[start] & 0xC0 == 0x80, text.endIndex - start < 3 { start -= 1 }
            let count = length(text, at: start)
            guard count > 0, start + count == text.endIndex else { break }
            text = text[..<start]
        }
        return text
    }

    static func trimmedStart(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while true {
            let count = length(text, at: text.startIndex)
            if count == 0 { return text }
            text = text.dropFirst(count)
        }
    }
}
