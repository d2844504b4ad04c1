import Foundation
import Lessons
import Presentation
import Tensors

/// A lesson line by line: an answer, or one of a few words.
struct LessonLoop {
    private var room: Classroom

    init(_ room: Classroom) { self.room = room }

    private static let help = """
        An answer is checked. Other words: next, back (a step on, or back), hint, skip (shows the whole way, asks again \
        later), why, play (walks through the trace, from the operation that the step is about), redo, list, quit. A \
        line that begins with `quipu` is run, as in a shell.
        """

    mutating func run() throws {
        try show(try room.stepReport())
        while true {
            Terminal.write("\n> ")
            guard var line = readLine() else { return Terminal.write("\n") }
            // As in a shell; long commands are shown folded like this.
            while line.hasSuffix("\\"), let more = readLine() { line = line.dropLast() + more }
            let text = line.trimmingCharacters(in: .whitespaces)
            if ["quit", "exit", "q"].contains(text.lowercased()) { break }
            do {
                try obey(text)
            } catch let error as any InputProblem {
                try show(LessonTextReport(why: "\(error)", isLoop: true))
            }
        }
        Terminal.write("Kept. `quipu lesson start` goes on here.\n")
    }

    private mutating func obey(_ text: String) throws {
        switch text.lowercased() {
        case "": return
        case "?", "help": Terminal.write(LessonTextReport(why: Self.help, isLoop: true).page(room.style) + "\n")
        case "next": try move { (tutor: inout Tutor) throws(LessonError) in try tutor.next() }
        case "back": try move { (tutor: inout Tutor) throws(LessonError) in try tutor.back() }
        case "hint": try show(try LessonActions.hint(&room))
        case "skip": try show(try LessonActions.skip(&room))
        case "why": try show(try LessonActions.why(room))
        case "play":
            try PlayLesson.play(room, try StepOptions.parse(room.style.isColored ? ["--color", "always"] : []))
            try show(try room.stepReport())
        case "again", "goal": try show(try room.stepReport())
        case "list", "progress":
            let report = LessonListReport(
                room.tutor.course, room.tutor.progress, file: Classroom.progressPath, isDetailed: text == "progress")
            try show(report)
        case "redo":
            guard try room.tutor.redo(nil) else { return Terminal.write("Nothing was skipped.\n") }
            try move { (_: inout Tutor) throws(LessonError) in }
        default: try other(text)
        }
    }

    /// A lesson by name, a command, or an answer.
    private mutating func other(_ text: String) throws {
        let words = OwnProgram.words(text) ?? []
        switch words.first {
        case "quipu":
            let outcome = try OwnProgram.run(
                Array(words.dropFirst()) + (room.style.isColored ? ["--color", "always"] : []))
            Terminal.write(outcome.output + outcome.errors)
        case "start", "redo":
            guard words.count == 2 else { return Terminal.write("Which lesson? For example: start 3\n") }
            try move { (tutor: inout Tutor) throws(LessonError) in try tutor.start(words[1]) }
        case "check": try show(try LessonActions.check(words.dropFirst().joined(separator: " "), &room))
        default:
            if try room.tutor.step().question == nil {
                return Terminal.write("This step asks nothing. `next` goes on, `help` tells all words.\n")
            }
            try show(try LessonActions.check(text, &room))
        }
    }

    private mutating func move(
        _ body: (inout Tutor) throws(LessonError) -> Void
    ) throws {
        try body(&room.tutor)
        try room.save()
        try show(try room.stepReport())
    }

    private func show(_ report: some Report) throws { Terminal.write("\n" + report.page(room.style) + "\n") }
}
