import Foundation
import LlamaModel
import Presentation
import Recording
import Tokenization
import Tracing

/// `trace --prompts`: one trace with a run for each line of a file.
extension TraceCommand {
    /// A line that is ready to run.
    private struct Item {
        let line: PromptLines.Line
        let metric: NamedMetric?
    }

    func runAll(_ path: String, since start: ContinuousClock.Instant) async throws {
        let interventions = try whatIf.interventions()
        let model = try interventions.applied(to: try ModelArgument.llama(model))
        let followed = try watch.tokens(of: model)
        let file = try PromptLines(path: path, for: model)
        let generate = generate ?? (file.lines.contains { $0.prompt.isConversation } ? Self.chatTokens : 1)
        let items = try items(file, model, interventions, decodes: max(0, generate - 1))
        let capture = Capture(capture, names: only.flatMap { $0.split(separator: ",").map(String.init) })
        let lengths = items.map(\.line.prompt.ids.count)
        let size = try TraceEstimate(
            model: model, capture: capture, prompts: lengths, decodes: max(0, generate - 1))
        if estimate {
            return try printing.print(
                EstimateReport(size, capture: capture, prompts: lengths, generate: generate))
        }
        try size.check(limit: Self.bytes(maxSize)!)

        let output = try freeOutput()
        let store = try TraceStore.create(path: output, append ? .appending : force ? .replacing : .new)
        LastTrace.remember(output)
        let progress = RunProgress(total: lengths.reduce(0, +) + max(0, generate - 1) * lengths.count)
        var runs: [PromptsReport.Run] = []
        for (number, item) in items.enumerated() {
            let begin = ContinuousClock.now
            var tracing = try await tracing(
                item, model, interventions, followed, capture, positions: generate - 1, in: store, progress)
            try await record(
                &tracing, item.line.prompt.ids, generate: generate, in: store, since: begin,
                closing: number == items.count - 1)
            runs.append(tracing.result(of: item.line))
        }
        progress.end()
        let bytes = try FileManager.default.attributesOfItem(atPath: output)[.size] as? Int ?? 0
        try printing.print(
            PromptsReport(
                trace: output, model: model, file: file.name, capture: capture, runs: runs, sizeBytes: bytes,
                wallNs: start.duration(to: .now).nanoseconds))
    }

    /// All lines, each checked before anything is written.
    private func items(
        _ file: PromptLines, _ model: Llama, _ interventions: Interventions, decodes: Int
    ) throws -> [Item] {
        let usual = try watch.metric.map { try NamedMetric($0, for: model) }
        let limit = model.configuration.trainedContext
        return try file.lines.map { line in
            do {
                let needed = line.prompt.ids.count + decodes
                guard needed <= limit else { throw LlamaError.contextExceeded(needed: needed, limit: limit) }
                try interventions.check(model, promptTokens: line.prompt.ids.count, decodes: decodes)
                let own = try line.metric.map { try NamedMetric($0, for: model, option: "\"metric\"") }
                return Item(line: line, metric: own ?? usual)
            } catch {
                throw PromptLines.problem(file.name, line.number, "\(error)")
            }
        }
    }

    private func tracing(
        _ item: Item, _ model: Llama, _ interventions: Interventions, _ followed: [Int], _ capture: Capture,
        positions decodes: Int, in store: TraceStore, _ progress: RunProgress
    ) async throws -> Tracing {
        let ids = item.line.prompt.ids
        let session = try Session(
            model, positions: ids.count + max(0, decodes), threads: threads.count,
            instructions: kernels.instructions)
        let recorder = try await TraceRecorder(
            store: store, model: model,
            run: RunDescription(
                prompt: item.line.prompt.text, sampling: sampling.options, threads: threads.count,
                kernels: kernels.instructions.rawValue, capture: capture, engineVersion: Quipu.version,
                interventions: interventions.records, group: item.line.group, metric: item.metric?.text))
        var tracing = Tracing(
            session: session, recorder: recorder, sampler: Sampler(sampling.options),
            changes: ChangedRun(interventions), progress: progress)
        tracing.stopsAtEnd = !sampling.ignoreEos
        tracing.isOneOfSeveral = true
        (tracing.followed, tracing.metric) = (followed, item.metric)
        if logits == .all {
            tracing.surprise = try PromptSurprise(
                model, ids, tracking: followed, threads: threads.count, instructions: kernels.instructions)
        }
        return tracing
    }
}

extension Tracing {
    fileprivate func result(of line: PromptLines.Line) -> PromptsReport.Run {
        let prediction = firstPrediction!
        return PromptsReport.Run(
            line: line.number, run: recorder.run, group: line.group, prompt: line.prompt.text, ids: line.prompt.ids,
            generatedIds: generated, generatedText: text, prediction: prediction,
            metric: metric.map { ($0.text, $0.value(prediction.logits)) }, tracked: tracked,
            notFinite: brokenLogits, model: session.model)
    }
}
