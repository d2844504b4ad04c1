import Foundation
import ProgramFiles
import Recording
import Stepping

/// Remembers where each run was left, beside the note of the last trace.
struct StepMemory {
    private struct Entry: Codable {
        let key: String
        let location: StepLocation
        let stops: [String]

        private enum CodingKeys: String, CodingKey { case key, location = "place", stops }
    }

    private static let limit = 100
    private let key: String
    private let file: URL

    init(_ run: RecordedRun, in store: TraceStore) {
        let path = URL(fileURLWithPath: store.path).resolvingSymlinksInPath().path
        // A trace that was replaced is another one: its run was made at another time, of which the digest and the
        // prompt are what the reader knows.
        key = "\(path)#\(run.id)#\(run.modelDigest?.prefix(12) ?? "")#\(run.prompt)"
        file = UserFolders.current.state.appending(path: "step.json")
    }

    /// The state to go on from; `nil` if the run was not walked through before.
    func recall() -> StepperState? {
        guard let entry = entries().last(where: { $0.key == key }) else { return nil }
        var state = StepperState(location: entry.location)
        // A stop of another version's grammar is forgotten.
        state.stops = entry.stops.compactMap { line in
            guard case .stop(let stop)? = try? StepperCommand(line) else { return nil }
            return stop
        }
        return state
    }

    /// A convenience only: where it cannot be written, the next walk begins at the start.
    func remember(_ state: StepperState) throws(FileProblem) {
        let entry = Entry(key: key, location: state.location, stops: state.stops.map(\.command))
        let entries = (entries().filter { $0.key != key } + [entry]).suffix(Self.limit)
        guard let data = try? JSONEncoder().encode(Array(entries)) else { return }
        try Folders.write(data, to: file, advice: UserFolders.stateAdvice)
    }

    private func entries() -> [Entry] {
        (try? JSONDecoder().decode([Entry].self, from: Data(contentsOf: file))) ?? []
    }
}
