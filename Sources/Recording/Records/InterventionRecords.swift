import Foundation
import GRDB
import Tensors

/// A run, by its uuid and the file it was in.
public struct RunReference: Sendable, Equatable {
    /// `nil` for runs of traces of earlier versions, which have none.
    public let uuid: String?
    public let path: String

    public init(uuid: String?, path: String) {
        (self.uuid, self.path) = (uuid, path)
    }
}

/// A change that a run was made with, in the words it was given in.
public struct InterventionRecord: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Elements of an operation's output get a value.
        case set
        /// Elements of an operation's output are multiplied.
        case scale
        /// Elements of an operation's output get those of another run.
        case patch
        /// Something is added to elements of an operation's output.
        case add
        /// A number in a block of a weight tensor is changed.
        case weight
    }

    /// What a patch writes in one pass.
    public struct Patch: Sendable, Equatable {
        /// Of the whole operation in the run that the values are from.
        public let shape: Shape
        /// Of the elements that the target names, `ne0` fastest.
        public let values: [Float]

        public init(shape: Shape, values: [Float]) {
            (self.shape, self.values) = (shape, values)
        }
    }

    public let kind: Kind
    /// `kq_soft_max-3[:,:,2]`, or `blk.3.ffn_down.weight@row=12,block=4,code=7`.
    public let target: String
    /// `0`, `*1.1`, or the trace or file that the values are from.
    public let spec: String
    /// By step, of `patch`; of `add` the vector that is added in every pass, as that of step 0. Empty for all else.
    public let patches: [Int: Patch]

    public init(_ kind: Kind, target: String, spec: String, patches: [Int: Patch] = [:]) {
        (self.kind, self.target, self.spec, self.patches) = (kind, target, spec, patches)
    }
}

extension TraceStore {
    /// What a run was made with, in order.
    public func interventions(of run: RecordedRun) throws -> [InterventionRecord] {
        // A trace of an earlier version has no such table.
        guard try has("intervention") else { return [] }
        return try fetch(
            "intervention", by: ["id"], "SELECT * FROM intervention WHERE run_id = ? ORDER BY id", [run.id]
        ) { row in
            guard let kind = InterventionRecord.Kind(rawValue: try row.text("kind")) else {
                let kinds = InterventionRecord.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw row.damage("kind", expected: "one of \(kinds)")
            }
            return (id: try row.int("id"), kind: kind, target: try row.text("target"), spec: try row.text("spec"))
        }.map { id, kind, target, spec in
            InterventionRecord(kind, target: target, spec: spec, patches: try patches(of: id))
        }
    }

    private func patches(of id: Int) throws -> [Int: InterventionRecord.Patch] {
        let found = try fetch(
            "patch_value", by: ["intervention_id", "step"], "SELECT * FROM patch_value WHERE intervention_id = ?", [id]
        ) { row in
            let (data, shape) = (try row.blob("data"), try row.shape())
            let count = try row.int("n_elements", in: 1...shape.count)
            guard data.count == 4 * count else { throw row.damage("data", expected: "a blob of \(4 * count) bytes") }
            return (
                try row.int("step"),
                InterventionRecord.Patch(shape: shape, values: (0..<count).map { data.float(at: $0)! })
            )
        }
        return Dictionary(found, uniquingKeysWith: { first, _ in first })
    }
}

struct InterventionRow: TraceRow {
    static let insertion = Insertion(into: "intervention", columns: ["id", "run_id", "kind", "target", "spec"])

    let id: Int
    let runID: Int
    let record: InterventionRecord

    func bind(to row: RowBinder) { row.bind(id, runID, record.kind.rawValue, record.target, record.spec) }

    static func write(_ records: [InterventionRecord], ofRun runID: Int, _ db: Database) throws {
        for record in records {
            let id = try ModelRows.nextID("intervention", db)
            try InterventionRow(id: id, runID: runID, record: record).insert(db)
            for (step, patch) in record.patches.sorted(by: { $0.key < $1.key }) {
                try PatchRow(interventionID: id, step: step, patch: patch).insert(db)
            }
        }
    }
}

struct PatchRow: TraceRow {
    static let insertion = Insertion(
        into: "patch_value",
        columns: ["intervention_id", "step", "ne0", "ne1", "ne2", "ne3", "n_elements", "data"])

    let interventionID: Int
    let step: Int
    let patch: InterventionRecord.Patch

    func bind(to row: RowBinder) {
        let (shape, values) = (patch.shape, patch.values)
        let data = values.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) }
        row.bind(interventionID, step, shape.ne0, shape.ne1, shape.ne2, shape.ne3, values.count, data)
    }
}
