import ComputeGraph
import Foundation
import GGUF
import Measuring
import Operations
import Quantization
import Recording
import Tensors
import Tracing

/// What a trace says about one run, small enough for a page: statistics in full, values down-sampled.
///
/// Columns are arrays of one number an item, and text that repeats is an index: a pass of a thousand operations takes
/// about 100 KB of JSON. What was left out is said in `notes`.
public struct RunDigest: Encodable, Sendable {
    public struct Source: Encodable, Sendable {
        public let trace: String
        public let sizeBytes: Int
    }

    public let source: Source
    /// Rows of `run` and `model`, by column.
    public let run: [String: DigestValue]
    public let model: [String: DigestValue]
    public let tokens: TokenDigest
    public let weights: WeightDigest
    /// What passes share: operations that are evaluated in the same order.
    public let graphs: [GraphDigest]
    public let passes: [PassDigest]
    /// The kinds of operations, which say themselves what they are.
    public let kinds: [KindDigest]
    public let attention: AttentionDigest?
    /// `nil` if the model has no experts.
    public let experts: ExpertsDigest?
    public let quantisation: QuantisationDigest
    /// Errors against the F32 run; `nil` if the trace has none.
    public let propagation: PropagationDigest?
    /// The guesses of the logit lens at the last position of the first pass; `nil` if none are known.
    public let lens: LensDigest?
    /// Two logits of the first pass as sums of what parts of the network wrote; `nil` if the model is not at hand.
    public let attribution: AttributionDigest?
    /// Other runs beside this one.
    public let comparisons: [ComparisonDigest]
    /// What was left out or down-sampled, in sentences.
    public private(set) var notes: [String]

    /// - Parameters:
    ///   - model: the file that the run was of, or why it is not at hand.
    ///   - others: other runs, each compared with this one, which is the first side.
    ///   - formats: whose errors are measured if the trace holds none.
    ///   - evaluates: whether the prompt is evaluated again for `lens` and `attribution`; without it they hold what the trace
    ///     does, and `ReplayDigest` makes the rest.
    ///   - memoryLimit: bytes beside the model that evaluating the prompt again may take; what needs more is left out.
    ///   - progress: called with the share done, 0 to 1; what it throws ends the work.
    /// - Throws: `TraceError` if the trace cannot be read, `QuantErrorProblem` if weights cannot be decoded.
    public init(
        of run: RecordedRun, in store: TraceStore, against others: [TraceDiff] = [], model: ModelAtHand,
        formats: [any EncodableFormat], workers: Workers,
        evaluates: Bool = true, memoryLimit: Int = MemoryEstimate.usualLimit,
        progress: @escaping @Sendable (Double) throws -> Void = { _ in }
    ) throws {
        let table = DigestQuery(store)
        source = Source(
            trace: store.path,
            sizeBytes: (try? FileManager.default.attributesOfItem(atPath: store.path)[.size] as? Int) ?? 0)
        self.run = try table.row("SELECT * FROM run WHERE id = \(run.id)")
        self.model = try table.row("SELECT * FROM model WHERE id = (SELECT model_id FROM run WHERE id = \(run.id))")
        tokens = try TokenDigest(run, table)
        weights = try WeightDigest(run, table)
        var notes: [String] = []
        (graphs, passes) = try PassDigest.all(of: run, in: store, table, weights, &notes) { try progress($0 * 0.5) }
        kinds = OperationCatalog.all.map(KindDigest.init)
        attention = try AttentionDigest(of: run, in: store, table, &notes)
        experts = try ExpertsDigest(of: run, in: store, &notes)
        try progress(0.6)
        quantisation = try QuantisationDigest(
            of: run, table, weights, model: model, formats: formats, workers: workers, &notes
        ) { try progress(0.6 + $0 * 0.4) }
        propagation = try PropagationDigest(of: run, table)
        comparisons = others.map(ComparisonDigest.init)
        let replay = try ReplayDigest(
            of: run, in: store, model: evaluates ? model : .missing("It is not asked for."), threads: workers.count,
            memoryLimit: memoryLimit)
        (lens, attribution) = (replay.lens, replay.attribution)
        notes += replay.notes
        self.notes = notes
    }
}

