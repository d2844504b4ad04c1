import ComputeGraph
import Foundation
import GGUF
import Quantization
import Quantizing
import Recording
import Tensors

/// Errors of weights by tensor and format, and blocks of each tensor.
public struct QuantisationDigest: Encodable, Sendable {
    /// Errors, an item each.
    struct Errors: Encodable, Sendable {
        var weight: [Int] = []
        var format: [Int] = []
        var reference: [Int] = []
        var n: [Int] = []
        var mse: [Double?] = []
        var refMeanSquare: [Double?] = []
        var relRmse: [Double?] = []
        var rmse: [Double?] = []
        var maxAbs: [Double?] = []
        var p95Abs: [Double?] = []
        var sqnrDb: [Double?] = []
        var cosine: [Double?] = []
    }

    var formats: [String] = []
    /// What weights were compared with; `self` for the file's own, as they decode.
    var references: [String] = []
    var errors = Errors()
    /// Whether the errors are from table `quant_error`, rather than measured for the page.
    let isRecorded: Bool
    let tensors: [BlocksDigest]
    /// Why there are no blocks, if there are none.
    let missing: String?

    init(
        of run: RecordedRun, _ table: DigestQuery, _ weights: WeightDigest, model: ModelAtHand,
        formats: [any EncodableFormat], workers: Workers, _ notes: inout [String],
        progress: @escaping @Sendable (Double) throws -> Void
    ) throws {
        var records = try Self.recorded(run, table, weights)
        isRecorded = !records.isEmpty
        switch model {
        case .missing(let reason):
            (missing, tensors) = (reason, [])
            notes.append("Of the weights, and of the logit lens, only what the trace holds is shown. \(reason)")
        case .file(let file):
            missing = nil
            if records.isEmpty {
                let measured = try QuantErrors(workers: workers) { try progress(Double($0) / Double(max(1, $1))) }
                    .errors(of: file, as: formats)
                let indices = Dictionary(
                    zip(weights.name, weights.name.indices), uniquingKeysWith: { first, _ in first })
                records = measured.compactMap { error in
                    indices[error.name].map { ($0, error.record(reference: "self")) }
                }
            }
            tensors = try BlocksDigest.all(of: file, weights, formats, workers)
            if !tensors.isEmpty {
                notes.append(
                    "Of each weight tensor, the scales of up to \(BlocksDigest.gridRows) by \(BlocksDigest.gridColumns) "
                        + "blocks are shown, evenly spread, and three blocks in full; `quipu quant blocks` shows any.")
            }
        }
        for (weight, record) in records { add(record, weight) }
    }

    private static func recorded(
        _ run: RecordedRun, _ table: DigestQuery, _ weights: WeightDigest
    ) throws -> [(Int, QuantErrorRecord)] {
        guard try table.store.has("quant_error") else { return [] }
        let rows = try table.rows(
            """
            SELECT weight_id, e.type, reference, n, mse, max_abs, mean_abs, p95_abs, rel_rmse, sqnr_db, cosine,
                ref_mean_square, weight.name
            FROM quant_error AS e JOIN weight ON weight.id = weight_id
            WHERE model_id = (SELECT model_id FROM run WHERE id = \(run.id)) ORDER BY weight_id, e.type, reference
            """)
        return rows.compactMap { row in
            guard let index = weights.index(ofID: row[0].int) else { return nil }
            let record = QuantErrorRecord(
                weight: row[12].text ?? "", type: row[1].text ?? "", reference: row[2].text ?? "",
                count: row[3].int ?? 0,
                mse: row[4].double ?? .nan, maximum: row[5].double ?? .nan, meanAbsolute: row[6].double ?? .nan,
                p95: row[7].double, relativeRMSE: row[8].double ?? .nan, sqnr: row[9].double ?? .nan,
                cosine: row[10].double ?? .nan, referenceMeanSquare: row[11].double ?? .nan)
            return (index, record)
        }
    }

    private mutating func add(_ record: QuantErrorRecord, _ weight: Int) {
        func index(_ name: String, _ list: inout [String]) -> Int {
            if let index = list.firstIndex(of: name) { return index }
            list.append(name)
            return list.count - 1
        }
        errors.weight.append(weight)
        errors.format.append(index(record.type, &formats))
        errors.reference.append(index(record.reference, &references))
        errors.n.append(record.count)
        errors.mse.append(record.mse.digits(6))
        errors.refMeanSquare.append(record.referenceMeanSquare.digits(6))
        errors.relRmse.append(record.relativeRMSE.digits(6))
        errors.rmse.append(record.mse.squareRoot().digits(6))
        errors.maxAbs.append(record.maximum.digits(6))
        errors.p95Abs.append(record.p95?.digits(6))
        errors.sqnrDb.append(record.sqnr.digits(6))
        errors.cosine.append(record.cosine.digits(6))
    }
}

/// Blocks of one weight tensor: the scales of some, and three taken apart.
public struct BlocksDigest: Encodable, Sendable {
    let weight: Int
    /// The format of the blocks: the tensor's own, or what its unquantised weights were written in for the page.
    let type: String
    let isMade: Bool
    let formula: String
    let blocksPerRow: Int
    /// Rows and blocks of a row whose scales are listed.
    let rows: [Int]
    let blocks: [Int]
    /// `d` of each, row by row: F32 in base64, NaN for formats without.
    let scales: String
    let shown: [Block]

