import ComputeGraph
import GGUF
import Quantization
import Synchronization
import Tensors

/// What weights are written in: a format of ggml's, or a scheme that textbooks show.
public struct WeightForm: Sendable, Hashable, Codable {
    /// Of a scheme, its id.
    public let name: String
    /// No file holds it; for comparison.
    public let isTextbook: Bool

    public init(_ type: TensorType) { (name, isTextbook) = (type.name, false) }
    public init(_ scheme: any TeachingScheme) { (name, isTextbook) = (scheme.id, true) }
}

/// The error of one weight tensor in one format.
public struct TensorError: Sendable, Codable {
    public let name: String
    /// `nil` outside the blocks.
    public let layer: Int?
    /// `attn_q`, `ffn_down`, …
    public let role: String
    /// The format whose error this is.
    public let type: WeightForm
    /// Stored bits per weight, scales and all else included.
    public let bitsPerWeight: Double
    public let statistics: ErrorStatistics
    /// The same of each expert, by its number, without quantiles; empty for a tensor that does not hold experts.
    public let experts: [ErrorStatistics]
}

/// Compares weights with what a format makes of them, tensor by tensor.
public struct QuantErrors: Sendable {
    private let workers: Workers
    private let part: Int?
    /// Called often with the weights done and to do; what it throws ends the work.
    private let progress: @Sendable (Int, Int) throws -> Void

    /// Parts of a tensor that are gathered on their own and merged in order, whatever the number of threads.
    private static let parts = 32

    /// - Parameter part: only tensors of this file of a split model, from 0; `nil` for all.
    public init(
        workers: Workers, part: Int? = nil, progress: @escaping @Sendable (Int, Int) throws -> Void = { _, _ in }
    ) {
        self.workers = workers
        self.part = part
        self.progress = progress
    }

    /// One tensor, and what it is compared with.
    public struct Piece: Sendable {
        let tensor: TensorInfo
        let content: Content

        enum Content: Sendable {
            /// The tensor of this name in a file of higher precision.
            case reference(TensorInfo, in: GGUFFile)
            case format(any EncodableFormat, importance: [Float]?)
            case scheme(any TeachingScheme)
        }

        /// The tensor's name and the form's.
        public var name: String {
            switch content {
            case .reference: tensor.name
            case .format(let format, _): "\(tensor.name) \(format.type.name)"
            case .scheme(let scheme): "\(tensor.name) \(scheme.id)"
            }
        }
        public var weights: Int { tensor.shape.count }
    }

    /// A file's tensors beside the same tensors of a file of higher precision, in the file's order.
    ///
    /// - Throws: `QuantErrorProblem` if the files do not belong together.
    public func pieces(of file: GGUFFile, against reference: GGUFFile) throws -> [Piece] {
        try file.tensors.filter { ($0.shape.rows > 1 || $0.type != .f32) && $0.part == part ?? $0.part }.map { info in
            guard let original = reference.tensor(named: info.name) else {
                throw QuantErrorProblem.missing(file: reference.path, tensor: info.name)
            }
            guard original.shape == info.shape else {
                throw QuantErrorProblem.shapes(tensor: info.name, found: info.shape, expected: original.shape)
            }
            return Piece(tensor: info, content: .reference(original, in: reference))
        }
    }

    /// The tensors that formats are tried on.
    func matrices(of file: GGUFFile) -> [TensorInfo] {
        file.tensors.filter { $0.shape.rows > 1 && $0.part == part ?? $0.part }
    }

    /// A file's tensors beside themselves in each format, in the file's order, all formats of a tensor together.
    ///
    /// The reference is what the file's own weights decode to. Only matrices are compared; where a format's block does
    /// not divide a tensor's rows, or it needs importances that are not known, there is no piece.
    ///
    /// - Throws: `QuantizeProblem` if the importance matrix is another model's.
    public func pieces(
        of file: GGUFFile, as formats: [any EncodableFormat], schemes: [any TeachingScheme] = [],
        importance: ImportanceMatrix? = nil
    ) throws -> [Piece] {
        try matrices(of: file).flatMap { info in
            let columns = try importance?.values(for: info)
            let fitting = formats.filter {
                info.shape.ne0 % $0.type.blockElements == 0 && ($0.importance != .required || columns != nil)
            }
            return fitting.map { Piece(tensor: info, content: .format($0, importance: columns)) }
                + schemes.map { Piece(tensor: info, content: .scheme($0)) }
        }
    }

