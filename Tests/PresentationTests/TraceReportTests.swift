import LlamaModel
import Presentation
import Recording
import TestSupport
import Testing
import Tracing

@Suite struct TraceReportTests {
    /// Layers without attention, as other families have them, and no layers at all: nothing to rank is no reason to stop.
    @Test(arguments: [0, 1, 3])
    func layersWithoutPatternsAreShown(layers: Int) throws {
        let model = try TinyModel.gqa.load()
        let report = TraceReport(
            TraceReport.Outcome(
                trace: "trace.db", promptIds: [1, 5], generatedIds: [], generatedText: "", operations: 9, passes: 1,
                sizeBytes: 4096, wallNs: 1000, promptNs: 1000, decodeNs: 0, capture: Capture(.all),
                summary: PassSummary(layers: layers), prediction: Prediction(logits: [0, 1, 2]),
                changes: ChangedRun(try Interventions([])), parent: nil),
            model: model, program: "quipu")
        let lines = report.page(.plain).split(separator: "\n")
        #expect(lines.count { $0.hasSuffix("no pattern") } == layers)
        #expect(!lines.contains { $0.contains("quipu show") })
        let document = try JSONOutput.text(report)
        #expect(document.contains("\"top_head\" : null") == (layers > 0))
    }
}
