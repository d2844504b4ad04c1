import Measuring
import Recording
import Tracing

/// What a page shows of the first pass that takes evaluating it again, unless the trace holds it.
public struct ReplayDigest: Encodable, Sendable {
    /// `nil` if none is known.
    public let lens: LensDigest?
    /// `nil` if the model is not at hand, or the network is no sum.
    public let attribution: AttributionDigest?
    /// What was left out, in sentences.
    public let notes: [String]

    /// - Parameter memoryLimit: bytes beside the model that evaluating the prompt may take; what needs more is left out.
    /// - Throws: `TraceError` if the trace cannot be read, `LlamaError` if the file is no model that can be run.
    public init(
        of run: RecordedRun, in store: TraceStore, model: ModelAtHand, threads: Int,
        memoryLimit: Int = MemoryEstimate.usualLimit
    ) throws {
        var notes: [String] = []
        do {
            lens = try LensDigest(of: run, in: store, model: model, threads: threads, memoryLimit: memoryLimit)
        } catch let problem as ReplayProblem {
            guard case .memory = problem else { throw problem }
            lens = nil
            notes.append("The logit lens is left out. \(problem)")
        }
        do {
            attribution = try AttributionDigest(
                of: run, in: store, model: model, threads: threads, memoryLimit: memoryLimit)
        } catch let problem as ReplayProblem {
            guard case .memory = problem else { throw problem }
            attribution = nil
            notes.append("The attribution is left out. \(problem)")
        } catch let problem as AnalysisProblem {
            attribution = nil
            notes.append("The attribution is left out. \(problem)")
        }
        self.notes = notes
    }
}
