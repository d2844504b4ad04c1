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
    static func weightIDs(_ modelID: Int, _ db: Database) throws -> [String: Int] {
        let rows = try Row.fetchAll(db, sql: "SELECT name, id FROM weight WHERE model_id = ?", arguments: [modelID])
        return Dictionary(uniqueKeysWithValues: rows.map { ($0["name"], $0["id"]) })
    }

    static func nextID(_ table: String, _ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT coalesce(max(id), 0) + 1 FROM \(table)")!
    }
}
