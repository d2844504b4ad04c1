import Foundation
import GRDB
import LlamaModel

/// One block of a weight tensor, as table `quant_block` has it.
public struct QuantBlockRecord: Sendable {
    public var weight: String
    public var row: Int
    /// Index in the row.
    public var block: Int
    /// Bytes from the start of the file (of a split model, of the tensor's part).
    public var fileOffset: Int
    /// `d` and `m` or `dmin` as stored; `nil` for formats without.
    public var scale: Float?
    public var minimum: Float?
    /// Effective, in the order of the sub-blocks; empty for formats without.
    public var subScales: [Float]
    public var subMinima: [Float]
    public var codes: [Int]
    /// Against a reference; `nil` without.
    public var mse: Double?
    public var maximum: Double?
    public var isZeroExact: Bool
    /// Weights whose code is the lowest or highest there is.
    public var saturated: Int
    public var codesUsed: Int

    public init(
        weight: String, row: Int, block: Int, fileOffset: Int, scale: Float?, minimum: Float?, subScales: [Float],
        subMinima: [Float], codes: [Int], mse: Double?, maximum: Double?, isZeroExact: Bool, saturated: Int,
        codesUsed: Int
    ) {
        self.weight = weight
        self.row = row
        self.block = block
        self.fileOffset = fileOffset
        self.scale = scale
        self.minimum = minimum
        self.subScales = subScales
        self.subMinima = subMinima
        self.codes = codes
        self.mse = mse
        self.maximum = maximum
        self.isZeroExact = isZeroExact
        self.saturated = saturated
        self.codesUsed = codesUsed
    }
}

extension TraceStore {
    /// Adds a block of one of a model's weights; the same block is replaced.
    public func record(_ block: QuantBlockRecord, of model: Llama) async throws {
        let (card, digest) = (ModelCard(model), DigestMemory.shared.hexDigest(of: model.file))
        try await TraceStore.wrapping(path) {
            try await database.write { db in
                let modelID = try ModelRows.write(card, digest, db)
                try ModelRows.setDigest(digest, ofModel: modelID, db)
                let ids = try ModelRows.weightIDs(modelID, of: path, db)
                guard let id = ids[block.weight] else { throw missingWeight(block.weight) }
                try QuantBlockRow(weightID: id, block: block).insert(db)
            }
        }
    }
}

/// A block of a weight tensor.
struct QuantBlockRow: TraceRow {
    static let insertion = Insertion(
        into: "quant_block",
        columns: [
            "weight_id", "row", "block", "file_offset", "scale", "min", "sub_scales", "sub_mins", "codes", "mse",
            "max_abs",
            "zero_exact", "saturated", "codes_used",
        ])

    let weightID: Int
    let block: QuantBlockRecord

    func bind(to row: RowBinder) {
        row.bind(
            weightID, block.row, block.block, block.fileOffset, block.scale.map { Double($0) },
            block.minimum.map { Double($0) }, Self.blob(block.subScales.map(\.bitPattern)),
            Self.blob(block.subMinima.map(\.bitPattern)),
            Self.blob(block.codes.map { UInt32(truncatingIfNeeded: $0) }), block.mse, block.maximum, block.isZeroExact,
            block.saturated, block.codesUsed)
    }

    /// Little-endian, four bytes each.
    private static func blob(_ words: [UInt32]) -> Data {
        Data(words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } })
    }
}