extension Encodable {
    /// One JSON document without spaces, with the page's names, safe inside an HTML script element.
    public func pageJSON() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // `</script>` and `<!--` would end the element.
        return String(decoding: try encoder.encode(self), as: UTF8.self).showingBytes(backslash: #"\\"#)
            .replacing("<", with: "\\u003c")
    }
}

/// The model that a trace is of, if its file is still where it was.
public enum ModelAtHand: Sendable {
    case file(GGUFFile)
    /// Why not, in a sentence.
    case missing(String)

    /// Looks for the file, and holds its tensors against those that the trace lists.
    ///
    /// - Parameter path: `nil` for where the run found it.
    /// - Throws: what `GGUFFile` throws, also if there is no file at `path`.
    public init(of run: RecordedRun, in store: TraceStore, at path: String? = nil) throws {
        guard let found = path ?? run.currentModelPath() else {
            self = .missing("The model file \(run.modelPath) is not there; quipu report --model names another file.")
            return
        }
        let file = try GGUFFile(path: found)
        let rows = try DigestQuery(store).rows(
            """
            SELECT name, type, file_offset FROM weight WHERE model_id = (SELECT model_id FROM run WHERE id = \(run.id))
            """)
        let isSame =
            rows.count == file.tensors.count
            && rows.allSatisfy { row in
                guard let info = file.tensor(named: row[0].text ?? "") else { return false }
                return info.type.name == row[1].text && info.fileOffset == row[2].int
            }
        self = isSame ? .file(file) : .missing("The file \(found) has other tensors than the model of the trace.")
    }
}

/// A token of the run an item.
public struct TokenDigest: Encodable, Sendable {
    let position: [Int]
    let tokenId: [Int]
    let piece: [String]
    let source: [String]
    let logprob: [Double?]
    let rank: [Int?]

    init(_ run: RecordedRun, _ table: DigestQuery) throws {
        let rows = try table.rows(
            """
            SELECT position, token_id, piece, source, logprob, rank FROM token WHERE run_id = \(run.id) ORDER BY position
            """)
        position = rows.map { $0[0].int ?? 0 }
        tokenId = rows.map { $0[1].int ?? 0 }
        piece = rows.map { $0[2].text ?? "" }
        source = rows.map { $0[3].text ?? "" }
        logprob = rows.map { $0[4].double?.digits(6) }
        rank = rows.map { $0[5].int }
    }
}

/// A tensor of the model file an item.
public struct WeightDigest: Encodable, Sendable {
    let name: [String]
    let layer: [Int?]
    let role: [String]
    let type: [String]
    let shape: [[Int]]
    let fileOffset: [Int]
    let nBytes: [Int]
    /// Index by the row's id in table `weight`.
    let indices: [Int: Int]

    private enum CodingKeys: CodingKey { case name, layer, role, type, shape, fileOffset, nBytes }

    init(_ run: RecordedRun, _ table: DigestQuery) throws {
        let rows = try table.rows(
            """
            SELECT id, name, layer, role, type, ne0, ne1, ne2, ne3, file_offset, n_bytes FROM weight
            WHERE model_id = (SELECT model_id FROM run WHERE id = \(run.id)) ORDER BY id
            """)
        name = rows.map { $0[1].text ?? "" }
        layer = rows.map { $0[2].int }
        role = rows.map { $0[3].text ?? "" }
        type = rows.map { $0[4].text ?? "" }
        shape = rows.map { row in Shape(row[5...8].map { $0.int ?? 1 }).significant }
        fileOffset = rows.map { $0[9].int ?? 0 }
        nBytes = rows.map { $0[10].int ?? 0 }
        indices = Dictionary(rows.enumerated().map { ($1[0].int ?? 0, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Index by the row's id in table `weight`.
    func index(ofID id: Int?) -> Int? { id.flatMap { indices[$0] } }
}
