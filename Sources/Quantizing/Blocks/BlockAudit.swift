import ComputeGraph
import GGUF
import Quantization
import Tensors

/// Every block of a model looked at: scales, minima, and blocks that are odd.
public struct BlockAudit: Sendable {
    /// The blocks of one tensor, or of several together.
    public struct Tally: Sendable {
        public internal(set) var blocks = 0
        /// Blocks whose values are all zero.
        public internal(set) var dead = 0
        /// Blocks in which, at least in one sub-block, no code stands for zero.
        public internal(set) var zeroNotExact = 0
        /// Blocks with a scale or minimum that is infinite or no number.
        public internal(set) var broken = 0
        /// What codes are multiplied by, a number a sub-block.
        public internal(set) var scales = Distribution()
        /// As in the formula, a number a sub-block; `nil` for formats without.
        public internal(set) var minima: Distribution?

        mutating func merge(_ other: Tally) {
            blocks += other.blocks
            dead += other.dead
            zeroNotExact += other.zeroNotExact
            broken += other.broken
            scales.merge(other.scales)
            guard let others = other.minima else { return }
            if minima == nil { minima = others } else { minima!.merge(others) }
        }
    }

    public struct TensorAudit: Sendable {
        public let tensor: TensorInfo
        public let tally: Tally

        public var layer: Int? { WeightName(tensor.name).layer }
        public var role: String { WeightName(tensor.name).role }
    }

    public struct WorstBlock: Sendable {
        public let tensor: TensorInfo
        public let row: Int
        /// Index in the row.
        public let block: Int
        /// Bytes from the start of the file (of a split model, of the tensor's part).
        public let fileOffset: Int
        /// Largest magnitude of its effective scales.
        public let scale: Float
        /// Against the reference; `nil` without.
        public let maximumError: Float?
        /// `scale` over the median of the tensor's scales.
        public let relativeScale: Float

        /// What the worst blocks are sorted by.
        public var measure: Float { maximumError ?? relativeScale }
    }

    /// In the order of the file; tensors whose types have blocks that can be taken apart.
    public let tensors: [TensorAudit]
    /// By type, in the order of their ids.
    public let types: [(type: TensorType, tally: Tally)]
    /// Worst first.
    public let worst: [WorstBlock]
    /// Tensors left out: plain numbers, or blocks that cannot be taken apart.
    public let skipped: [TensorInfo]

    public static let worstCount = 100
    /// Parts of a tensor that are gathered on their own and merged in order, whatever the number of threads.
    private static let parts = 16

    /// - Parameters:
    ///   - reference: a file of the same model in higher precision: the worst blocks are those with the largest error.
    ///     Without one, those with the largest scale relative to the median of their tensor.
    ///   - progress: called after each tensor with the weights done and to do.
    /// - Throws: `BlockProblem` if there is nothing to audit or the files do not belong together.
    public init(
        of file: GGUFFile, against reference: GGUFFile?, workers: Workers,
        progress: @Sendable (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        func isAudited(_ tensor: TensorInfo) -> Bool {
            tensor.type.blockElements > 1 && BlockFormats.describableFormat(for: tensor.type) != nil
        }
        let audited = file.tensors.filter(isAudited)
        skipped = file.tensors.filter { !isAudited($0) }
        guard !audited.isEmpty else {
            let types = Set(file.tensors.map(\.type)).sorted { $0.rawValue < $1.rawValue }
            throw BlockProblem.nothingToAudit(file: file.path, types: types)
        }
        let total = audited.reduce(0) { $0 + $1.shape.count }
        var (done, tensors, worst) = (0, [TensorAudit](), [WorstBlock]())
        for tensor in audited {
            let scan = try TensorScan(tensor, in: file, against: reference)
            let (tally, candidates) = scan.run(workers, parts: Self.parts)
            tensors.append(TensorAudit(tensor: tensor, tally: tally))
            let median = tally.scales.medianMagnitude ?? 0
            worst += candidates.map { candidate in
                WorstBlock(
                    tensor: tensor, row: candidate.row, block: candidate.block,
                    fileOffset: tensor.fileOffset + scan.byteOffset(candidate), scale: candidate.scale,
                    maximumError: reference == nil ? nil : candidate.measure,
                    relativeScale: candidate.scale == 0 ? 0 : candidate.scale / median)
            }
            // Equal ones stay in the order of the file.
            worst = Array(worst.sortedWorstFirst(by: \.measure).prefix(Self.worstCount))
            done += tensor.shape.count
            try progress(done, total)
        }
        (self.tensors, self.worst) = (tensors, worst)
        types = Dictionary(grouping: tensors, by: \.tensor.type).sorted { $0.key.rawValue < $1.key.rawValue }.map {
            ($0.key, $0.value.reduce(into: Tally()) { $0.merge($1.tally) })
        }
    }
}

/// The scan of one tensor.
private struct TensorScan: Sendable {
    struct Candidate: Sendable {
        let row: Int
        let block: Int
        let scale: Float
        /// The largest error, or the scale.
        let measure: Float
    }

