import GGUF
import Quantization
import Tensors

/// Weights to show a format on: a model's, or made up ones that are the same each time.
public struct SampleWeights: Sendable {
    /// Where they are from, such as `blk.0.attn_q.weight (Q4_1) of model.gguf`; `nil` if they are made up.
    public let source: String?
    /// Empty if they are made up.
    private let values: [Float]

    /// Blocks of the longest format that are looked at.
    private static let blocks = 64

    /// Made up: many small and few large ones of either sign, as in models.
    public static let madeUp = SampleWeights(source: nil, values: [])

    private init(source: String?, values: [Float]) { (self.source, self.values) = (source, values) }

    /// The first weights of the first query matrix, or of the first matrix if there is none, as they decode.
    ///
    /// - Throws: `BlockProblem` if no matrix has enough of them.
    public init(from file: GGUFFile) throws(BlockProblem) {
        let matrices = file.tensors.filter {
            $0.shape.rows > 1 && $0.shape.count >= 1024 && BlockFormats.format(for: $0.type) != nil
        }
        let queries = matrices.filter { $0.name.hasSuffix("attn_q.weight") }
        for tensor in queries + matrices {
            let values = Self.first(of: tensor, in: file)
            guard firstNonFinite(values.span) == nil, values.prefix(256).contains(where: { $0 != 0 }) else { continue }
            self.init(source: "\(tensor.name) (\(tensor.type)) of \(file.path)", values: values)
            return
        }
        throw .noSample(file: file.path)
    }

    private static func first(of tensor: TensorInfo, in file: GGUFFile) -> [Float] {
        let rows = min(tensor.shape.rows, (256 * blocks + tensor.shape.ne0 - 1) / tensor.shape.ne0)
        return file.values(of: tensor).decodedRows(0..<rows)
    }

    /// So many weights: block `number` of that length.
    ///
    /// - Precondition: `number < count(of: length)`.
    package func block(_ length: Int, number: Int = 0) -> [Float] {
        if source == nil { return Self.bell(length, shift: number) }
        return Array(values[number * length..<(number + 1) * length])
    }

    /// Blocks of a length that there are.
    package func count(of length: Int) -> Int { source == nil ? 4 : min(Self.blocks, values.count / length) }

    /// Cubes of evenly spread numbers, shuffled.
    ///
    /// - Parameter shift: makes other weights, and more of them positive.
    private static func bell(_ count: Int, shift: Int) -> [Float] {
        (0..<count).map { j in
            let spread = Float((j * 37 + 11) % 64 - 30 + 3 * shift) / 32
            return 0.5 * spread * spread * spread + 0.05 * spread
        }
    }
}
