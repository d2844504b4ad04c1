import GGUF
import Tensors

/// How much the error of each column of each weight matrix matters: the mean square of the activations it meets.
///
/// Source: `imatrix.gguf` as llama.cpp's `llama-imatrix` writes it, `imatrix.dat` as it did before, and
/// `common_imatrix_load`.
public struct ImportanceMatrix: Sendable {
    public let path: String
    /// By weight tensor: `ne0` values for each expert, one after the other.
    public let values: [String: [Float]]
    /// The texts that activations come from.
    public let datasets: [String]
    public let chunks: Int

    /// - Throws: `GGUFError` if the file cannot be read, `QuantizeProblem` if it is no importance matrix.
    public init(path: String) throws {
        if LegacyImportance.isLegacy(path) {
            let legacy = try LegacyImportance(path: path)
            let values = Dictionary(legacy.entries.map { ($0.name, $0.means) }) { $1 }
            self.init(path: path, values: values, datasets: legacy.datasets, chunks: legacy.chunks)
        } else {
            try self.init(gguf: path)
        }
    }

    private init(gguf path: String) throws {
        let file = try GGUFFile(path: path)
        guard let datasets = file.metadata["imatrix.datasets"]?.array,
            let chunks = file.metadata["imatrix.chunk_count"]?.integer, file.metadata["imatrix.chunk_size"] != nil
        else {
            throw QuantizeProblem.importanceFile(
                file: path, found: "no keys 'imatrix.…'", expected: "an importance matrix in GGUF")
        }
        var values: [String: [Float]] = [:]
        for sums in file.tensors where sums.name.hasSuffix(Self.sumSuffix) {
            let name = String(sums.name.dropLast(Self.sumSuffix.count))
            values[name] = try Self.means(of: name, sums, in: file)
        }
        guard !values.isEmpty else {
            throw QuantizeProblem.importanceFile(
                file: path, found: "no tensor '….in_sum2'", expected: "an importance matrix in GGUF")
        }
        self.path = path
        self.values = values
        self.datasets = datasets.values.compactMap(\.string)
        self.chunks = chunks
    }

    private init(path: String, values: [String: [Float]], datasets: [String], chunks: Int) {
        self.path = path
        self.values = values
        self.datasets = datasets
        self.chunks = chunks
    }

    private static let sumSuffix = ".in_sum2"

    private static func means(of name: String, _ sums: TensorInfo, in file: GGUFFile) throws -> [Float] {
        guard let counts = file.tensor(named: name + ".counts"), sums.type == .f32, counts.type == .f32,
            counts.shape.count > 0, sums.shape.count % counts.shape.count == 0
        else {
            throw QuantizeProblem.importanceFile(
                file: file.path, found: "no counts that fit '\(sums.name)'", expected: "a pair of F32 tensors")
        }
        var means = file.values(of: sums).floats()
        let numbers = file.values(of: counts).floats().map { $0.rounded(.toNearestOrAwayFromZero) }
        let width = means.count / numbers.count
        for index in means.indices {
            // An expert that no token was sent to: all its columns matter the same.
            let number = numbers[index / width]
            means[index] = number > 0 ? means[index] / number : 1
            guard means[index].isFinite else {
                throw QuantizeProblem.importanceValue(
                    file: file.path, tensor: name, index: index, value: means[index])
            }
        }
        return means
    }

    /// The matrix of the tensors in whose name one of the parts is found.
    ///
    /// - Throws: `QuantizeProblem` if a part is found in no name.
    /// - Precondition: there is a part; else nothing would be left.
    public func including(_ parts: [String]) throws(QuantizeProblem) -> ImportanceMatrix {
        precondition(!parts.isEmpty, "no names to go by")
        try checkNames(parts)
        return filtered { name in parts.contains { name.contains($0) } }!
    }

    /// The matrix without the tensors in whose name one of the parts is found; `nil` if none is left.
    ///
    /// - Throws: as `including`.
    public func excluding(_ parts: [String]) throws(QuantizeProblem) -> ImportanceMatrix? {
        try checkNames(parts)
        return filtered { name in !parts.contains { name.contains($0) } }
    }

    private func checkNames(_ parts: [String]) throws(QuantizeProblem) {
        for part in parts where !values.keys.contains(where: { $0.contains(part) }) {
            throw .importanceName(file: path, part: part, example: values.keys.min()!)
        }
    }

    private func filtered(_ isKept: (String) -> Bool) -> ImportanceMatrix? {
        let kept = values.filter { isKept($0.key) }
        return kept.isEmpty ? nil : ImportanceMatrix(path: path, values: kept, datasets: datasets, chunks: chunks)
    }

    /// The importances of a tensor's columns, for each of its experts.
    ///
    /// - Returns: `nil` if there are none.
    /// - Throws: `QuantizeProblem` if there are too many or too few.
    public func values(for tensor: TensorInfo) throws(QuantizeProblem) -> [Float]? {
        guard let values = values[tensor.name] else { return nil }
        let expected = tensor.shape.ne0 * tensor.shape.ne2
        guard values.count == expected else {
            // Embeddings are looked up, not multiplied, and so may have importances of another matrix.
            if TensorRole(name: tensor.name) == .embedding { return nil }
            throw .importanceSize(file: path, tensor: tensor.name, found: values.count, expected: expected)
        }
        return values
    }
}
