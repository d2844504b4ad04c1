/// What ids in a trace are of. Each trace counts them from 1, so that they change when traces are united.
enum IdentityFamily: String, CaseIterable {
    case model, weight, run, graph, pass, op, intervention
}

/// A table as merging sees it. A new column needs nothing here unless it refers to another table; a new table, one line.
struct MergedTable {
    let name: String
    /// Whose ids column `id` holds; `nil` for tables without.
    let family: IdentityFamily?
    /// Columns that tell rows apart, of tables without ids.
    let key: [String]
    /// Columns that refer to other tables' ids.
    let references: [(column: String, family: IdentityFamily)]

    private init(
        _ name: String, _ family: IdentityFamily? = nil, key: [String] = [],
        _ references: (column: String, family: IdentityFamily)...
    ) {
        (self.name, self.family, self.key, self.references) = (name, family, key, references)
    }

    /// Each table after those that it refers to. Those that a trace does not have, or has as views, are passed over.
    static let all = [
        MergedTable("model", .model),
        MergedTable("metadata", key: ["model_id", "key"], ("model_id", .model)),
        MergedTable("weight", .weight, ("model_id", .model)),
        MergedTable("gqa_map", key: ["model_id", "layer", "head"], ("model_id", .model)),
        MergedTable("quant_error", key: ["weight_id", "type", "reference"], ("weight_id", .weight)),
        MergedTable("quant_block", key: ["weight_id", "row", "block"], ("weight_id", .weight)),
        MergedTable("run", .run, ("model_id", .model)),
        MergedTable("intervention", .intervention, ("run_id", .run)),
        MergedTable("patch_value", key: ["intervention_id", "step"], ("intervention_id", .intervention)),
        MergedTable(
            "sweep", key: ["run_id", "unit", "change", "source", "metric", "positions", "receiver", "layer", "item"],
            ("run_id", .run)),
        MergedTable("token", key: ["run_id", "position"], ("run_id", .run)),
        MergedTable("tracked", key: ["run_id", "position", "token_id"], ("run_id", .run)),
        MergedTable("graph", .graph),
        MergedTable("graph_op", key: ["graph_id", "seq"], ("graph_id", .graph)),
        MergedTable("graph_input", key: ["graph_id", "seq", "slot"], ("graph_id", .graph), ("weight_id", .weight)),
        MergedTable("pass", .pass, ("run_id", .run), ("graph_id", .graph), ("first_op_id", .op)),
        MergedTable("op", .op, ("pass_id", .pass)),
        MergedTable("op_stat", .op, ("pass_id", .pass)),
        MergedTable("op_input", key: ["op_id", "slot"], ("op_id", .op), ("source_op_id", .op), ("weight_id", .weight)),
        MergedTable("op_error", key: ["op_id", "mode", "cause"], ("op_id", .op)),
        MergedTable("tensor", key: ["op_id", "chunk"], ("op_id", .op)),
        MergedTable("attention_head", key: ["op_id", "head", "position"], ("op_id", .op)),
        MergedTable("kv_cache", key: ["pass_id", "layer"], ("pass_id", .pass)),
        MergedTable("router", key: ["pass_id", "layer", "position"], ("pass_id", .pass)),
        MergedTable("expert_choice", key: ["pass_id", "layer", "position", "slot"], ("pass_id", .pass)),
        MergedTable("logit", key: ["pass_id", "position", "lens_layer", "rank"], ("pass_id", .pass)),
    ]

    /// The statement that copies the rows of database `source` that `main` lacks, ids changed as the tables `new_…` say.
    ///
    /// - Parameters:
    ///   - columns: the table's columns, and whether each may be NULL.
    func copying(_ columns: [(name: String, isNullable: Bool)]) -> String {
        var values: [String] = []
        var joins: [String] = []
        for (column, isNullable) in columns {
            if column == "id", let family {
                values.append("own.new")
                joins.append("JOIN new_\(family) AS own ON own.old = s.id AND own.is_new")
            } else if let reference = references.first(where: { $0.column == column }) {
                // A row whose parent stays behind stays behind; one without a parent does not need it.
                values.append("r_\(column).new")
                joins.append(
                    "\(isNullable ? "LEFT " : "")JOIN new_\(reference.family) AS r_\(column) ON r_\(column).old = s.\(column)"
                )
            } else {
                values.append("s.\(column)")
            }
        }
        var sql =
            "INSERT INTO main.\(name) (\(columns.map(\.name).joined(separator: ", "))) "
            + "SELECT \(values.joined(separator: ", ")) FROM source.\(name) AS s \(joins.joined(separator: " "))"
        if family == nil {
            let same = key.map { column in
                let value = references.contains { $0.column == column } ? "r_\(column).new" : "s.\(column)"
                return "o.\(column) IS \(value)"
            }
            sql += " WHERE NOT EXISTS (SELECT 1 FROM main.\(name) AS o WHERE \(same.joined(separator: " AND ")))"
        }
        return sql
    }
}

/// What tests hold against the schema.
package enum MergedTables {
    package static var names: Set<String> { Set(MergedTable.all.map(\.name)) }

    package static func references(of table: String) -> Set<String> {
        Set(MergedTable.all.first { $0.name == table }?.references.map(\.column) ?? [])
    }
}
