/// A share of some work: the second of five is `2/5`.
public struct ResultsPart: Sendable, Hashable {
    /// From 1.
    public let number: Int
    public let count: Int

    /// More than anybody has machines; those that are missing can be listed.
    private static let mostParts = 10_000

    /// - Precondition: `number` is one of the `count`.
    public init(_ number: Int, of count: Int) {
        precondition(1...count ~= number, "part \(number) of \(count)")
        (self.number, self.count) = (number, count)
    }

    /// The units of its own, of all: every `count`th, since neighbours take as long as each other and far ones do not.
    public func units(of all: Int) -> [Int] { Array(stride(from: number - 1, to: all, by: count)) }
}

extension ResultsPart: LosslessStringConvertible {
    public init?(_ description: String) {
        let words = description.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard words.count == 2, let number = words[0], let count = words[1], 1...Self.mostParts ~= count,
            1...count ~= number
        else {
            return nil
        }
        self.init(number, of: count)
    }

    public var description: String { "\(number)/\(count)" }
}

extension ResultsPart: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let part = ResultsPart(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "'\(text)' is no part such as 2/5"))
        }
        self = part
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The first line of a file of results: all that decides what the rows will be.
public struct ResultsHeader: Codable, Sendable, Equatable {
    /// A model that is read, known by its bytes wherever it lies.
    public struct Model: Codable, Sendable, Equatable {
        public let path: String
        public let bytes: Int
        public let sha256: String

        public init(path: String, bytes: Int, sha256: String) {
            (self.path, self.bytes, self.sha256) = (path, bytes, sha256)
        }
    }

    /// The version of the format.
    public let quipuResults: Int
    public let command: String
    /// The program's.
    public let version: String
    public let models: [Model]
    /// By their names on the command line, and whatever else the rows depend on.
    public let options: [String: String]
    /// Rows of all of the work.
    public let units: Int
    /// `nil` if the file is for all of it.
    public var part: ResultsPart?

    public static let format = 1
    /// More rows than any work has; a list of as many numbers fits into memory.
    static let mostUnits = 1 << 24

    public init(
        command: String, version: String, models: [Model], options: [String: String], units: Int,
        part: ResultsPart? = nil
    ) {
        quipuResults = Self.format
        (self.command, self.version, self.models, self.options) = (command, version, models, options)
        (self.units, self.part) = (units, part)
    }

    /// The units whose rows the file is for.
    public var own: [Int] { part?.units(of: units) ?? Array(0..<units) }

    /// What another run differs in, in words: of each, what is in this one and what is in the other. Parts may differ.
    public func differences(from other: ResultsHeader) -> [(what: String, here: String, there: String)] {
        var found: [(String, String, String)] = []
        func compare(_ what: String, _ here: String?, _ there: String?) {
            if here != there { found.append((what, here ?? "not given", there ?? "not given")) }
        }
        compare("the command", command, other.command)
        compare("the program's version", version, other.version)
        for index in 0..<max(models.count, other.models.count) {
            let what = models.count > 1 ? "model \(index + 1)" : "the model"
            let (here, there) = (models.dropFirst(index).first, other.models.dropFirst(index).first)
            guard here?.sha256 != there?.sha256 || here?.bytes != there?.bytes else { continue }
            compare(what, here?.words, there?.words)
        }
        for name in Set(options.keys).union(other.options.keys).sorted() {
            compare(name, options[name], other.options[name])
        }
        if found.isEmpty { compare("the number of rows", "\(units)", "\(other.units)") }
        return found
    }
}

extension ResultsHeader.Model {
    fileprivate var words: String { "\(path) (\(bytes) bytes, SHA-256 \(sha256.prefix(12))…)" }
}
