import ComputeGraph
import GGUF
import Quantization
import Tensors

/// One weight tensor and the types it may get.
public struct TypeCandidates: Sendable {
    public struct Candidate: Sendable {
        public let type: TensorType
        public let bytes: Int
        /// Σ of squared errors of the weights, each weighted with its column's importance; of a large tensor estimated from
        /// some of its rows.
        public let error: Double
    }

    public let tensor: TensorInfo
    /// Smaller ones first; none that another is both smaller and more exact than.
    public let candidates: [Candidate]
    /// One standard error of the candidates' errors, as a share of them, the largest; 0 where all rows were taken.
    public let uncertainty: Double

    public var weights: Int { tensor.shape.count }
    public func bitsPerWeight(_ index: Int) -> Double { Double(8 * candidates[index].bytes) / Double(weights) }

    /// The candidate nearest to so many bits, of those that change anything.
    public func nearest(bits: Double) -> Int {
        let changing = candidates.indices.filter { candidates[$0].error > 0 }
        return (changing.isEmpty ? Array(candidates.indices) : changing).min {
            abs(bitsPerWeight($0) - bits) < abs(bitsPerWeight($1) - bits)
        }!
    }
}

/// Finds out what types would make of a model's tensors.
public struct CandidateSearch: Sendable {
    public let file: GGUFFile
    public let importance: ImportanceMatrix?
    private let workers: Workers
    private let mostWeights: Int

    /// - Parameter mostWeights: of a tensor with more, rows that are spread evenly stand for all.
    public init(
        _ file: GGUFFile, importance: ImportanceMatrix?, workers: Workers, mostWeights: Int = usualMostWeights
    ) {
        (self.file, self.importance, self.workers) = (file, importance, workers)
        self.mostWeights = mostWeights
    }

    /// Some hundred rows of a model of 8 B weights, whose errors are then known to some 3 %.
    public static let usualMostWeights = 1 << 20

    /// Types that a plan for a model is usually made of.
    public static let usualTypes: [TensorType] = [
        .q2_K, .q3_K, .iq4_xs, .iq4_nl, .q4_0, .q4_1, .q4_K, .q5_0, .q5_1, .q5_K, .q6_K, .q8_0,
    ]

