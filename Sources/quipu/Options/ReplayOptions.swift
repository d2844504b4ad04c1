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
    func open(
        _ run: RecordedRun, in store: TraceStore, hashingAnew: Bool = false, memory: MemoryOption? = nil
    ) throws -> Replay {
        guard let path = model ?? run.currentModelPath().map(Terminal.pathFromHere) else {
            throw InputError(
                "\(run.modelPath): the model that \(store.path) was recorded from is no longer there. "
                    + "Say where it is with --model.")
        }
        var replay = try Replay(run, in: store, model: try ModelArgument.llama(path), hashingAnew: hashingAnew)
        if let memory { replay.memoryLimit = memory.bytes }
        return replay
    }
}

/// For commands that evaluate whole passes again.
struct MemoryOption: ParsableArguments {
    @Option(
        help: "Refuse to evaluate what would take more memory beside the model, such as 500M or 8G (powers of 1024).")
    var maxMemory = "4G"

    var bytes: Int { TraceCommand.bytes(maxMemory)! }

    func validate() throws {
        if TraceCommand.bytes(maxMemory) == nil {
            throw ValidationError("--max-memory takes a number with K, M or G, as in 4G")
        }
    }
}