    private let tensor: TensorInfo
    private let values: Tensor
    private let format: any DescribableFormat
    private let book: CodeBook
    private let reference: (values: Tensor, format: any BlockFormat)?

    private var perRow: Int { tensor.shape.ne0 / tensor.type.blockElements }

    init(_ tensor: TensorInfo, in file: GGUFFile, against reference: GGUFFile?) throws {
        self.tensor = tensor
        values = file.values(of: tensor)
        format = BlockFormats.describableFormat(for: tensor.type)!
        book = format.describe([UInt8](repeating: 0, count: tensor.type.blockBytes).span.bytes).book
        self.reference = try reference.map { reference in
            let other = try reference.counterpart(of: tensor, in: file.path)
            guard let format = BlockFormats.format(for: other.type) else {
                throw BlockProblem.notDescribable(file: reference.path, tensor: other.name, type: other.type)
            }
            return (reference.values(of: other), format)
        }
    }

    /// Bytes from the start of the tensor.
    func byteOffset(_ candidate: Candidate) -> Int {
        (candidate.row * perRow + candidate.block) * tensor.type.blockBytes
    }

    /// The tally, and the blocks that may be among the worst.
    func run(_ workers: Workers, parts: Int) -> (BlockAudit.Tally, [Candidate]) {
        let rows = tensor.shape.rows
        let rowsPerChunk = (rows + parts - 1) / parts
        let chunks = rowsPerChunk == 0 ? 0 : (rows + rowsPerChunk - 1) / rowsPerChunk
        let found = workers.map(items: chunks) { chunk in
            scan(chunk * rowsPerChunk..<min(rows, (chunk + 1) * rowsPerChunk))
        }
        return found.reduce(into: (BlockAudit.Tally(), [Candidate]())) { all, part in
            all.0.merge(part.0)
            all.1 += part.1.candidates
        }
    }

    private func scan(_ rows: Range<Int>) -> (BlockAudit.Tally, Worst) {
        let (width, length, bytes) = (tensor.shape.ne0, tensor.type.blockElements, tensor.type.blockBytes)
        var (tally, worst) = (BlockAudit.Tally(), Worst(limit: BlockAudit.worstCount))
        var (decoded, original) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: width))
        for row in rows {
            var span = decoded.mutableSpan
            values.decodeRow(row, by: format, into: &span)
            if let reference {
                var span = original.mutableSpan
                reference.values.decodeRow(row, by: reference.format, into: &span)
            }
            for block in 0..<perRow {
                let start = values.offset + (row * perRow + block) * bytes
                let scales = values.source.withBytes(in: start..<start + bytes, format.scales)
                let range = length * block..<length * (block + 1)
                tally.add(scales, isDead: !decoded[range].contains { $0 != 0 }, book: book)
                let scale = scales.subScales.map(\.magnitude).worst() ?? 0
                var measure = scale
                if reference != nil {
                    measure = 0
                    for i in range {
                        let error = abs(decoded[i] - original[i])
                        if error.isWorse(than: measure) { measure = error }
                    }
                }
                worst.offer(Candidate(row: row, block: block, scale: scale, measure: measure))
            }
        }
        return (tally, worst)
    }

    /// The candidates with the largest measure, largest first; of equals the first ones.
    struct Worst: Sendable {
        private(set) var candidates: [Candidate] = []
        let limit: Int

        init(limit: Int) { self.limit = limit }

        mutating func offer(_ candidate: Candidate) {
            if candidates.count == limit, !candidate.measure.isWorse(than: candidates[limit - 1].measure) {
                return
            }
            let index = candidates.firstIndex { candidate.measure.isWorse(than: $0.measure) } ?? candidates.count
            candidates.insert(candidate, at: index)
            if candidates.count > limit { candidates.removeLast() }
        }
    }
}

extension BlockAudit.Tally {
    fileprivate mutating func add(_ block: BlockScales, isDead: Bool, book: CodeBook) {
        blocks += 1
        if isDead { dead += 1 }
        if !block.subScales.indices.allSatisfy({ block.isZeroExact(sub: $0, book: book) }) { zeroNotExact += 1 }
        if !(block.subScales.allSatisfy(\.isFinite) && block.subMinima.allSatisfy(\.isFinite)) { broken += 1 }
        for scale in block.subScales { scales.add(scale) }
        if !block.subMinima.isEmpty, minima == nil { minima = Distribution() }
        for minimum in block.subMinima { minima!.add(minimum) }
    }
}
