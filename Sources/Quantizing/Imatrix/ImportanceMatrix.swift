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
        let sums = try ImportanceSums(file)
        var values: [String: [Float]] = [:]
        for name in sums.entries.keys {
            let means = sums.means(of: name)!
            if let index = means.firstIndex(where: { !$0.isFinite }) {
                throw QuantizeProblem.importanceValue(file: path, tensor: name, index: index, value: means[index])
            }
            values[name] = means
        }
        self.init(
            path: path, values: values, datasets: sums.datasets,
            chunks: file.metadata["imatrix.chunk_count"]?.integer ?? sums.chunks)
    }

    private init(path: String, values: [String: [Float]], datasets: [String], chunks: Int) {
        self.path = path
        self.values = values
        self.datasets = datasets
        self.chunks = chunks
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