    struct Block: Encodable, Sendable {
        let why: String
        let row: Int
        let block: Int
        /// Bytes from the start of the file; `nil` of a block made for the page.
        let fileOffset: Int?
        let hex: String
        let fields: [Field]
        let scale: Double?
        let min: Double?
        let subScales: [Double?]
        let subMins: [Double?]
        let codes: [Int]
        let values: [Double?]
        /// The weights before; empty where they are not known.
        let before: [Double?]
    }

    struct Field: Encodable, Sendable {
        let name: String
        let first: Int
        let count: Int
        let meaning: String
    }

    static let gridRows = 12
    static let gridColumns = 16

    /// In the order of the file; tensors that are no matrices, or fit no format, are left out.
    static func all(
        of file: GGUFFile, _ weights: WeightDigest, _ formats: [any EncodableFormat], _ workers: Workers
    ) throws -> [BlocksDigest] {
        let indices = Dictionary(zip(weights.name, weights.name.indices), uniquingKeysWith: { first, _ in first })
        let found = workers.map(items: file.tensors.count) { number in
            let info = file.tensors[number]
            guard info.shape.rows > 1, let index = indices[info.name],
                let blocks = Blocks(of: info, in: file, formats)
            else { return Result<BlocksDigest?, any Error>.success(nil) }
            return Result { try BlocksDigest(index, blocks) }
        }
        return try found.compactMap { try $0.get() }
    }

    private init(_ weight: Int, _ source: Blocks) throws {
        let length = source.type.blockElements
        self.weight = weight
        type = source.type.name
        isMade = source.isMade
        blocksPerRow = source.tensor.shape.ne0 / length
        rows = (0..<source.tensor.shape.rows).spread(Self.gridRows)
        blocks = (0..<blocksPerRow).spread(Self.gridColumns)
        var found: [(row: Int, block: Int, scale: Float)] = []
        for row in rows {
            for block in blocks {
                let scale = try source.describe(row, block).description.scales.scale
                found.append((row, block, scale ?? .nan))
            }
        }
        scales = Packed.base64(found.map(\.scale))
        formula = try source.describe(0, 0).description.formula
        let sorted = found.filter { $0.scale.isFinite }.sorted { $0.scale.magnitude < $1.scale.magnitude }
        var chosen = [("the first", found[0].row, found[0].block)]
        if let largest = sorted.last { chosen.append(("largest scale", largest.row, largest.block)) }
        if !sorted.isEmpty {
            let median = sorted[sorted.count / 2]
            chosen.append(("median scale", median.row, median.block))
        }
        var seen: Set<[Int]> = []
        shown = try chosen.filter { seen.insert([$0.1, $0.2]).inserted }.map { why, row, block in
            try Block(why, row, block, source)
        }
    }
}

extension BlocksDigest.Block {
    fileprivate init(_ why: String, _ row: Int, _ block: Int, _ source: Blocks) throws {
        let (found, before) = try source.describe(row, block)
        (self.why, self.row, self.block) = (why, row, block)
        let perRow = source.tensor.shape.ne0 / source.type.blockElements
        fileOffset =
            source.isMade ? nil : source.tensor.fileOffset + (row * perRow + block) * source.type.blockBytes
        hex = found.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        fields = found.fields.map {
            BlocksDigest.Field(
                name: $0.name, first: $0.range.lowerBound, count: $0.range.count, meaning: $0.meaning)
        }
        func short(_ values: [Float]) -> [Double?] { values.map { Double($0).digits(5) } }
        scale = found.scales.scale.flatMap { Double($0).digits(6) }
        min = found.scales.minimum.flatMap { Double($0).digits(6) }
        let hasSubBlocks = found.subBlocks.count > 1
        subScales = hasSubBlocks ? short(found.scales.subScales) : []
        subMins = hasSubBlocks ? short(found.scales.subMinima) : []
        codes = found.elements.map(\.code)
        values = short(found.elements.map(\.value))
        self.before = short(before)
    }
}

/// Where blocks of a tensor come from: the file, or a format that its unquantised weights are written in.
private struct Blocks {
    let tensor: TensorInfo
    let type: TensorType
    let isMade: Bool
    private let file: GGUFFile

    /// `nil` if the tensor's blocks cannot be taken apart.
    init?(of tensor: TensorInfo, in file: GGUFFile, _ formats: [any EncodableFormat]) {
        (self.tensor, self.file) = (tensor, file)
        isMade = tensor.type.blockElements == 1
        let made = formats.first {
            tensor.shape.ne0 % $0.type.blockElements == 0 && $0.type.blockElements > 1 && $0.importance != .required
        }
        guard let type = isMade ? made?.type : tensor.type,
            BlockFormats.describableFormat(for: type) != nil, BlockFormats.format(for: tensor.type) != nil
        else { return nil }
        self.type = type
    }

    /// A block, and the weights before if it was made.
    func describe(_ row: Int, _ block: Int) throws -> (description: BlockDescription, before: [Float]) {
        guard isMade else {
            return (try WeightBlock(row: row, block: block, of: tensor, in: file).description, [])
        }
        let values = file.values(of: tensor)
        let bytes = type.blockElements * tensor.type.blockBytes
        let start = values.offset + row * values.layout.rowBytes + block * bytes
        let weights = values.source.withBytes(in: start..<start + bytes) {
            BlockFormats.format(for: tensor.type)!.values(of: $0)
        }
        return (FormatExplanation.Example(weights, as: type).block, weights)
    }
}
