/// A piece of a template.
struct Token {
    enum Kind: Equatable {
        case data([UInt8])
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string([UInt8])
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end
    }

    let kind: Kind
    let line: Int

    /// What a message calls it.
    var words: String {
        switch kind {
        case .data: "text"
        case .variableBegin: "\"{{\""
        case .variableEnd: "\"}}\""
        case .blockBegin: "\"{%\""
        case .blockEnd: "\"%}\""
        case .name(let name): "\"\(name)\""
        case .string: "a string"
        case .integer(let value): "\(value)"
        case .float(let value): "\(value)"
        case .symbol(let symbol): "\"\(symbol)\""
        case .end: "the end of the template"
        }
    }
}
