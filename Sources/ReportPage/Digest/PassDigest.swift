import Foundation
import Recording
import Tensors

/// Operations in the order of their evaluation, as several passes share them.
public struct GraphDigest: Encodable, Sendable {
    /// Where an input comes from: an operation's index; minus one minus a weight's index; or an input of the run.
    enum Origin: Encodable, Sendable, Hashable {
        case operation(Int)
        case weight(Int)
        case leaf(String)

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .operation(let index): try container.encode(index)
            case .weight(let index): try container.encode(-1 - index)
            case .leaf(let name): try container.encode(name)
            }
        }
    }

    var name: [String] = []
    var kind: [String] = []
    /// What each is in the network, where that is known.
    var role: [String?] = []
    var layer: [Int?] = []
    var type: [String] = []
    var inputs: [[Origin]] = []

    func isSame(as other: GraphDigest) -> Bool { name == other.name && kind == other.kind && inputs == other.inputs }
}

/// One pass: statistics of its operations in full, their values as pictures.
public struct PassDigest: Encodable, Sendable {
    let step: Int
    let kind: String
    let firstPosition: Int
    let nTokens: Int
    let wallNs: Int?
    let cache: CacheDigest?
    let logits: LogitDigest
    /// `nil` if only the above is kept.
    var operations: OperationDigest?

    /// Passes whose operations are kept; the first and the last always are.
    private static let limit = 16

    static func all(
        of run: RecordedRun, in store: TraceStore, _ table: DigestQuery, _ weights: WeightDigest,
        _ notes: inout [String], progress: (Double) throws -> Void
    ) throws -> (graphs: [GraphDigest], passes: [PassDigest]) {
        let rows = try table.rows(
            """
            SELECT id, step, kind, first_position, n_tokens, wall_ns FROM pass WHERE run_id = \(run.id) ORDER BY step
            """)
        let detailed = Set(rows.indices.spread(limit))
        let pictured = Set([rows.indices.first, rows.indices.last].compactMap { $0 })
        var graphs: [GraphDigest] = []
        let passes = try rows.enumerated().map { index, row in
            try progress(Double(index) / Double(rows.count))
            let (id, step) = (row[0].int ?? 0, row[1].int ?? 0)
            var pass = PassDigest(
                step: step, kind: row[2].text ?? "", firstPosition: row[3].int ?? 0, nTokens: row[4].int ?? 0,
                wallNs: row[5].int, cache: try CacheDigest(pass: id, table), logits: try LogitDigest(pass: id, table))
            guard detailed.contains(index) else { return pass }
            let operations = try store.operations(of: run, step: step)
            guard !operations.isEmpty else { return pass }
            let graph = try GraphDigest(operations, pass: id, table, weights)
            let shared = graphs.firstIndex { $0.isSame(as: graph) }
            if shared == nil { graphs.append(graph) }
            pass.operations = OperationDigest(operations, graph.inputs, graph: shared ?? graphs.count - 1)
            if pictured.contains(index) {
                pass.operations!.pictures = try PictureDigest.all(of: operations, in: run, store)
            }
            return pass
        }
        if rows.count > limit {
            notes.append("Operations are kept of \(limit) of the \(rows.count) passes, evenly spread.")
        }
        let cells = passes.compactMap(\.operations?.pictures).joined().map(\.value)
        if cells.contains(where: \.isSampled) {
            notes.append(
                "Heat maps show up to \(PictureDigest.maxColumns) columns and \(PictureDigest.maxRows) rows; a cell "
                    + "that stands for several numbers shows the one of largest magnitude.")
        }
        if rows.count > 2, !cells.isEmpty {
            notes.append("Heat maps of values are kept of the first and the last pass.")
        }
        return (graphs, passes)
    }
}

