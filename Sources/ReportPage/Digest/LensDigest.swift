import ComputeGraph
import LlamaModel
import Measuring
import Recording
import Tracing

/// What each layer would predict after the first pass's last token if it were the last layer; an item a row.
public struct LensDigest: Encodable, Sendable {
    /// -1: none yet, the embedding.
    private(set) var layer: [Int] = []
    private(set) var position: [Int] = []
    private(set) var rank: [Int] = []
    private(set) var tokenId: [Int] = []
    private(set) var piece: [String] = []
    private(set) var logit: [Double?] = []
    private(set) var probability: [Double?] = []

    /// Guesses of a layer.
    private static let kept = 5

    /// From the trace if `lens --record` put it there, else by the model; `nil` without both.
    ///
    /// - Throws: `ReplayProblem.memory` if evaluating the pass would take more than `memoryLimit` bytes.
    init?(
        of run: RecordedRun, in store: TraceStore, model: ModelAtHand, threads: Int, memoryLimit: Int
    ) throws {
        let rows = try DigestQuery(store).rows(
            """
            SELECT lens_layer, position, rank, token_id, piece, logit, probability
            FROM logit JOIN pass ON pass.id = logit.pass_id
            WHERE run_id = \(run.id) AND step = 0 AND lens_layer IS NOT NULL AND rank < \(Self.kept)
                AND position = first_position + n_tokens - 1
            ORDER BY lens_layer, rank
            """)
        for row in rows {
            layer.append(row[0].int ?? 0)
            position.append(row[1].int ?? 0)
            rank.append(row[2].int ?? 0)
            tokenId.append(row[3].int ?? 0)
            piece.append(row[4].text ?? "")
            logit.append(row[5].double?.digits(6))
            probability.append(row[6].double?.digits(6))
        }
        if layer.isEmpty, case .file(let file) = model, run.steps > 0 {
            var replay = try Replay(run, in: store, model: try Llama(file: file))
            replay.memoryLimit = memoryLimit
            let position = try store.passes(of: run)[0].tokens - 1
            var stream = try ResidualStream(replay, in: store, positions: [position], threads: threads)
            let lens = try LogitLens(replay.model, threads: threads)
            for (number, values) in try stream.columns(at: position).enumerated() {
                let top = try lens.prediction(from: values).top(Self.kept, replay.model.vocabulary)
                for (rank, candidate) in top.enumerated() {
                    layer.append(number - 1)
                    self.position.append(position)
                    self.rank.append(rank)
                    tokenId.append(candidate.token)
                    piece.append(candidate.piece)
                    logit.append(candidate.logit.digits(6))
                    probability.append(candidate.probability.digits(6))
                }
            }
        }
        if layer.isEmpty { return nil }
    }
}