    /// The errors of all pieces, in their order.
    ///
    /// - Throws: `QuantErrorProblem` if weights are not finite or cannot be decoded.
    public func errors(of pieces: [Piece], in file: GGUFFile) throws -> [TensorError] {
        let total = pieces.reduce(0) { $0 + $1.weights }
        var done = 0
        return try pieces.map { piece in
            let error = try error(of: piece, in: file) { [progress, done] in try progress(done + $0, total) }
            done += piece.weights
            return error
        }
    }

    /// The error of one piece.
    ///
    /// - Parameter progress: called often with the piece's weights that are done; what it throws ends the work.
    public func error(
        of piece: Piece, in file: GGUFFile, progress: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) throws -> TensorError {
        let info = piece.tensor
        switch piece.content {
        case .reference(let original, let reference):
            let (format, other) = (try Self.decoder(of: info, in: file), file.values(of: info))
            let compared = try compare(original, in: reference, progress) { row, _, output in
                other.decodeRow(row, by: format, into: &output)
            }
            return TensorError(info, type: WeightForm(info.type), bitsPerWeight: info.type.bitsPerWeight, compared)
        case .format(let format, let importance):
            return try errors(of: info, in: file, as: format, importance: importance, progress: progress)
        case .scheme(let scheme):
            return try errors(of: info, in: file, as: scheme, progress: progress)
        }
    }

    /// The errors of a file's tensors against the same tensors of a file of higher precision.
    public func errors(of file: GGUFFile, against reference: GGUFFile) throws -> [TensorError] {
        try errors(of: try pieces(of: file, against: reference), in: file)
    }

    /// The errors that formats would make of a file's tensors.
    public func errors(
        of file: GGUFFile, as formats: [any EncodableFormat], schemes: [any TeachingScheme] = [],
        importance: ImportanceMatrix? = nil
    ) throws -> [TensorError] {
        try errors(
            of: try pieces(of: file, as: formats, schemes: schemes, importance: importance), in: file)
    }

    /// The error that one format would make of one tensor.
    ///
    /// - Parameter importance: for each of the tensor's matrices, as many numbers as a row has weights; `nil` if unknown.
    public func errors(
        of info: TensorInfo, in file: GGUFFile, as format: any EncodableFormat, importance: [Float]? = nil,
        progress: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) throws -> TensorError {
        let compared = try compare(info, in: file, progress) { row, original, output in
            var bytes = [UInt8](repeating: 0, count: format.type.rowBytes(original.count)!)
            var elements = bytes.mutableSpan
            var span = elements.mutableBytes
            if let importance {
                let matrix = row / info.shape.ne1 % info.shape.ne2
                let columns = importance.span.extracting(matrix * original.count..<(matrix + 1) * original.count)
                format.encode(original, importance: columns, into: &span)
            } else {
                format.encode(original, importance: nil, into: &span)
            }
            format.decode(bytes.span.bytes, into: &output)
        }
        return TensorError(info, type: WeightForm(format.type), bitsPerWeight: format.type.bitsPerWeight, compared)
    }

    /// The error that a textbook scheme would make of one tensor.
    ///
    /// The tensor is held in memory as Floats, since all of it may share a scale.
    public func errors(
        of info: TensorInfo, in file: GGUFFile, as scheme: any TeachingScheme,
        progress: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) throws -> TensorError {
        let (format, tensor) = (try Self.decoder(of: info, in: file), file.values(of: info))
        let (width, rows) = (info.shape.ne0, info.shape.rows)
        let values = tensor.withBytes { format.values(of: $0) }
        if let index = firstNonFinite(values.span) {
            throw QuantErrorProblem.notFinite(
                file: file.path, tensor: info.name, index: index, value: values[index])
        }
        let result = scheme.roundTrip(values, rows: rows, columns: width)
        let compared = try compare(info, in: file, progress) { row, _, output in
            for i in 0..<width { output[i] = result.values[width * row + i] }
        }
        return TensorError(info, type: WeightForm(scheme), bitsPerWeight: result.bitsPerWeight, compared)
    }

