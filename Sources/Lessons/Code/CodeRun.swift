import Foundation

/// What the harness wrote down.
public struct CodeRun: Sendable {
    /// An error of the learner's code.
    public struct Fault: Decodable, Sendable {
        let kind: String
        let says: String
        /// From 1, in the learner's file.
        let line: Int?

        public init(kind: String, says: String, line: Int?) { (self.kind, self.says, self.line) = (kind, says, line) }

        /// The kind of one that says that the function is as it was written, and of one that ended the program. Python's names.
        public static let isUnwritten = "NotImplementedError"
        public static let isExit = "SystemExit"
    }

    private struct Call: Decodable {
        let kind: String?
        let shape: [Int]?
        let error: Fault?
    }

    private struct Result: Decodable {
        let functions: [String: [Call]]
        let error: Fault?
        let defines: [String]
        let says: [String: String]
    }

    /// What a function gave in one case.
    enum Outcome: Sendable {
        case array(numbers: [Double], shape: [Int])
        /// No numbers, but something of this type.
        case other(kind: String)
        case fault(Fault)
    }

    /// Of the file as a whole.
    let fault: Fault?
    let defines: [String]
    let functions: [String: [Outcome]]
    /// Docstrings.
    let says: [String: String]

    /// Of no function: nothing was run.
    public init() { (fault, defines, functions, says) = (nil, [], [:], [:]) }

    /// Of a file that cannot be run.
    public init(fault: Fault) { (self.fault, defines, functions, says) = (fault, [], [:], [:]) }

    public init(folder: URL) throws {
        let data = try Data(contentsOf: folder.appending(path: "result.json"))
        let result = try JSONDecoder().decode(Result.self, from: data)
        (fault, defines, says) = (result.error, result.defines, result.says)
        functions = result.functions.reduce(into: [:]) { functions, entry in
            functions[entry.key] = entry.value.enumerated().map { index, call in
                Self.outcome(call, folder.appending(path: "\(entry.key)-\(index).f64"))
            }
        }
    }

    /// Of a program that may have ended in the midst of a call.
    ///
    /// - Parameters:
    ///   - cases: what it was called with.
    ///   - fault: why it ended, if not all calls were made.
    public init(folder: URL, of cases: CodeCases, endedBy fault: Fault) {
        let function = cases.task.function
        let before = (try? CodeRun(folder: folder))?.functions[function] ?? []
        let left = max(0, cases.answers.count - before.count)
        (self.fault, defines, says) = (nil, [function], [:])
        functions = [function: before + Array(repeating: .fault(fault), count: left)]
    }

    /// The numbers of an array that is too large for any answer were not written. Nothing written is relied on: the learner's
    /// code could write there, too.
    private static func outcome(_ call: Call, _ file: URL) -> Outcome {
        if let fault = call.error { return .fault(fault) }
        let other = Outcome.other(kind: call.kind ?? "nothing")
        guard let shape = call.shape, shape.allSatisfy({ $0 >= 0 }) else { return other }
        var count = 1
        for size in shape {
            let (product, isTooLarge) = count.multipliedReportingOverflow(by: size)
            count = isTooLarge ? .max : product
        }
        guard count <= longest else { return .array(numbers: [], shape: shape) }
        let numbers = (try? Data(contentsOf: file)).map(doubles) ?? []
        return numbers.count == count ? .array(numbers: numbers, shape: shape) : other
    }

    /// The harness has the same number.
    private static let longest = 1 << 22

    private static func doubles(_ data: Data) -> [Double] {
        data.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
        }
    }
}

/// What became of a learner's function.
public struct CodeVerdict: Sendable {
    public let isRight: Bool
    /// Of what is wrong: why, as far as it can be told.
    public let says: String?
    /// Whether the mistake was recognised.
    public let isKnownMistake: Bool
    public let right: Int
    public let cases: Int
}
