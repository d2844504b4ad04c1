import GGUF
import Quantization
import Quantizing
import Recording
import Tensors
import Tokenization

/// The functions of queries that ask the model or the trace.
enum QuerySource: String, CaseIterable {
    /// `trace(address)`, `trace(address, step)`: recorded values, ne0 fastest.
    case trace
    /// `sql(statement)`: the first column of the rows; of one row, its value.
    case sql
    /// `row(tensor, r)`: a row of weights as they decode.
    case row
    /// `weights(tensor, first, n)`: consecutive weights through all rows.
    case weights
    /// `block(tensor, row, b)`: a stored block, taken apart.
    case block
    /// `encode(format, numbers)`, `encode(format, numbers, importances)`: the numbers written in a format or textbook
    /// scheme, taken apart.
    case encode
    /// `stored()`, `stored(part)`: types and sizes of the tensors, or of those in whose name the part is found.
    case stored
    /// `mix(type)`, `mix(type, part)`: the same of what `quipu quantize` would write.
    case mix
    /// `tokens(text)`: ids, special tokens included.
    case tokens
    /// `piece(id)`: what a token stands for.
    case piece
    /// `output(command, word, …)`: what a command of this program prints with `--json`.
    case output

    func callAsFunction(_ subject: Subject, _ arguments: [Value]) throws(QueryProblem) -> Value {
        switch self {
        case .trace:
            try take(arguments, 1...2, "an address, and perhaps a step")
            let step = arguments.count == 2 ? try arguments[1].integer(for: rawValue) : 0
            return try recorded(try arguments[0].text(for: rawValue), step, subject)
        case .sql:
            try take(arguments, 1...1, "a statement")
            return try rows(try arguments[0].text(for: rawValue), subject)
        case .row:
            try take(arguments, 2...2, "a tensor and a row")
            let tensor = try subject.tensor(try arguments[0].text(for: rawValue))
            let row = try arguments[1].integer(for: rawValue)
            return .numbers(try subject.weights(of: tensor, rows: row..<row + 1).map(Double.init))
        case .weights:
            try take(arguments, 3...3, "a tensor, the first weight and how many")
            return try consecutive(arguments, subject)
        case .block:
            try take(arguments, 3...3, "a tensor, a row and a block")
            let tensor = try subject.tensor(try arguments[0].text(for: rawValue))
            let (row, number) = (try arguments[1].integer(for: rawValue), try arguments[2].integer(for: rawValue))
            return try attempt {
                try EncodedNumbers(WeightBlock(row: row, block: number, of: tensor, in: subject.file))
            }
            .record
        case .encode:
            try take(arguments, 2...3, "a format, numbers, and perhaps the importance of each")
            func floats(_ value: Value) throws(QueryProblem) -> [Float] {
                try value.numbers(for: rawValue).map { Float($0) }
            }
            return try EncodedNumbers(
                try floats(arguments[1]), as: try arguments[0].text(for: rawValue),
                importance: arguments.count == 3 ? try floats(arguments[2]) : nil
            ).record
        case .stored:
            try take(arguments, 0...1, "nothing, or a part of tensors' names")
            return try TensorTypes(storedIn: subject, part: try arguments.last?.text(for: rawValue) ?? "").record
        case .mix:
            try take(arguments, 1...2, "a file type, and perhaps a part of tensors' names")
            let part = arguments.count == 2 ? try arguments[1].text(for: rawValue) : ""
            return try TensorTypes(of: subject, as: try arguments[0].text(for: rawValue), part: part).record
        case .tokens:
            try take(arguments, 1...1, "a text")
            let text = try arguments[0].text(for: rawValue)
            return .numbers(
                try attempt { try Tokenizer(metadata: subject.file.metadata) }.encode(text).map(Double.init))
        case .piece:
            try take(arguments, 1...1, "a token's id")
            return try piece(try arguments[0].integer(for: rawValue), subject)
        case .output:
            try take(arguments, 1...9, "a command, and perhaps more words")
            return try printed(arguments, subject)
        }
    }

    private func take(_ arguments: [Value], _ count: ClosedRange<Int>, _ expected: String) throws(QueryProblem) {
        guard count.contains(arguments.count) else { throw .arguments(function: rawValue, expected: expected) }
    }

