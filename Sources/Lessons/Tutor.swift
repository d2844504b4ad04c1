import Foundation

/// Where a learner stands in a course, and what can be done there.
public struct Tutor: Sendable {
    public let course: Course
    /// What the questions of the current lesson are about.
    public var subject: Subject
    public var progress: LessonProgress

    public init(course: Course, subject: Subject, progress: LessonProgress) {
        (self.course, self.subject, self.progress) = (course, subject, progress)
        self.progress.adopt(course)
    }

    // MARK: where

    /// - Throws: `LessonError.notStarted`, or `.noLesson` if the lesson is gone.
    public func lesson() throws(LessonError) -> Lesson {
        guard let id = progress.lesson else { throw .notStarted }
        return try course.lesson(id)
    }

    /// The step's index; a lesson that became shorter ends earlier.
    public func stepIndex() throws(LessonError) -> Int { min(max(0, progress.step), try lesson().steps.count - 1) }

    public func step() throws(LessonError) -> Lesson.Step { try lesson().steps[try stepIndex()] }

    /// The lessons that the learner goes through, in order: those of a track, or all.
    public var way: [Lesson] {
        let ids = progress.track.flatMap { course.tracks[$0] } ?? []
        let lessons = ids.compactMap { id in course.lessons.first { $0.id == id } }
        return lessons.isEmpty ? course.lessons : lessons
    }

    /// Chooses a track by its name, of which the first letters do; `all` goes through all lessons again.
    public mutating func choose(track name: String) throws(LessonError) {
        if name == "all" { return progress.track = nil }
        let found = course.tracks.keys.filter { $0.lowercased().hasPrefix(name.lowercased()) }
        guard !name.isEmpty, found.count == 1 else {
            throw .noTrack(name: name, known: course.tracks.keys.sorted() + ["all"])
        }
        progress.track = found[0]
    }

    /// Begins a lesson; without a name, the first of the way that is not done.
    public mutating func start(_ name: String?) throws(LessonError) {
        let lesson = try name.map { (name) throws(LessonError) in try course.lesson(name) }
        let first = way.first { !isDone($0) } ?? way[0]
        (progress.lesson, progress.step) = ((lesson ?? first).id, 0)
    }

    /// The lesson that comes this many after the current one on the way; on from a lesson beside the way, by number.
    private func lesson(after steps: Int) throws(LessonError) -> Lesson? {
        let id = try lesson().id
        let lessons = way.contains { $0.id == id } ? way : course.lessons
        let index = lessons.firstIndex { $0.id == id }.map { $0 + steps }
        return index.flatMap { lessons.indices.contains($0) ? lessons[$0] : nil }
    }

    /// The next step, of the next lesson after the last.
    public mutating func next() throws(LessonError) {
        let lesson = try lesson()
        let step = try stepIndex() + 1
        if step < lesson.steps.count { return progress.step = step }
        guard let next = try self.lesson(after: 1) else { throw .atTheEnd(lesson: lesson.title) }
        (progress.lesson, progress.step) = (next.id, 0)
    }

    public mutating func back() throws(LessonError) {
        let step = try stepIndex() - 1
        if step >= 0 { return progress.step = step }
        guard let before = try lesson(after: -1) else { throw .atTheStart }
        (progress.lesson, progress.step) = (before.id, before.steps.count - 1)
    }

    /// Whether there is nothing after this step.
    public func isAtTheEnd() throws(LessonError) -> Bool {
        guard try stepIndex() + 1 >= lesson().steps.count else { return false }
        return try lesson(after: 1) == nil
    }

    // MARK: guesses

    private func key(_ prediction: Lesson.Prediction) throws(LessonError) -> String {
        "\(try lesson().id)/\(prediction.id)"
    }

    /// What is to be guessed before the rest of the step is shown.
    public func openPrediction() throws(LessonError) -> Lesson.Prediction? {
        guard let prediction = try step().prediction, try guess(prediction) == nil else { return nil }
        return prediction
    }

    /// What was guessed; empty if it was passed over.
    public func guess(_ prediction: Lesson.Prediction) throws(LessonError) -> String? {
        progress.guesses?[try key(prediction)]
    }

    public mutating func guess(_ text: String) throws(LessonError) {
        guard let prediction = try openPrediction() else { throw .nothingToGuess }
        let key = try key(prediction)
        var guesses = progress.guesses ?? [:]
        guesses[key] = String(text.prefix(100))
        progress.guesses = guesses
    }

    /// Goes past what is to be guessed.
    ///
    /// - Returns: whether there was anything.
    public mutating func passesPrediction() throws(LessonError) -> Bool {
        guard try openPrediction() != nil else { return false }
        try guess("")
        return true
    }

    // MARK: questions

    /// The question of the current step, with its key in the progress.
    public func question() throws(LessonError) -> (Question, key: String) {
        let (lesson, step) = (try lesson(), try step())
        guard let question = step.question else { throw .noQuestion(step: step.title) }
        return (question, "\(lesson.id)/\(question.id)")
    }

    public func note(_ lesson: Lesson, _ question: Question) -> LessonProgress.Question {
        progress.questions["\(lesson.id)/\(question.id)"] ?? .init()
    }

