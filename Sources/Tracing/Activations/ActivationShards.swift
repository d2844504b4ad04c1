import Foundation
import LlamaModel
import Measuring
import ProgramFiles
import Recording

/// A folder of activations in shards that NumPy loads as they are.
///
/// `NAME.00000.npy` has a row of values for each token kept, F32 `(tokens, width)`; beside it are `tokens.00000.npy`,
/// `positions.00000.npy` (in the chunk) and `chunks.00000.npy`, I32 `(tokens,)`. `activations.json` says what they are of
/// and how many are complete: it is written after each shard.
public struct ActivationShards {
    /// What `activations.json` holds.
    public struct Index: Codable, Sendable, Equatable {
        public struct Column: Codable, Sendable, Equatable {
            public let name: String
            public let layer: Int?
            public let width: Int
            /// What the files of its shards begin with.
            public let file: String
        }

        public let format: Int
        public let model: String
        /// Of the model's file.
        public let sha256: String
        public let text: String
        public let chunkSize: Int
        public let chunks: Int
        public let chunksPerShard: Int
        public let every: Int
        public let columns: [Column]
        /// Of the tokens read, so that other ones are told.
        public let tokensHash: String
        public let shards: Int
        public var shardsDone: Int
        public var rows: Int
        public var isComplete: Bool
    }

    public static let indexName = "activations.json"

    public let folder: URL
    public private(set) var index: Index
    private let stream: ActivationStream

    /// - Parameters:
    ///   - folder: made if it is not there.
    ///   - resumes: whether shards that are there are gone on with.
    /// - Throws: `ActivationProblem` if something else is there, `FileProblem`.
    public init(_ stream: ActivationStream, in folder: String, chunksPerShard: Int, resumes: Bool) throws {
        self.stream = stream
        self.folder = URL(filePath: folder)
        let shards = (stream.text.chunks.count + chunksPerShard - 1) / chunksPerShard
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for token in stream.text.chunks.joined() { hash = (hash ^ UInt64(token)) &* 0x0000_0100_0000_01b3 }
        index = Index(
            format: 1, model: stream.model.file.path, sha256: DigestMemory.shared.hexDigest(of: stream.model.file),
            text: stream.text.name, chunkSize: stream.text.chunkSize, chunks: stream.text.chunks.count,
            chunksPerShard: chunksPerShard, every: stream.every,
            columns: stream.columns.map {
                .init(name: $0.name, layer: $0.layer, width: $0.width, file: Self.file($0.name))
            },
            tokensHash: String(hash, radix: 16), shards: shards, shardsDone: 0, rows: 0, isComplete: false)
        try Folders.make(self.folder, advice: "Give another --output.")
        let there = try FileManager.default.contentsOfDirectory(atPath: folder)
        guard !there.isEmpty else { return }
        guard resumes, let data = FileManager.default.contents(atPath: path(Self.indexName)) else {
            throw ActivationProblem.occupied(folder: folder)
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let earlier = try? decoder.decode(Index.self, from: data), earlier.isSameWork(as: index) else {
            throw ActivationProblem.otherWork(folder: folder)
        }
        index = earlier
    }

    private func path(_ name: String) -> String { folder.appending(path: name).path }

    /// A name that all file systems take.
    static func file(_ name: String) -> String {
        String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" })
    }

    /// Writes the shards that are missing.
    ///
    /// - Parameter progress: called often with the tokens read and to read; what it throws ends the work, and complete
    ///   shards stay.
    public mutating func write(progress: @escaping (_ done: Double, _ total: Int) throws -> Void) throws {
        let (size, total) = (stream.text.chunkSize, stream.text.chunks.count * stream.text.chunkSize)
        try save()
        while index.shardsDone < index.shards {
            let first = index.shardsDone * index.chunksPerShard
            let chunks = first..<min(first + index.chunksPerShard, stream.text.chunks.count)
            let rows = chunks.reduce(0) { $0 + stream.positions(of: $1).count }
            let number = String(index.shardsDone)
            let suffix = String(repeating: "0", count: max(0, 5 - number.count)) + number + ".npy"
            func open(_ name: String, _ shape: [Int], _ type: String) throws -> ArrayFile {
                let file = try ArrayFile(path: path("\(name).\(suffix)"), kind: .npy, replaces: true)
                try file.begin(shape: shape, type: type)
                return file
            }
            let columns = try index.columns.map { try open($0.file, [rows, $0.width], "<f4") }
            let facts = try ["tokens", "positions", "chunks"].map { try open($0, [rows], "<i4") }
            for chunk in chunks {
                let found = try stream.rows(of: chunk) { try progress((Double(chunk) + $0) * Double(size), total) }
                for (file, values) in zip(columns, found.values) { try file.append(values) }
                let numbers = [found.tokens, found.positions, found.tokens.map { _ in chunk }]
                for (file, values) in zip(facts, numbers) { try file.append(values.map { Int32($0) }) }
            }
            for file in columns + facts { _ = try file.finish() }
            index.shardsDone += 1
            index.rows += rows
            index.isComplete = index.shardsDone == index.shards
            try save()
        }
    }

    private func save() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        try Folders.replace(
            path(Self.indexName), with: try encoder.encode(index), advice: "Give another --output.")
    }
}

extension ActivationShards.Index {
    /// Whether shards of both go together.
    fileprivate func isSameWork(as other: Self) -> Bool {
        var (a, b) = (self, other)
        (a.shardsDone, a.rows, a.isComplete) = (0, 0, false)
        (b.shardsDone, b.rows, b.isComplete) = (0, 0, false)
        return a == b
    }
}
