import Foundation
import GGUF
import GRDB
import LlamaModel

/// The rows that say which model a trace is about: `model`, `metadata`, `weight`, `gqa_map`.
enum ModelRows {
    /// The id of the model with these bytes, whose rows are written if there is none.
    ///
    /// - Parameter digest: SHA-256 of the file; `nil` while it is not known, which fits no model.
    static func write(_ card: ModelCard, _ digest: String?, _ db: Database) throws -> Int {
        if let known = try Int.fetchOne(db, sql: "SELECT id FROM model WHERE sha256 = ?", arguments: [digest]) {
            return known
        }
        let id = try nextID("model", db)
        try ModelRow(id: id, card: card).insert(db)
        for entry in card.entries { try MetadataRow(modelID: id, entry: entry).insert(db) }
        let firstWeight = try nextID("weight", db)
        for (number, weight) in card.weights.enumerated() {
            try WeightRow(id: firstWeight + number, modelID: id, weight: weight).insert(db)
        }
        for (layer, sizes) in card.sizes.perLayer.enumerated() {
            for head in 0..<sizes.heads {
                try GQAMapRow(modelID: id, layer: layer, head: head, groupSize: sizes.groupSize).insert(db)
            }
        }
        return id
    }

    static func setDigest(_ digest: String, ofModel id: Int, _ db: Database) throws {
        try db.execute(sql: "UPDATE model SET sha256 = ? WHERE id = ?", arguments: [digest, id])
    }

    /// Ids of a model's weights by name.
    static func weightIDs(_ modelID: Int, of path: String, _ db: Database) throws -> [String: Int] {
        let rows = try Row.fetchAll(db, sql: "SELECT name, id FROM weight WHERE model_id = ?", arguments: [modelID])
        return try Dictionary(
            rows.map { row in
                let row = CheckedRow(path: path, table: "weight", keys: ["id"], row: row)
                return (try row.text("name"), try row.int("id"))
            }, uniquingKeysWith: { first, _ in first })
    }

    static func nextID(_ table: String, _ db: Database) throws -> Int {
        let last = try Int.fetchOne(db, sql: "SELECT coalesce(max(id), 0) FROM \(table)") ?? 0
        guard last < CheckedRow.largestCount else {
            throw DatabaseError(
                message: "table \(table) has a row with id \(last); there is no room for more. Trace anew")
        }
        return last + 1
    }
}
