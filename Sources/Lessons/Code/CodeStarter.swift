import Foundation

extension CodeTask {
    /// The file that a learner begins with: the contract as comments, then the function.
    ///
    /// - Parameters:
    ///   - file: how the file is named in a command.
    ///   - note: what stands before the contract.
    public func starter(
        for subject: Subject, in language: CodeLanguage, file name: String, note: String?
    ) throws(LessonError) -> String {
        let text: String
        let function: String
        do {
            let evaluator = try CodeCases.evaluator(self, subject, 0, 1)
            text = try contract.filled(evaluator)
            function = language == .python ? start : try swiftStart(evaluator)
        } catch {
            throw .query(location: file, problem: error)
        }
        let comment = language.comment
        var lines = [language.mark + id, "\(comment) \(title)", comment]
        for paragraph in (note.map { [$0] } ?? []) + text.components(separatedBy: "\n\n") {
            lines += Self.commented(paragraph, comment) + [comment]
        }
        let needs =
            language == .python
            ? "It needs NumPy." : "An array of shape (a, b) is an array of a arrays, with b numbers each."
        lines += Self.commented(
            "`quipu lesson check \(name)` runs it on \(note == nil ? "your model" : "that model"). \(needs)", comment)
        return (lines + [""]).joined(separator: "\n") + "\n" + function
    }

    private func swiftStart(_ evaluator: Evaluator) throws(QueryProblem) -> String {
        var ranks: [Int] = []
        for argument in arguments + [answer] { ranks.append(try CodeCases.shape(argument, evaluator)?.count ?? 0) }
        return """
            import Foundation

            \(swiftSignature(ranks: ranks)) {
                fatalError("\(Self.notWritten)")
            }

            """
    }

    /// What a function ends with that nobody has filled in.
    public static let notWritten = "not written yet"

    /// A paragraph in lines of a page's width. One that is indented keeps its lines, each of which is folded.
    private static func commented(_ paragraph: String, _ comment: String) -> [String] {
        let isIndented = paragraph.hasPrefix("    ")
        let start = isIndented ? comment + "    " : comment
        let texts =
            isIndented
            ? paragraph.components(separatedBy: "\n")
            : [paragraph.split(whereSeparator: \.isWhitespace).joined(separator: " ")]
        return texts.flatMap { text -> [String] in
            var (lines, line) = ([String](), start)
            for word in text.split(separator: " ") {
                if line.count + 1 + word.count > 79, line != start {
                    lines.append(line)
                    line = start
                }
                line += " " + word
            }
            return lines + [line]
        }
    }
}

// MARK: Swift

extension CodeTask {
    /// The function's first line. Arguments have no labels; an array of two dimensions is an array of arrays.
    ///
    /// - Parameter ranks: how many dimensions each argument has, and then the answer.
    func swiftSignature(ranks: [Int]) -> String {
        let types = zip(arguments + [answer], ranks).map(Self.swiftType)
        let parts = zip(arguments, types).map { "_ \($0.name): \($1)" }
        return "func \(function)(\(parts.joined(separator: ", "))) -> \(types.last!)"
    }

    private static func swiftType(_ argument: Argument, rank: Int) -> String {
        let number =
            switch argument.type {
            case "u1": "UInt8"
            case "f4": "Float"
            case "bool": "Bool"
            case "int", "i8": "Int"
            default: "Double"
            }
        return String(repeating: "[", count: rank) + number + String(repeating: "]", count: rank)
    }
}

extension CodeCases {
    /// The function's first line, as Swift has it.
    public var swiftSignature: String {
        let arrays = arrays.first ?? []
        let ranks = task.arguments.map { argument in arrays.first { $0.name == argument.name }?.shape.count ?? 0 }
        return task.swiftSignature(ranks: ranks + [answers.first?.shape.count ?? 0])
    }

    /// The file that calls a learner's function, with `harness.swift`.
    public var swiftCall: String {
        let arguments = task.arguments.map { _ in "$0.next()" }.joined(separator: ", ")
        return """
            try QuipuHarness.run("\(task.function)", calls: \(answers.count)) { \(task.function)(\(arguments)) }

            """
    }

    /// Writes what `harness.swift` reads: of each argument its number of dimensions, their sizes, and its numbers.
    public func write(swiftTo folder: URL) throws {
        for (index, described) in descriptions.enumerated() {
            var (numbers, held) = ([Double](), arrays[index][...])
            for argument in described["arguments"] as? [[String: Any]] ?? [] {
                if let value = argument["value"] {
                    numbers += [0, Self.double(value)]
                } else {
                    let (_, shape, values) = held.removeFirst()
                    numbers += [Double(shape.count)] + shape.map(Double.init) + values.map(Double.init)
                }
            }
            try numbers.withUnsafeBytes { try Data($0).write(to: folder.appending(path: "call-\(index).f64")) }
        }
    }

    private static func double(_ value: Any) -> Double {
        switch value {
        case let truth as Bool: truth ? 1 : 0
        case let whole as Int: Double(whole)
        default: value as? Double ?? .nan
        }
    }
}