    public func isDone(_ lesson: Lesson) -> Bool { lesson.questions.allSatisfy { note(lesson, $0).solved } }

    /// Whether the current question was solved, or given up with its derivation shown. One that is reviewed is open.
    public func isSettled() throws(LessonError) -> Bool {
        guard let question = try step().question else { return true }
        let note = note(try lesson(), question)
        return note.solved != note.due
    }

    public func evaluator(_ lesson: Lesson, made: Subject? = nil) -> Evaluator {
        Evaluator(subject, definitions: lesson.definitions, made: made)
    }

    public func grader(_ lesson: Lesson, made: Subject? = nil) -> Grader {
        Grader(evaluator(lesson, made: made), seed: subject.sha256 ?? subject.file.path)
    }

    /// Grades an answer and remembers what became of it.
    ///
    /// - Parameter made: of questions of kind change, what the learner made.
    public mutating func check(_ answer: String, made: Subject? = nil) throws(LessonError) -> Verdict {
        let (lesson, (question, key)) = (try lesson(), try question())
        let verdict = try querying(lesson, question) { () throws(QueryProblem) in
            try grader(lesson, made: made).grade(answer, question)
        }
        if verdict.outcome == .unreadable { return verdict }
        var note = progress.questions[key] ?? .init()
        note.attempts += 1
        if verdict.isKnownMistake, let says = verdict.says { note.add(mistake: says) }
        if verdict.outcome == .right {
            if note.solved { note.reviews = (note.reviews ?? 0) + 1 }
            (note.solved, note.due) = (true, false)
            (note.model, note.at) = (subject.sha256, Date().formatted(.iso8601))
        }
        progress.questions[key] = note
        return verdict
    }

    /// A rung of the ladder; after the last, the derivation.
    public struct Hint: Sendable {
        public let text: String
        /// From 1; `nil` for the derivation.
        public let rung: Int?
        public let rungs: Int
    }

    /// The next hint. After the last one the question is given up as by `skip`.
    public mutating func hint() throws(LessonError) -> Hint {
        let (lesson, (question, key)) = (try lesson(), try question())
        var note = progress.questions[key] ?? .init()
        guard note.hints < question.hints.count else { return try skip() }
        let text = try filled(question.hints[note.hints], lesson, question)
        note.hints += 1
        progress.questions[key] = note
        return Hint(text: text, rung: note.hints, rungs: question.hints.count)
    }

    /// Gives the derivation, and asks again later.
    public mutating func skip() throws(LessonError) -> Hint {
        let (lesson, (question, key)) = (try lesson(), try question())
        var note = progress.questions[key] ?? .init()
        note.due = !note.solved
        progress.questions[key] = note
        return Hint(text: try derivation(question, lesson), rung: nil, rungs: question.hints.count)
    }

    /// The whole way to an answer. Of a sentence it begins with whether that is true, which the numbers alone do not say.
    public func derivation(_ question: Question, _ lesson: Lesson) throws(LessonError) -> String {
        let way = try filled(question.derivation, lesson, question)
        guard case .truth(let query) = question.kind else { return way }
        let isTrue = try querying(lesson, question) { () throws(QueryProblem) in
            try evaluator(lesson).value(query).truth(for: "truth")
        }
        return (isTrue ? "True. " : "False. ") + way
    }

    public func filled(_ template: Template, _ lesson: Lesson, _ question: Question? = nil) throws(LessonError)
        -> String
    {
        try querying(lesson, question) { () throws(QueryProblem) in try template.filled(evaluator(lesson)) }
    }

    /// Goes to the first question that is to be asked again, or to the beginning of a lesson; what was solved stays solved.
    ///
    /// - Returns: whether there was anything to do again.
    public mutating func redo(_ name: String?) throws(LessonError) -> Bool {
        if let name {
            try start(name)
            return true
        }
        for lesson in course.lessons {
            for (index, step) in lesson.steps.enumerated() {
                guard let question = step.question else { continue }
                let key = "\(lesson.id)/\(question.id)"
                guard var note = progress.questions[key], note.due, !note.solved else { continue }
                note.due = false
                note.hints = 0
                progress.questions[key] = note
                (progress.lesson, progress.step) = (lesson.id, index)
                return true
            }
        }
        return false
    }

    /// Forgets what was done in a lesson, or in all of them.
    public mutating func reset(_ name: String?) throws(LessonError) {
        guard let name else {
            progress.questions = [:]
            (progress.lesson, progress.step) = (nil, 0)
            return
        }
        let lesson = try course.lesson(name)
        for question in lesson.questions { progress.questions["\(lesson.id)/\(question.id)"] = nil }
        if progress.lesson == lesson.id { progress.step = 0 }
    }

    private func querying<Result>(
        _ lesson: Lesson, _ question: Question?, _ body: () throws(QueryProblem) -> Result
    ) throws(LessonError) -> Result {
        do { return try body() } catch {
            throw .query(location: "\(lesson.file)" + (question.map { ", question '\($0.id)'" } ?? ""), problem: error)
        }
    }
}