    /// The tensors that llama.cpp would quantise, with those of the types that their rows take.
    ///
    /// - Parameter progress: called with the weights done and to do; what it throws ends the work.
    /// - Throws: `QuantizeProblem` if weights are not finite.
    public func candidates(
        _ types: [TensorType], progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws -> [TypeCandidates] {
        let plan = try QuantizationPlan(file, as: QuantizationMix.named("Q8_0")!, hasImportance: importance != nil)
        let open = plan.entries.filter(\.isQuantizable).map(\.tensor)
        let total = open.reduce(0) { $0 + rows(of: $1).count * $1.shape.ne0 * types.count }
        var done = 0
        return try open.map { tensor in
            let (columns, rows) = (try importance?.values(for: tensor), rows(of: tensor))
            var found: [TypeCandidates.Candidate] = []
            var uncertainty = 0.0
            func add(_ type: TensorType, rowBytes: Int) throws {
                let error = try error(of: tensor, as: type, columns, rows)
                found.append(.init(type: type, bytes: rowBytes * tensor.shape.rows, error: error.sum))
                uncertainty = max(uncertainty, error.uncertainty)
            }
            for type in types {
                defer { done += rows.count * tensor.shape.ne0 }
                guard let bytes = type.rowBytes(tensor.shape.ne0), canWrite(tensor, type, columns) else { continue }
                try add(type, rowBytes: bytes)
                try progress(done, total)
            }
            if found.isEmpty {
                let type = fallback(tensor, types)
                guard let bytes = type.rowBytes(tensor.shape.ne0) else {
                    throw QuantizeProblem.noCandidate(file: file.path, tensor: tensor.name, length: tensor.shape.ne0)
                }
                try add(type, rowBytes: bytes)
            }
            return TypeCandidates(
                tensor: tensor, candidates: Self.undominated(found), uncertainty: uncertainty)
        }
    }

    /// What llama.cpp would write where no type fits, in place of the smallest one; F16 if it has nothing.
    private func fallback(_ tensor: TensorInfo, _ types: [TensorType]) -> TensorType {
        let smallest = types.min { $0.bitsPerWeight < $1.bitsPerWeight }!
        return (try? TypeChooser.fitting(smallest, tensor)) ?? .f16
    }

    /// Rows that stand for all. Their distance is odd, so that they are not the same row of each head.
    private func rows(of tensor: TensorInfo) -> [Int] {
        guard tensor.shape.count > mostWeights else { return Array(0..<tensor.shape.rows) }
        let step = min(tensor.shape.count / mostWeights, tensor.shape.rows / 16) | 1
        return Array(stride(from: step / 2, to: tensor.shape.rows, by: step))
    }

    private func canWrite(_ tensor: TensorInfo, _ type: TensorType, _ columns: [Float]?) -> Bool {
        guard let format = BlockFormats.encodableFormat(for: type) else { return false }
        return format.importance != .required || columns != nil
    }

    private static func undominated(_ found: [TypeCandidates.Candidate]) -> [TypeCandidates.Candidate] {
        var kept: [TypeCandidates.Candidate] = []
        for candidate in found.sorted(by: { ($0.bytes, $0.error) < ($1.bytes, $1.error) })
        where kept.allSatisfy({ candidate.error < $0.error }) {
            kept.append(candidate)
        }
        return kept
    }

    /// A tensor of the file in another type.
    ///
    /// - Throws: `QuantizeProblem` if weights are not finite.
    public func tensor(_ tensor: TensorInfo, as type: TensorType) throws -> Tensor {
        let plan = QuantizationPlan(writing: tensor, as: type)
        let quantizer = ModelQuantizer(file: file, plan: plan, importance: importance, workers: workers)
        return try quantizer.changedTensors()[tensor.name] ?? file.values(of: tensor)
    }

    /// Σ over all weights of importance · (weight - what the type makes of it)², from some rows, and one standard error of it
    /// as a share.
    private func error(
        of info: TensorInfo, as type: TensorType, _ columns: [Float]?, _ rows: [Int]
    ) throws -> (sum: Double, uncertainty: Double) {
        guard type != info.type else { return (0, 0) }
        guard let decoder = BlockFormats.format(for: info.type), let format = BlockFormats.encodableFormat(for: type)
        else { throw QuantizeProblem.notDecodable(file: file.path, tensor: info.name, type: info.type) }
        // Rows that are not written are not read, and take no memory.
        let (source, made) = (file.values(of: info), Tensor.unwritten(type, info.shape))
        let conversion = RowConversion(
            source: source, decoder: decoder, encoding: .init(format: format, target: made, importance: columns))
        let width = info.shape.ne0
        let sums = workers.map(items: rows.count, grain: max(1, 4096 / width)) { index in
            let row = rows[index]
            conversion.convert(row..<row + 1)
            var (one, other) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: width))
            var span = one.mutableSpan
            source.decodeRow(row, by: decoder, into: &span)
            var otherSpan = other.mutableSpan
            made.decodeRow(row, by: format, into: &otherSpan)
            let first = row / info.shape.ne1 % info.shape.ne2 * width
            return (0..<width).reduce(0.0) { sum, column in
                let difference = Double(one[column]) - Double(other[column])
                return sum + difference * difference * Double(columns?[first + column] ?? 1)
            }
        }
        if let fault = conversion.fault { throw fault.problem(of: info, in: file, as: type) }
        let mean = Estimate(meanOf: sums)
        let isWhole = rows.count == info.shape.rows || mean.value == 0
        return (mean.value * Double(info.shape.rows), isWhole ? 0 : mean.uncertainty / mean.value)
    }
}

extension QuantizationPlan {
    /// One tensor alone in another type.
    fileprivate init(writing tensor: TensorInfo, as type: TensorType) {
        self.init(
            fileType: nil,
            entries: [
                Entry(tensor: tensor, type: type, wanted: type, isQuantizable: true, needsImportance: false)
            ])
    }

    /// A plan that gives each of some tensors a type by name.
    ///
    /// - Parameters:
    ///   - types: by tensor name.
    ///   - mix: what the others get, and the file type that is written.
    /// - Throws: `QuantizeProblem` as for any mix.
    public init(
        _ file: GGUFFile, as mix: QuantizationMix, types: [String: TensorType], hasImportance: Bool
    ) throws(QuantizeProblem) {
        var options = QuantizeOptions()
        options.overrides = try TypeOverride.list(Self.typeFile(types), from: "the plan")
        try self.init(file, as: mix, options, hasImportance: hasImportance)
    }

    /// The types as a file for `--tensor-type-file`, of `quantize` and of llama-quantize.
    public static func typeFile(_ types: [String: TensorType]) -> String {
        types.sorted { $0.key < $1.key }.map { name, type in
            let pattern = name.map { $0.isLetter || $0.isNumber || $0 == "_" ? "\($0)" : "\\\($0)" }.joined()
            return "^\(pattern)$=\(type.name.lowercased())\n"
        }.joined()
    }
}
