import Recording
import Tensors

/// Where each head looked from each position of the run.
public struct AttentionDigest: Encodable, Sendable {
    let layers: Int
    let heads: Int
    /// Which KV head a query head reads.
    let kvHead: [Int]
    /// Positions of the run that were evaluated.
    let positions: Int
    /// Rows and columns of a pattern; less than `positions` if cells stand for several and show the largest weight.
    let size: Int
    /// By layer, head, row and, up to the diagonal, column: weight times 65,534 as 16 bits in base64, 65,535 where it was
    /// not captured. Empty if no values were.
    var patterns: [[String]]
    /// How many positions, its own included, a position of each layer sees; null if all before it.
    var windows: [Int?]
    /// The rows of table `attention_head`, by column: each a list over layer, head and the positions kept.
    let kept: [Int]
    var entropyBits: [Double?]
    var topPosition: [Int?]
    var topWeight: [Double?]
    var sinkWeight: [Double?]

    /// Bytes of the patterns of all heads together.
    private static let budget = 900_000
    /// Positions whose summaries are kept.
    private static let summaries = 64

    /// `nil` if the run recorded nothing about attention.
    init?(of run: RecordedRun, in store: TraceStore, _ table: DigestQuery, _ notes: inout [String]) throws {
        let map = try table.rows(
            """
            SELECT kv_head FROM gqa_map WHERE model_id = (SELECT model_id FROM run WHERE id = \(run.id)) AND layer = 0
            ORDER BY head
            """)
        let extent = try table.rows(
            """
            SELECT max(a.layer) + 1, max(a.position) + 1 FROM attention_head AS a JOIN op ON op.id = a.op_id
            JOIN pass ON pass.id = op.pass_id WHERE run_id = \(run.id)
            """)
        guard let layers = extent.first?[0].int, let positions = extent.first?[1].int, !map.isEmpty else { return nil }
        try Self.check(layers, positions, heads: map.count, run, store)
        (self.layers, self.positions, heads) = (layers, positions, map.count)
        kvHead = map.map { $0[0].int ?? 0 }
        let all = layers * map.count
        // Half a square of 16-bit words, of which base64 makes 4/3 of the bytes.
        let fitting = Int((Double(Self.budget) / Double(all) * 0.75).squareRoot())
        size = min(positions, max(8, fitting))
        kept = Array((0..<positions).suffix(Self.summaries))
        let count = all * kept.count
        (entropyBits, topWeight, sinkWeight) = ([], [], [])
        (topPosition, patterns) = ([], [])
        windows = Array(repeating: nil, count: layers)
        try readSummaries(of: run, table, count: count)
        try readPatterns(of: run, in: store)
        if size < positions {
            notes.append(
                "Attention patterns of \(positions) positions are shown as \(size) by \(size) cells: the largest weight "
                    + "of those a cell stands for.")
        }
        if kept.count < positions {
            notes.append("Summaries of heads are kept of the last \(kept.count) of \(positions) positions.")
        }
    }

    /// Throws unless the numbers are those of the model and the run.
    private static func check(
        _ layers: Int, _ positions: Int, heads: Int, _ run: RecordedRun, _ store: TraceStore
    ) throws {
        let (sizes, last) = (try store.sizes(of: run), try store.passes(of: run).last)
        let evaluated = last.map { $0.firstPosition + $0.tokens } ?? 0
        for (table, column, found, range) in [
            ("attention_head", "layer", layers - 1, 0...sizes.layers - 1),
            ("attention_head", "position", positions - 1, 0...max(0, evaluated - 1)),
            ("gqa_map", "head", heads - 1, sizes.heads - 1...sizes.heads - 1),
        ] where !range.contains(found) {
            throw TraceError.damaged(
                TraceDamage(
                    path: store.path, table: table, row: "the last", column: column, found: "\(found)",
                    expected: range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"))
        }
    }

    private mutating func readSummaries(of run: RecordedRun, _ table: DigestQuery, count: Int) throws {
        entropyBits = Array(repeating: nil, count: count)
        topPosition = Array(repeating: nil, count: count)
        topWeight = Array(repeating: nil, count: count)
        sinkWeight = Array(repeating: nil, count: count)
        let rows = try table.rows(
            """
            SELECT a.layer, a.head, a.position, entropy_bits, top_position, top_weight, sink_weight
            FROM attention_head AS a JOIN op ON op.id = a.op_id JOIN pass ON pass.id = op.pass_id
            WHERE run_id = \(run.id) AND a.position >= \(kept[0])
            """)
        for row in rows {
            guard let layer = row[0].int, let head = row[1].int, let position = row[2].int,
                (0..<layers).contains(layer), (0..<heads).contains(head), (kept[0]..<positions).contains(position)
            else { continue }
            let index = (layer * heads + head) * kept.count + position - kept[0]
            entropyBits[index] = row[3].double?.digits(6)
            topPosition[index] = row[4].int
            topWeight[index] = row[5].double?.digits(6)
            sinkWeight[index] = row[6].double?.digits(6)
        }
    }

    private mutating func readPatterns(of run: RecordedRun, in store: TraceStore) throws {
        // By head and row, up to the diagonal.
        let triangle = size * (size + 1) / 2
        var words = Array(repeating: [UInt16](repeating: 65535, count: triangle), count: layers * heads)
        var isEmpty = true
        for step in 0..<run.steps {
            let whole = try store.wholeTensors(of: run, step: step)
            for operation in try store.operations(of: run, step: step) where operation.isResult(of: .pattern) {
                guard let layer = operation.layer, (0..<layers).contains(layer) else { continue }
                windows[layer] = operation.window
                let values: Tensor
                if let tensor = whole[operation.seq] {
                    values = try store.tensor(of: tensor)
                } else {
                    do {
                        values = .floats(try store.values(of: operation, in: run).floats, operation.shape)
                    } catch TraceError.notCaptured { continue }
                }
                isEmpty = false
                for head in 0..<min(heads, operation.shape.ne2) {
                    add(values, head, of: operation, to: &words[layer * heads + head])
                }
            }
        }
        guard !isEmpty else { return }
        patterns = (0..<layers).map { layer in (0..<heads).map { Packed.base64(words[layer * heads + $0]) } }
    }

    /// The largest weight of each cell's positions. NaN is what was not captured.
    private func add(_ values: Tensor, _ head: Int, of operation: RecordedOperation, to words: inout [UInt16]) {
        for query in 0..<values.shape.ne1 {
            let position = operation.firstPosition + query
            guard position < positions else { continue }
            let row = position * size / positions
            values.withRow(of: Float.self, query, head) { weights in
                for key in 0..<min(weights.count, position + 1) where weights[key].isFinite {
                    let word = UInt16((min(1, max(0, weights[key])) * 65534).rounded())
                    let index = row * (row + 1) / 2 + key * size / positions
                    words[index] = words[index] == 65535 ? word : max(words[index], word)
                }
            }
        }
    }
}
