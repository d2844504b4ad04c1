import GGUF
import Tensors

/// What an importance matrix is made of: by weight matrix, sums of squared activations and over how many rows they go.
///
/// As llama.cpp's `llama-imatrix` keeps and writes them: sums in F32, added row after row. Source: llama.cpp
/// `tools/imatrix/imatrix.cpp`.
public struct ImportanceSums: Sendable, Equatable {
    /// The sums of one weight tensor.
    public struct Entry: Sendable, Equatable {
        /// For each matrix of the tensor a sum for each of its columns, one matrix after the other.
        public var sums: [Float]
        /// Rows that went into them: of each expert, or one number for all.
        public var counts: [Int]

        public init(sums: [Float], counts: [Int]) { (self.sums, self.counts) = (sums, counts) }
    }

    /// By weight tensor.
    public var entries: [String: Entry]
    /// The texts that activations come from.
    public var datasets: [String]
    /// Tokens of a chunk of text.
    public let chunkSize: Int

    public init(entries: [String: Entry] = [:], datasets: [String] = [], chunkSize: Int) {
        (self.entries, self.datasets, self.chunkSize) = (entries, datasets, chunkSize)
    }

    /// Chunks that were read, as far as the counts tell.
    public var chunks: Int { (entries.values.flatMap(\.counts).max() ?? 0) / max(1, chunkSize) }

    // MARK: files

    private enum Key {
        static let datasets = "imatrix.datasets"
        static let chunkCount = "imatrix.chunk_count"
        static let chunkSize = "imatrix.chunk_size"
    }

    private static let sumSuffix = ".in_sum2"
    private static let countSuffix = ".counts"

    /// - Parameter chunkSize: tokens of a chunk, which files from before GGUF do not say.
    /// - Throws: `GGUFError` if the file cannot be read, `QuantizeProblem` if it is no importance matrix.
    public init(path: String, chunkSize: Int) throws {
        guard LegacyImportance.isLegacy(path) else {
            try self.init(GGUFFile(path: path))
            return
        }
        let legacy = try LegacyImportance(path: path)
        let entries = legacy.entries.map { entry in
            // Means times calls, and a call is a chunk.
            let rows = max(1, entry.calls) * chunkSize
            return (entry.name, Entry(sums: entry.means.map { $0 * Float(rows) }, counts: [rows]))
        }
        self.init(
            entries: Dictionary(entries) { $1 }, datasets: legacy.datasets, chunkSize: chunkSize)
    }

    /// - Throws: `QuantizeProblem` if it is no importance matrix.
    public init(_ file: GGUFFile) throws(QuantizeProblem) {
        guard let datasets = file.metadata[Key.datasets]?.array, file.metadata[Key.chunkCount]?.integer != nil,
            let chunkSize = file.metadata[Key.chunkSize]?.integer
        else {
            throw .importanceFile(
                file: file.path, found: "no keys 'imatrix.…'", expected: "an importance matrix in GGUF")
        }
        var entries: [String: Entry] = [:]
        for tensor in file.tensors where tensor.name.hasSuffix(Self.sumSuffix) {
            let name = String(tensor.name.dropLast(Self.sumSuffix.count))
            entries[name] = try Self.entry(name, tensor, in: file)
        }
        guard !entries.isEmpty else {
            throw .importanceFile(
                file: file.path, found: "no tensor '…\(Self.sumSuffix)'", expected: "an importance matrix in GGUF")
        }
        self.init(entries: entries, datasets: datasets.values.compactMap(\.string), chunkSize: chunkSize)
    }

    private static func entry(_ name: String, _ sums: TensorInfo, in file: GGUFFile) throws(QuantizeProblem) -> Entry {
        guard let counts = file.tensor(named: name + countSuffix), sums.type == .f32, counts.type == .f32,
            counts.shape.count > 0, sums.shape.count % counts.shape.count == 0
        else {
            throw .importanceFile(
                file: file.path, found: "no counts that fit '\(sums.name)'", expected: "a pair of F32 tensors")
        }
        let numbers = file.values(of: counts).floats().map { $0.rounded(.toNearestOrAwayFromZero) }
        for (index, number) in numbers.enumerated() where !(number >= 0 && number < 1e18) {
            throw .importanceValue(file: file.path, tensor: name, index: index, value: number)
        }
        return Entry(sums: file.values(of: sums).floats(), counts: numbers.map { Int($0) })
    }

    /// The sums as a file that llama.cpp's tools read, with its keys and in its order.
    ///
    /// - Parameter extra: further keys.
    public func writer(extra: [Metadata.Entry] = []) -> GGUFWriter {
        let metadata = Metadata(
            [
                .init(key: "general.type", value: .string("imatrix")),
                .init(key: Key.datasets, value: .array(GGUFArray(.string, datasets.map { .string($0) }))),
                .init(key: Key.chunkCount, value: .uint32(UInt32(clamping: chunks))),
                .init(key: Key.chunkSize, value: .uint32(UInt32(clamping: chunkSize))),
            ] + extra)
        let names = entries.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let tensors = names.flatMap { name -> [GGUFWriter.TensorEntry] in
            let entry = entries[name]!
            let matrices = entry.counts.count
            let counts = Tensor.floats(entry.counts.map { Float($0) }, Shape(1, matrices))
            let sums = Tensor.floats(entry.sums, Shape(entry.sums.count / matrices, matrices))
            return [
                .init(name: name + Self.sumSuffix, sums),
                .init(name: name + Self.countSuffix, counts),
            ]
        }
        return GGUFWriter(metadata: metadata, tensors: tensors)
    }

    // MARK: more of them

    /// Adds the sums of another matrix of the same model.
    ///
    /// - Throws: `QuantizeProblem` if a tensor has other columns there.
    public mutating func merge(_ other: ImportanceSums, from path: String) throws(QuantizeProblem) {
        for name in other.entries.keys.sorted() {
            let added = other.entries[name]!
            guard var entry = entries[name] else {
                entries[name] = added
                continue
            }
            guard added.sums.count == entry.sums.count else {
                throw .importanceSize(
                    file: path, tensor: name, found: added.sums.count, expected: entry.sums.count)
            }
            for index in entry.sums.indices { entry.sums[index] += added.sums[index] }
            // One number for all experts is every expert's.
            let count = max(entry.counts.count, added.counts.count)
            func spread(_ counts: [Int]) -> [Int] {
                counts.count == count ? counts : [Int](repeating: counts[0], count: count)
            }
            entry.counts = zip(spread(entry.counts), spread(added.counts)).map(+)
            entries[name] = entry
        }
        datasets += other.datasets
    }

    /// The mean square of each column; 1 for an expert that no token was sent to, whose columns matter all the same.
    public func means(of name: String) -> [Float]? {
        guard let entry = entries[name] else { return nil }
        let width = entry.sums.count / entry.counts.count
        return entry.sums.indices.map { index in
            let count = Float(entry.counts[index / width])
            return count > 0 ? entry.sums[index] / count : 1
        }
    }
}
