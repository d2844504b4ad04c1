import Foundation
import Lessons
import Presentation
import ProgramFiles
import Recording

/// What commands and the line-by-line lesson have in common.
enum LessonActions {
    /// What a calculator in an answer can do.
    static let calculator = Grader.calculator

    static func move(_ printing: OutputOptions, _ body: (inout Tutor) throws(LessonError) -> Void) throws {
        var room = try Classroom(style: printing.style)
        try body(&room.tutor)
        try room.save()
        try printing.print(try room.stepReport())
    }

    static func check(_ answer: String, _ room: inout Classroom) throws -> LessonVerdictReport {
        let (question, key) = try room.tutor.question()
        let verdict: Verdict
        if case .change = question.kind {
            verdict = try room.tutor.check(answer, made: try made(answer, room.tutor.subject))
        } else {
            verdict = try room.tutor.check(answer)
        }
        try room.save()
        let lesson = try room.tutor.lesson()
        let isRight = verdict.outcome == .right
        return LessonVerdictReport(
            question: key, verdict: verdict, says: verdict.says.map(room.typed),
            attempts: room.tutor.progress.questions[key]?.attempts ?? 0,
            after: isRight ? try room.after() : [],
            why: isRight ? room.typed(try room.tutor.filled(question.why, lesson, question)) : nil,
            yours: isRight ? Classroom.own(try room.tutor.filled(question.yours, lesson, question)) : nil,
            isLoop: room.isLoop)
    }

    /// The number that is asked for after the first part of an answer, if it is one.
    static func askedAfter(_ answer: String, _ room: Classroom) throws -> String? {
        let (lesson, (question, _)) = (try room.tutor.lesson(), try room.tutor.question())
        let isFirst = try LessonError.naming(lesson, question) { () throws(QueryProblem) in
            try room.tutor.grader(lesson).isFirstPart(answer, question)
        }
        guard isFirst, let then = question.then else { return nil }
        return room.typed(try room.tutor.filled(then.ask, lesson, question))
    }

    /// The file of code that an answer names.
    static func codeFile(_ answer: String, _ room: Classroom) throws -> CodeCheck.File? {
        try CodeCheck.File(answer) { try CodeTasks(folder: LessonFolder.path(), course: room.tutor.course) }
    }

    /// What a learner made: a trace or a model; without a name, the last trace.
    private static func made(_ answer: String, _ subject: Subject) throws -> Subject {
        let path = answer.trimmingCharacters(in: CharacterSet(charactersIn: " '\""))
        guard !path.isEmpty else {
            guard let last = LastTrace.path else {
                throw InputError("name the file you made: quipu lesson check FILE")
            }
            return try subject.made(at: last, isModel: false)
        }
        guard let start = PathKind.start(of: path, bytes: 4) else {
            throw InputError("\(path): found no such file, expected the trace or model you made. Check the path.")
        }
        let isModel = start == Data("GGUF".utf8)
        return try subject.made(at: URL(filePath: path).standardizedFileURL.path, isModel: isModel)
    }

    static func hint(_ room: inout Classroom) throws -> LessonTextReport {
        try report(try room.tutor.hint(), &room)
    }

    static func skip(_ room: inout Classroom) throws -> LessonTextReport {
        try report(try room.tutor.skip(), &room)
    }

    private static func report(_ hint: Tutor.Hint, _ room: inout Classroom) throws -> LessonTextReport {
        try room.save()
        let note = room.tutor.note(try room.tutor.lesson(), try room.tutor.question().0)
        return LessonTextReport(
            hint, text: room.typed(hint.text), after: hint.rung == nil ? try room.after() : [], isDue: note.due,
            isLoop: room.isLoop)
    }

    static func why(_ room: Classroom) throws -> LessonTextReport {
        let (lesson, (question, _)) = (try room.tutor.lesson(), try room.tutor.question())
        guard try room.tutor.isSettled() else {
            let prefix = room.isLoop ? "" : "quipu lesson "
            return LessonTextReport(
                why: "**What this is about.** \(lesson.idea) Why the question matters is said once it is answered; "
                    + "`\(prefix)hint` helps.", isLoop: room.isLoop)
        }
        let (why, way) = (
            try room.tutor.filled(question.why, lesson, question),
            try room.tutor.derivation(question, lesson)
        )
        return LessonTextReport(
            why: room.typed("**Why it matters.** \(why)\n\n**The whole way.** \(way)"), isLoop: room.isLoop)
    }

    static func cheatsheet(_ room: Classroom) throws -> [LessonCheatsheetReport.Row] {
        try room.tutor.course.lessons.flatMap { lesson in
            var seen: Set<String> = []
            return try lesson.questions.filter { room.tutor.note(lesson, $0).solved }.compactMap {
                question -> LessonCheatsheetReport.Row? in
                let command = try room.filled(question.yours, lesson, question)
                guard seen.insert(command).inserted else { return nil }
                return .init(
                    lesson: lesson.id, title: "\(lesson.number) \(lesson.title)", command: Classroom.own(command))
            }
        }
    }
}
