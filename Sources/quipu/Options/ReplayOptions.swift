import ArgumentParser
import Foundation
import LlamaModel
import Recording
import Tracing

/// For commands that need the model a trace was recorded from.
struct ReplayOptions: ParsableArguments {
    @Option(
        help: "The model the trace was recorded from, if it has moved. (default: where it was then)", completion: .model
    )
    var model: String?

    /// - Throws: `InputError` if the model is not where it was, `ReplayProblem` if it is not the same.
    func open(_ run: RecordedRun, in store: TraceStore, hashingAnew: Bool = false) throws -> Replay {
        guard let path = model ?? run.currentModelPath().map(Terminal.pathFromHere) else {
            throw InputError(
                "\(run.modelPath): the model that \(store.path) was recorded from is no longer there. "
                    + "Say where it is with --model.")
        }
        return try Replay(run, in: store, model: try ModelArgument.llama(path), hashingAnew: hashingAnew)
    }
}
