import ArgumentParser
import Foundation
import ProgramFiles
import Recording

/// Remembers the last trace written, so that commands can do without naming it.
enum LastTrace {
    static let help = ArgumentHelp("A trace file. (default: the last one written)")

    private static var note: URL { UserFolders.current.state.appending(path: "last-trace") }

    /// The trace that commands read when none is named, if it is there.
    static var path: String? { try? remembered() }

    /// A convenience only: where it cannot be written, that is said, and commands ask for the path.
    static func remember(_ path: String) {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        do {
            try Folders.write(Data((absolute + "\n").utf8), to: note, advice: UserFolders.stateAdvice)
        } catch {
            Terminal.complain("quipu: note: the next command will not know this trace. \(error)")
        }
    }

    /// Opens the trace for reading, and says on standard error if a run in it lacks its end.
    static func open(_ path: String?) throws -> TraceStore {
        let store = try TraceStore.open(path: try path ?? remembered())
        for run in try store.runs() where !run.isComplete {
            Terminal.complain(
                "quipu: note: run \(run.id) of \(store.path) was cut off before its end, or is still being written; "
                    + "what it holds can be read")
        }
        return store
    }

    private static func remembered() throws -> String {
        guard let text = try? String(contentsOf: note, encoding: .utf8) else {
            throw InputError("no trace was named, and none was written before; run `quipu trace MODEL --prompt \"…\"`")
        }
        let path = text.trimmingCharacters(in: .newlines)
        guard FileManager.default.fileExists(atPath: path) else {
            throw InputError(
                "the last trace written, \(path), is no longer there; name another trace, or write one again")
        }
        return path
    }
}