    /// Compares every row of a tensor with what `make` writes for it.
    ///
    /// - Returns: the error of each of its matrices: of experts as many as there are, else one.
    private func compare(
        _ info: TensorInfo, in file: GGUFFile, _ progress: @escaping @Sendable (Int) throws -> Void,
        _ make: @escaping @Sendable (_ row: Int, _ original: Span<Float>, _ output: inout MutableSpan<Float>) -> Void
    ) throws -> [ErrorStatistics] {
        let (format, tensor) = (try Self.decoder(of: info, in: file), file.values(of: info))
        let (width, matrices) = (info.shape.ne0, WeightName(info.name).holdsExperts ? info.shape.ne2 : 1)
        let rows = info.shape.rows / matrices
        let parts = (Self.parts + matrices - 1) / matrices
        let rowsPerChunk = (rows + parts - 1) / parts
        let chunksPerMatrix = (rows + rowsPerChunk - 1) / rowsPerChunk
        let chunks = matrices * chunksPerMatrix
        let results = Mutex([ErrorStatistics?](repeating: nil, count: chunks))
        let outcome = Mutex(Outcome())
        workers.run(items: chunks) { range in
            for chunk in range where outcome.withLock({ $0.stop == nil }) {
                var statistics = ErrorStatistics()
                var (original, made) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: width))
                let (matrix, part) = chunk.quotientAndRemainder(dividingBy: chunksPerMatrix)
                let inMatrix = part * rowsPerChunk..<min(rows, (part + 1) * rowsPerChunk)
                for row in inMatrix.lowerBound + matrix * rows..<inMatrix.upperBound + matrix * rows {
                    var span = original.mutableSpan
                    tensor.decodeRow(row, by: format, into: &span)
                    if let column = original.firstIndex(where: { !$0.isFinite }) {
                        outcome.withLock { $0.found(original[column], at: row * width + column) }
                        break
                    }
                    var output = made.mutableSpan
                    make(row, original.span, &output)
                    statistics.add(reference: original.span, other: made.span)
                }
                results.withLock { $0[chunk] = statistics }
                outcome.withLock { $0.finished(inMatrix.count * width, progress) }
            }
        }
        try outcome.withLock { outcome in
            if let stop = outcome.stop { throw stop }
            guard let (index, value) = outcome.broken else { return }
            throw QuantErrorProblem.notFinite(file: file.path, tensor: info.name, index: index, value: value)
        }
        return results.withLock { chunks in
            stride(from: 0, to: chunks.count, by: chunksPerMatrix).map { first in
                chunks[first..<first + chunksPerMatrix].reduce(into: ErrorStatistics()) { $0.merge($1!) }
            }
        }
    }

    /// What threads that compare a tensor tell each other.
    private struct Outcome {
        /// The first value that is no number.
        private(set) var broken: (index: Int, value: Float)?
        /// What ended the work.
        private(set) var stop: (any Error)?
        private var done = 0

        mutating func found(_ value: Float, at index: Int) {
            if broken == nil || index < broken!.index { broken = (index, value) }
        }

        mutating func finished(_ weights: Int, _ progress: (Int) throws -> Void) {
            done += weights
            do { try progress(done) } catch { stop = stop ?? error }
        }
    }

    private static func decoder(of info: TensorInfo, in file: GGUFFile) throws -> any BlockFormat {
        guard let format = BlockFormats.format(for: info.type) else {
            throw QuantErrorProblem.notDecodable(file: file.path, tensor: info.name, type: info.type)
        }
        return format
    }
}

extension TensorError {
    /// The part of one expert, by its number.
    public init(_ whole: TensorError, of expert: Int) {
        self.init(
            name: whole.name, layer: whole.layer, role: whole.role, type: whole.type,
            bitsPerWeight: whole.bitsPerWeight, statistics: whole.experts[expert], experts: [])
    }

    /// - Parameter compared: the error of each of the tensor's matrices.
    fileprivate init(_ info: TensorInfo, type: WeightForm, bitsPerWeight: Double, _ compared: [ErrorStatistics]) {
        let parsed = WeightName(info.name)
        self.init(
            name: info.name, layer: parsed.layer, role: parsed.role, type: type, bitsPerWeight: bitsPerWeight,
            statistics: Self.all(compared),
            experts: parsed.holdsExperts
                ? compared.map { expert in
                    var plain = ErrorStatistics(quantiles: false)
                    plain.merge(expert)
                    return plain
                } : [])
    }

    private static func all(_ compared: [ErrorStatistics]) -> ErrorStatistics {
        var all = compared.reduce(into: ErrorStatistics()) { $0.merge($1) }
        all.pack()
        return all
    }
}
