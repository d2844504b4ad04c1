import Foundation

/// The functions of queries that ask no model.
enum QueryFunction: String, CaseIterable {
    case abs, sqrt, exp, log, ln, log2, log10, sin, cos, floor, ceil, round, trunc
    case sum, mean, rms, count, argmax, argmin, softmax, sorted
    case min, max, range, choose, distinct, index, place, columns, repeated, turned

    func callAsFunction(_ arguments: [Value]) throws(QueryProblem) -> Value {
        switch self {
        case .abs: try each(arguments) { Swift.abs($0) }
        case .sqrt: try each(arguments) { $0.squareRoot() }
        case .exp: try each(arguments) { Foundation.exp($0) }
        case .log, .ln: try each(arguments) { Foundation.log($0) }
        case .log10: try each(arguments) { Foundation.log10($0) }
        case .log2: try each(arguments) { Foundation.log2($0) }
        case .sin: try each(arguments) { Foundation.sin($0) }
        case .cos: try each(arguments) { Foundation.cos($0) }
        case .floor: try each(arguments) { $0.rounded(.down) }
        case .ceil: try each(arguments) { $0.rounded(.up) }
        case .round: try each(arguments) { $0.rounded() }
        case .trunc: try each(arguments) { $0.rounded(.towardZero) }
        case .sum: .number(try list(arguments).reduce(0, +))
        case .mean: .number(try list(arguments).reduce(0, +) / Double(try list(arguments).count))
        case .rms:
            .number((try list(arguments).reduce(0) { $0 + $1 * $1 } / Double(try list(arguments).count)).squareRoot())
        case .count: .number(Double(try counted(arguments)))
        case .argmax: .number(Double(try extremum(arguments, >)))
        case .argmin: .number(Double(try extremum(arguments, <)))
        case .softmax: .numbers(Self.softmax(try list(arguments)))
        case .sorted: .numbers(try list(arguments).sorted())
        case .distinct: .number(Double(Set(try list(arguments)).count))
        case .min: .number(try all(arguments).min()!)
        case .max: .number(try all(arguments).max()!)
        case .range: .numbers((0..<Swift.max(0, try one(arguments).integer(for: rawValue))).map(Double.init))
        case .choose: try chosen(arguments)
        case .index, .place: try index(arguments)
        case .columns: .numbers(try columnMeans(arguments))
        case .turned: .numbers(try turnedRows(arguments))
        case .repeated: .numbers(try eachRepeated(arguments))
        }
    }

    private func one(_ arguments: [Value]) throws(QueryProblem) -> Value {
        guard arguments.count == 1 else { throw .arguments(function: rawValue, expected: "one value") }
        return arguments[0]
    }

    private func each(_ arguments: [Value], _ body: (Double) -> Double) throws(QueryProblem) -> Value {
        let value = try one(arguments)
        if case .number(let number) = value { return .number(body(number)) }
        return .numbers(try value.numbers(for: rawValue).map(body))
    }

    private func list(_ arguments: [Value]) throws(QueryProblem) -> [Double] {
        let list = try one(arguments).numbers(for: rawValue)
        guard !list.isEmpty else { throw .arguments(function: rawValue, expected: "a list that is not empty") }
        return list
    }

    /// `min(list)` or `min(a, b, …)`.
    private func all(_ arguments: [Value]) throws(QueryProblem) -> [Double] {
        var all: [Double] = []
        for argument in arguments { all += try argument.numbers(for: rawValue) }
        guard !all.isEmpty else { throw .arguments(function: rawValue, expected: "at least one number") }
        return all
    }

    private func counted(_ arguments: [Value]) throws(QueryProblem) -> Int {
        if case .texts(let texts) = try one(arguments) { return texts.count }
        return try one(arguments).numbers(for: rawValue).count
    }

    /// `index(texts, text)`: where the text first stands. Lessons of earlier versions say `place`.
    private func index(_ arguments: [Value]) throws(QueryProblem) -> Value {
        guard arguments.count == 2, case .texts(let texts) = arguments[0] else {
            throw .arguments(function: rawValue, expected: "a list of texts and a text")
        }
        let text = try arguments[1].text(for: rawValue)
        guard let index = texts.firstIndex(of: text) else { throw .unknown(name: text, known: texts) }
        return .number(Double(index))
    }

    /// `columns(list, n)`: the list as rows of n numbers; the mean of each column.
    private func columnMeans(_ arguments: [Value]) throws(QueryProblem) -> [Double] {
        guard arguments.count == 2 else { throw .arguments(function: rawValue, expected: "a list and a row's length") }
        let list = try list([arguments[0]])
        let width = try arguments[1].integer(for: rawValue)
        guard width > 0, list.count % width == 0 else {
            throw .arguments(function: rawValue, expected: "rows of equal length; found \(list.count) numbers")
        }
        let rows = Double(list.count / width)
        return (0..<width).map { column in
            stride(from: column, to: list.count, by: width).reduce(0) { $0 + list[$1] } / rows
        }
    }

    /// `repeated(list, n)`: each number n times, as a block's scale is for its weights.
    private func eachRepeated(_ arguments: [Value]) throws(QueryProblem) -> [Double] {
        guard arguments.count == 2 else { throw .arguments(function: rawValue, expected: "a list and how often") }
        let count = try arguments[1].integer(for: rawValue)
        guard (1...65536).contains(count) else { throw .arguments(function: rawValue, expected: "1 to 65536 times") }
        return try arguments[0].numbers(for: rawValue).flatMap { Array(repeating: $0, count: count) }
    }

    /// `turned(list, n, position, base, halves)`: rows of n numbers, each pair of which RoPE turns; of neighbours, or of
    /// number i and i + n / 2.
    private func turnedRows(_ arguments: [Value]) throws(QueryProblem) -> [Double] {
        guard arguments.count == 5 else {
            throw .arguments(function: rawValue, expected: "a list, a row's length, position, base, and whether halves")
        }
        let width = try arguments[1].integer(for: rawValue)
        var list = try list([arguments[0]])
        guard width > 1, width % 2 == 0, list.count % width == 0 else {
            throw .arguments(function: rawValue, expected: "rows of equal, even length; found \(list.count) numbers")
        }
        let (position, base) = (try arguments[2].number(for: rawValue), try arguments[3].number(for: rawValue))
        let isHalves = try arguments[4].truth(for: rawValue)
        for row in stride(from: 0, to: list.count, by: width) {
            for pair in 0..<width / 2 {
                let angle = position * pow(base, -2 * Double(pair) / Double(width))
                let a = row + (isHalves ? pair : 2 * pair)
                let b = a + (isHalves ? width / 2 : 1)
                let (x, y) = (list[a], list[b])
                list[a] = x * Foundation.cos(angle) - y * Foundation.sin(angle)
                list[b] = x * Foundation.sin(angle) + y * Foundation.cos(angle)
            }
        }
        return list
    }

    private func extremum(_ arguments: [Value], _ isBetter: (Double, Double) -> Bool) throws(QueryProblem) -> Int {
        let list = try list(arguments)
        return list.indices.reduce(0) { isBetter(list[$1], list[$0]) ? $1 : $0 }
    }

    private func chosen(_ arguments: [Value]) throws(QueryProblem) -> Value {
        guard arguments.count == 3 else {
            throw .arguments(function: rawValue, expected: "true or false, and two values")
        }
        return try arguments[0].truth(for: rawValue) ? arguments[1] : arguments[2]
    }

    private static func softmax(_ scores: [Double]) -> [Double] {
        let top = scores.max()!
        let weights = scores.map { Foundation.exp($0 - top) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }
}