extension GraphDigest {
    init(_ operations: [RecordedOperation], pass: Int, _ table: DigestQuery, _ weights: WeightDigest) throws {
        name = operations.map(\.name)
        kind = operations.map(\.kind)
        role = operations.map { $0.role?.rawValue }
        layer = operations.map(\.layer)
        type = operations.map(\.type.name)
        inputs = Array(repeating: [], count: operations.count)
        let indices = Dictionary(
            operations.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        let edges = try table.rows(
            """
            SELECT i.op_id, i.source_op_id, i.weight_id, i.leaf FROM op_input AS i JOIN op ON op.id = i.op_id
            WHERE op.pass_id = \(pass) ORDER BY op.seq, i.slot
            """)
        for edge in edges {
            guard let index = indices[edge[0].int ?? 0] else { continue }
            if let source = edge[1].int.flatMap({ indices[$0] }) {
                inputs[index].append(.operation(source))
            } else if let weight = weights.index(ofID: edge[2].int) {
                inputs[index].append(.weight(weight))
            } else {
                inputs[index].append(.leaf(edge[3].text ?? "?"))
            }
        }
    }
}

/// The operations of a pass, an item each; statistics are left out of views, whose values are their source's.
public struct OperationDigest: Encodable, Sendable {
    let graph: Int
    let shape: [[Int]]
    let params: [String]
    let ns: [Int]
    let flops: [Int]
    let bytesRead: [Int]
    let bytesWritten: [Int]
    let n: [Int]
    let min: [Double?]
    let max: [Double?]
    let mean: [Double?]
    let rms: [Double?]
    let std: [Double?]
    let zeros: [Int?]
    /// Values that are NaN or infinite, where there are any: by index.
    let broken: [String: [Int]]
    /// By index; empty if values of this pass are not kept.
    var pictures: [String: PictureDigest] = [:]

    init(_ operations: [RecordedOperation], _ inputs: [[GraphDigest.Origin]], graph: Int) {
        self.graph = graph
        // A view of the cache has no operation as its source: it keeps its own.
        let isLeft = zip(operations, inputs).map { operation, inputs in
            if case .operation = inputs.first { operation.isView } else { false }
        }
        func numbers(_ value: (RecordedOperation) -> Double?) -> [Double?] {
            zip(operations, isLeft).map { $1 ? nil : value($0)?.digits(6) }
        }
        shape = operations.map(\.shape.significant)
        params = operations.map { $0.parameters == "{}" ? "" : $0.parameters }
        ns = operations.map(\.nanoseconds)
        flops = operations.map(\.flops)
        bytesRead = operations.map(\.bytesRead)
        bytesWritten = operations.map(\.bytesWritten)
        n = operations.map(\.count)
        min = numbers(\.minimum)
        max = numbers(\.maximum)
        mean = numbers(\.mean)
        rms = numbers(\.rms)
        std = numbers(\.std)
        zeros = zip(operations, isLeft).map { $1 ? nil : $0.zeros }
        let odd = operations.enumerated().filter { $1.nans + $1.infinities > 0 && !isLeft[$0] }
        broken = Dictionary(uniqueKeysWithValues: odd.map { ("\($0)", [$1.nans, $1.infinities]) })
    }
}

/// The most probable next tokens after a pass, best first.
public struct LogitDigest: Encodable, Sendable {
    let tokenId: [Int]
    let piece: [String]
    let logit: [Double?]
    let probability: [Double?]

    init(pass: Int, _ table: DigestQuery) throws {
        let rows = try table.rows(
            """
            SELECT token_id, piece, logit, probability FROM logit
            WHERE pass_id = \(pass) AND lens_layer IS NULL
                AND position = (SELECT max(position) FROM logit WHERE pass_id = \(pass) AND lens_layer IS NULL)
            ORDER BY rank
            """)
        tokenId = rows.map { $0[0].int ?? 0 }
        piece = rows.map { $0[1].text ?? "" }
        logit = rows.map { $0[2].double?.digits(6) }
        probability = rows.map { $0[3].double?.digits(6) }
    }
}

/// The KV cache after a pass: all layers together, and what other head counts would take.
public struct CacheDigest: Encodable, Sendable {
    let nPositions: Int
    let nKvHeads: Int
    let headDim: Int
    let dtype: String
    let bytes: Int
    let mhaBytes: Int
    let mqaBytes: Int

    /// `nil` if the pass recorded none.
    init?(pass: Int, _ table: DigestQuery) throws {
        let rows = try table.rows(
            """
            SELECT max(n_positions), max(n_kv_heads), max(head_dim), max(dtype), sum(bytes), sum(mha_bytes), sum(mqa_bytes)
            FROM kv_cache WHERE pass_id = \(pass)
            """)
        guard let row = rows.first, let positions = row[0].int else { return nil }
        nPositions = positions
        nKvHeads = row[1].int ?? 0
        headDim = row[2].int ?? 0
        dtype = row[3].text ?? ""
        bytes = row[4].int ?? 0
        mhaBytes = row[5].int ?? 0
        mqaBytes = row[6].int ?? 0
    }
}