    /// Words other errors as a query's.
    private func attempt<Result>(_ body: () throws -> Result) throws(QueryProblem) -> Result {
        do {
            return try body()
        } catch let problem as QueryProblem {
            throw problem
        } catch {
            throw .source(call: rawValue, message: "\(error)")
        }
    }

    private func recorded(_ text: String, _ step: Int, _ subject: Subject) throws(QueryProblem) -> Value {
        guard let (store, run) = subject.recording else { throw .source(call: rawValue, message: "there is no trace") }
        let found = try attempt { () throws -> [Double] in
            let address = try TensorAddress(text)
            let operation = try store.operation(address, run: run, step: step)
            let ranges = try address.ranges(in: operation.shape)
            let values = try store.values(of: operation, in: run)
            var found: [Double] = []
            for i3 in ranges[3] {
                for i2 in ranges[2] {
                    for i1 in ranges[1] {
                        for i0 in ranges[0] {
                            guard let value = values[ElementIndex(i0, i1, i2, i3)] else {
                                throw TraceError.notCaptured(name: text, capture: run.capture)
                            }
                            found.append(Double(value))
                        }
                    }
                }
            }
            return found
        }
        return found.count == 1 ? .number(found[0]) : .numbers(found)
    }

    /// The command is split at spaces; the words after it may hold some.
    private func printed(_ arguments: [Value], _ subject: Subject) throws(QueryProblem) -> Value {
        guard let program = subject.program else {
            throw .source(call: rawValue, message: "no command can be run on this")
        }
        var words = try arguments[0].text(for: rawValue).split(separator: " ").map(String.init)
        for word in arguments.dropFirst() { words.append(try word.text(for: rawValue)) }
        return try attempt { try CommandOutput.value(try program(words + ["--json"])) }
    }

    private func rows(_ statement: String, _ subject: Subject) throws(QueryProblem) -> Value {
        guard let (store, _) = subject.recording else { throw .source(call: rawValue, message: "there is no trace") }
        var cells: [TraceStore.SQLValue] = []
        try attempt { try store.query(statement, columns: { _ in }, row: { cells.append($0[0]) }) }
        guard !cells.isEmpty else { throw .noRows(sql: statement) }
        var (numbers, texts) = ([Double](), [String]())
        for cell in cells {
            switch cell {
            case .integer(let integer): numbers.append(Double(integer))
            case .real(let real): numbers.append(real)
            case .text(let text): texts.append(text)
            case .null, .blob: throw .mismatch(operation: "sql", found: cell == .null ? "NULL" : "a blob")
            }
        }
        guard numbers.isEmpty || texts.isEmpty else { throw .mismatch(operation: "sql", found: "numbers and texts") }
        if cells.count == 1 { return texts.isEmpty ? .number(numbers[0]) : .text(texts[0]) }
        return texts.isEmpty ? .numbers(numbers) : .texts(texts)
    }

    private func consecutive(_ arguments: [Value], _ subject: Subject) throws(QueryProblem) -> Value {
        let tensor = try subject.tensor(try arguments[0].text(for: rawValue))
        let (first, count) = (try arguments[1].integer(for: rawValue), try arguments[2].integer(for: rawValue))
        let width = tensor.shape.ne0
        guard first >= 0, count > 0 else { throw .arguments(function: rawValue, expected: "weights from 0 on") }
        let start = first / width
        let decoded = try subject.weights(of: tensor, rows: start..<(first + count + width - 1) / width)
        return .numbers(decoded[(first - start * width)..<(first - start * width + count)].map(Double.init))
    }

    private func piece(_ id: Int, _ subject: Subject) throws(QueryProblem) -> Value {
        let tokenizer = try attempt { try Tokenizer(metadata: subject.file.metadata) }
        guard (0..<tokenizer.vocabulary.count).contains(id) else {
            throw .outside(index: id, count: tokenizer.vocabulary.count)
        }
        return .text(tokenizer.vocabulary.displayPiece(id))
    }
}

extension Subject {
    var recording: (TraceStore, RecordedRun)? {
        guard let trace, let run else { return nil }
        return (trace, run)
    }
}
