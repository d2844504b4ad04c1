import Tensors

/// What is wrong with lessons or with what is asked of them, in words.
public enum LessonError: InputProblem, Sendable {
    case noFolder(path: String)
    /// A teacher's folder of learners' progress.
    case noClass(path: String)
    /// The folder that was chosen is no longer there.
    case lostCourse(path: String)
    case unreadable(path: String, reason: String)
    /// A fault in a lesson's file.
    case format(file: String, part: String, reason: String)
    case noLesson(name: String, known: [String])
    case noTrack(name: String, known: [String])
    case noCodeTask(name: String, known: [String])
    case notStarted
    case atTheEnd(lesson: String)
    case atTheStart
    case noQuestion(step: String)
    case nothingToGuess
    case badProgress(path: String, reason: String)
    case newerProgress(path: String, found: Int, supported: Int)
    /// A question that this model or trace cannot be asked.
    case query(location: String, problem: QueryProblem)
}

extension LessonError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noFolder(let path):
            "\(path): found no such folder, expected one with lessons. Check the path."
        case .noClass(let path):
            "\(path): found no such folder, expected one with files that `quipu lesson export` wrote. Check the path."
        case .lostCourse(let path):
            "\(path): the lessons that you took from there are gone. Name their folder again with `quipu lesson start "
                + "--course DIR`, or take the program's own with `--course quipu`."
        case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
        case .format(let file, let part, let reason): "\(file): \(part): \(reason)"
        case .noLesson(let name, let known):
            "there is no lesson '\(name)'; there are \(known.joined(separator: ", "))"
        case .noTrack(let name, let known):
            "there is no track '\(name)'; there are \(known.map { "'\($0)'" }.joined(separator: ", "))"
        case .noCodeTask(let name, let known):
            "there is no code task '\(name)'; there are \(known.joined(separator: ", "))"
        case .notStarted: "no lesson was started; `quipu lesson start` begins with the first"
        case .atTheEnd(let lesson):
            "this is the last step of the last lesson, '\(lesson)'; `quipu lesson progress` shows what is still open"
        case .atTheStart: "this is the first step of the first lesson"
        case .noQuestion(let step): "the step '\(step)' asks nothing; `quipu lesson next` goes on"
        case .nothingToGuess: "nothing is to be guessed here; `quipu lesson start` shows the step"
        case .badProgress(let path, let reason):
            "\(path): this is no progress of lessons: \(reason). Move it away to begin anew."
        case .newerProgress(let path, let found, let supported):
            "\(path): found version \(found), expected \(supported) or older; a newer quipu wrote it"
        case .query(let location, let problem): "\(location): \(problem)"
        }
    }
}
