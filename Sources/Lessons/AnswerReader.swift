import Foundation

/// Reads what learners type.
enum AnswerReader {
    /// A number in any of the ways people write one: `0x1f`, `3/4`, `12,288`, `-1.5e-3`, `12 %`, `h3`, with or without its
    /// unit, or arithmetic such as `(7 - 8) * 0.25`.
    static func number(_ text: String, unit: String?) -> Double? {
        var text = text.trimmingCharacters(in: .whitespaces).replacing("−", with: "-")
        if let unit, text.lowercased().hasSuffix(unit.lowercased()) {
            text = String(text.dropLast(unit.count)).trimmingCharacters(in: .whitespaces)
        }
        var factor = 1.0
        if text.hasSuffix("%") {
            text.removeLast()
            // Of what is not counted in percent, the share is meant.
            factor = 0.01
        }
        // As pages print numbers. Among the letters of a function a comma stands between its arguments.
        let grouped = /\b\d{1,3}(,\d{3})+\b/
        if !text.contains(where: \.isLetter), text.contains(grouped) {
            text.replace(grouped) { $0.output.0.replacing(",", with: "") }
        } else if let labelled = text.wholeMatch(of: /([A-Za-z]+) ?(\d+)/),
            QueryFunction(rawValue: String(labelled.output.1)) == nil
        {
            text = String(labelled.output.2)
        }
        guard let query = try? Query(text), !query.asksTheModel, query.names.isSubset(of: constants.keys) else {
            return nil
        }
        guard let value = try? arithmetic(query.root), value.isFinite else { return nil }
        return value * factor
    }

    private static let constants = ["e": M_E, "pi": Double.pi]

    /// For who typed something else: what a calculator here can do.
    static let calculator =
        "`1.5`, `3/4`, `0x1f`, `(7 - 8) * 0.25`, `2^10` or `2**10`, `e^-1.5`; functions are `sqrt`, `exp`, `ln` "
        + "(also `log`), `log10`, `log2`, `abs`, `round`, `floor`, `ceil`, `trunc`, `sin`, `cos`, `min`, `max`; `pi` and `e` are known."

    private static func arithmetic(_ node: Query.Node) throws(QueryProblem) -> Double {
        switch node {
        case .number(let number): return number
        case .name(let name):
            guard let constant = constants[name] else { throw .unknown(name: name, known: constants.keys.sorted()) }
            return constant
        case .unary(let sign, let a):
            return try ValueArithmetic.unary(sign, .number(try arithmetic(a))).number(for: sign)
        case .binary(let sign, let a, let b):
            return try ValueArithmetic.binary(sign, .number(try arithmetic(a)), .number(try arithmetic(b)))
                .number(for: sign)
        case .call(let name, false, let arguments):
            guard let function = QueryFunction(rawValue: name) else { throw .unknownFunction(name: name, known: []) }
            var values: [Value] = []
            for argument in arguments { values.append(.number(try arithmetic(argument))) }
            return try function(values).number(for: name)
        default: throw .mismatch(operation: "answer", found: "this")
        }
    }

    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "t", "yes", "y": true
        case "false", "f", "no", "n": false
        default: nil
        }
    }

    /// The first word, and what follows it.
    static func head(_ text: String) -> (String, String) {
        let words = text.split(separator: /[\s,;]+/, maxSplits: 1)
        return (words.first.map(String.init) ?? "", words.count > 1 ? String(words[1]) : "")
    }

    /// Without the marks that pages put around pieces of text, and without spaces, which do not show.
    static func bare(_ piece: String) -> String {
        piece.trimmingCharacters(in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "‹›\"")))
            .trimmingCharacters(in: .whitespaces)
    }
}
