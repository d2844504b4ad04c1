import Foundation
import Tensors

/// A table of every node of a pass, as the real llama.cpp evaluated it: `Tests/Fixtures/golden/*.tsv`.
public struct GoldenNodes: Sendable {
    public struct Node: Sendable {
        public let seq: Int
        public let kind: String
        public let name: String
        public let shape: Shape
        public let sum: Double
        public let rms: Double
        public let minimum: Double
        public let maximum: Double
        public let sources: [String]
    }

    public let nodes: [Node]
    private let header: [String: String]

    public init(_ name: String) throws {
        let text = try String(contentsOfFile: Places.fixture("golden/\(name)"), encoding: .utf8)
        let lines = text.split(separator: "\n")
        header = Dictionary(
            uniqueKeysWithValues: lines.filter { $0.hasPrefix("# ") }.map { line in
                let parts = line.dropFirst(2).split(separator: "\t", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            })
        nodes = lines.filter { !$0.hasPrefix("#") && !$0.hasPrefix("seq\t") }.map { line in
            let f = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            return Node(
                seq: Int(f[0])!, kind: f[1], name: f[2], shape: Shape(f[3].split(separator: "x").map { Int($0)! }),
                sum: Double(f[4])!, rms: Double(f[5])!, minimum: Double(f[6])!, maximum: Double(f[7])!,
                sources: f[8].split(separator: ",").map(String.init))
        }
    }

    /// A value of the lines before the table, which are JSON.
    public func header<Value: Decodable>(_ key: String, as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data((header[key] ?? "null").utf8))
    }
}

/// A prompt with what the real llama.cpp made of it: a line of `Tests/Fixtures/golden/*.jsonl`.
public struct GoldenPrompt: Decodable, Sendable {
    public let prompt: String
    public let tokens: [Int]
    /// Pairs of id and logit, best first.
    public let top10: [[Double]]
    public let greedy24: [Int]
    /// The best logit minus the second, at each greedy step.
    public let margin24: [Double]
    public let logsumexp: Double

    public static func all(_ name: String) throws -> [GoldenPrompt] {
        try String(contentsOfFile: Places.fixture("golden/\(name)"), encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(GoldenPrompt.self, from: Data($0.utf8))
        }
    }
}
