import Foundation

extension CodeTask {
    /// The file that a learner begins with: the contract as comments, then the function.
    public func starter(for subject: Subject, in language: CodeLanguage) throws(LessonError) -> String {
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
        for paragraph in text.components(separatedBy: "\n\n") {
            lines += Self.commented(paragraph, comment) + [comment]
        }
        let needs =
            language == .python
            ? "It needs NumPy." : "An array of shape (a, b) is an array of a arrays, with b numbers each."
        lines += Self.commented(
            "`quipu lesson check \(id).\(language.fileExtension)` runs it on your model. \(needs)", comment)
        return (lines + [""]).joined(separator: "\n") + "\n" + function
    }

    private func swiftStart(_ evaluator: Evaluator) throws(QueryProblem) -> String {
        """
        import Foundation

        \(try swiftSignature(evaluator)) {
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
    func swiftSignature(_ evaluator: Evaluator) throws(QueryProblem) -> String {
        var parts: [String] = []
        for argument in arguments { parts.append("_ \(argument.name): \(try Self.swiftType(argument, evaluator))") }
        return "func \(function)(\(parts.joined(separator: ", "))) -> \(try Self.swiftType(answer, evaluator))"
    }

    private static func swiftType(_ argument: Argument, _ evaluator: Evaluator) throws(QueryProblem) -> String {
        let number =
            switch argument.type {
            case "u1": "UInt8"
            case "f4": "Float"
            case "bool": "Bool"
            case "int", "i8": "Int"
            default: "Double"
            }
        let rank = try CodeCases.shape(argument, evaluator)?.count ?? 0
        return String(repeating: "[", count: rank) + number + String(repeating: "]", count: rank)
    }
}

extension CodeCases {
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
