import Foundation
import GGUF
import Tensors

/// One JSON document: snake_case keys, sorted; infinities and NaN as strings, bytes that are not UTF-8 as `\xFF`, and what a
/// terminal would act on as `\u202E`.
public enum JSONOutput {
    public static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return escaped(
            String(decoding: try encoder.encode(value), as: UTF8.self).showingBytes(backslash: #"\\"#))
    }

    /// JSON has escapes for all of these, and none stands outside of a string but the line ends of the layout.
    private static func escaped(_ text: String) -> String {
        func isMeant(_ scalar: Unicode.Scalar) -> Bool { scalar != "\n" && scalar.changesTerminal }
        guard text.unicodeScalars.contains(where: isMeant) else { return text }
        return text.unicodeScalars.reduce(into: "") { text, scalar in
            guard isMeant(scalar) else { return text.unicodeScalars.append(scalar) }
            let digits = String(scalar.value, radix: 16)
            text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
}

/// A command's result: a document for programs and a page for people.
public protocol Report: Encodable {
    func page(_ style: Style) -> String
}

/// An optional that a document spells `null`; Swift would leave the key out, and readers would trip over its absence.
@propertyWrapper
public struct OrNull<Value: Encodable & Sendable>: Encodable, Sendable {
    public var wrappedValue: Value?

    public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}
