import ArgumentParser
import Lessons
import Recording
import Stepping
import Tracing

struct PlayLesson: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "play", "Walk through the lessons' trace, from the operation that the step is about. As `quipu step`.",
        example: "play")
    @OptionGroup var walking: StepOptions

    func run() throws {
        var room = try Classroom(style: walking.printing.style)
        try room.save()
        try Self.play(room, walking)
    }

    /// Walks until the learner is done; where the lesson stands stays.
    static func play(_ room: Classroom, _ walking: StepOptions) throws {
        let lesson = try room.tutor.lesson()
        let model = room.model
        let store = try TraceStore.open(path: model.trace)
        let run = try store.run()
        let memory = StepMemory(run, in: store)
        let operations = try store.operations(of: run, step: 0)
        let subject = try room.operation(among: operations)
        var state = memory.recall() ?? StepperState(location: StepLocation(step: 0, seq: 0))
        state.location = StepLocation(step: 0, seq: subject?.seq ?? 0)
        let standing = subject.map { "at \($0.name)" } ?? "names no operation; this is the first"
        try walking.walk(run, in: store, memory, from: state, greeting: "Lesson \(lesson.number) \(standing).") {
            try Replay(run, in: store, model: ModelArgument.llama(model.path))
        }
    }
}

extension Classroom {
    /// The operation that the current step is about: the first that its commands or its question name. If they name none,
    /// the one of the nearest step of the lesson that does.
    func operation(among operations: [RecordedOperation]) throws -> RecordedOperation? {
        let (lesson, here) = (try tutor.lesson(), try tutor.stepIndex())
        let nearest = lesson.steps.indices.sorted { (abs($0 - here), $0) < (abs($1 - here), $1) }
        for index in nearest {
            let texts = lesson.steps[index].passages.flatMap { passage -> [Template] in
                switch passage {
                case .commands(let lines): lines
                case .question(let question): [question.ask, question.yours]
                case .prose, .prediction: []
                }
            }
            for text in texts {
                if let named = Self.named(in: try tutor.filled(text, lesson), operations) { return named }
            }
        }
        return nil
    }

    /// The first operation whose address stands in a text: `kq_soft_max-0`, `Qcur-0#1[0:4]`.
    private static func named(in text: String, _ operations: [RecordedOperation]) -> RecordedOperation? {
        for match in text.matches(of: /([A-Za-z_]+(?:-[0-9]+)?)(?:#([0-9]+))?/) {
            let named = operations.filter { $0.name == match.1 }
            guard let last = named.last else { continue }
            let index = match.2.flatMap { Int($0) }
            return index.flatMap { named.indices.contains($0) ? named[$0] : nil } ?? last
        }
        return nil
    }
}
