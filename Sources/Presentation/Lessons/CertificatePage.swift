import Lessons

/// A page to keep: what a learner answered, on which model, in HTML without anything from elsewhere.
public struct CertificatePage {
    private let tutor: Tutor
    private let tasks: CodeTasks
    private let name: String?

    public init(_ tutor: Tutor, _ tasks: CodeTasks, name: String?) {
        (self.tutor, self.tasks, self.name) = (tutor, tasks, name)
    }

    /// How many questions and code tasks are solved, of how many.
    public var solved: (Int, of: Int) {
        let notes =
            tutor.course.lessons.flatMap { lesson in lesson.questions.map { tutor.note(lesson, $0) } }
            + tasks.tasks.map { tutor.progress.questions[$0.key] ?? .init() }
        return (notes.count(where: \.solved), notes.count)
    }

    public func html() -> String {
        let (solved, count) = solved
        let model = tutor.progress.model
        var rows = tutor.course.lessons.map { lesson -> String in
            let notes = lesson.questions.map { tutor.note(lesson, $0) }
            return row("\(lesson.number)", lesson.title, lesson.idea, notes)
        }
        rows += tasks.tasks.map { row("code", $0.title, "", [tutor.progress.questions[$0.key] ?? .init()]) }
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Quipu: what was answered</title>
            <style>
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
            table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
            .done { color: #0a7a3a; } small { color: #666; }
            </style></head><body>
            <h1>\(name.map { "\(Self.escaped($0)): the" } ?? "The") course of Quipu</h1>
            <p>\(solved) of \(count) questions and tasks are solved. Nobody wrote the answers down: each was computed on the
            model at hand, <b>\(Self.escaped(model.map { Self.file($0.path) } ?? "none"))</b>
            (SHA-256 <small>\(Self.escaped(model?.sha256 ?? ""))</small>), with the text
            “\(Self.escaped(model?.prompt ?? ""))”.</p>
            <table><tr><th></th><th>Lesson</th><th>Solved</th><th>Tries</th><th>Hints</th><th>Last</th></tr>
            \(rows.joined(separator: "\n"))
            </table>
            </body></html>

            """
    }

    private func row(_ number: String, _ title: String, _ idea: String, _ notes: [LessonProgress.Question]) -> String {
        let solved = notes.count(where: \.solved)
        let mark = solved == notes.count ? " class=\"done\"" : ""
        let last = notes.compactMap(\.at).max().map { String($0.prefix(10)) } ?? ""
        return "<tr><td>\(number)</td><td><b>\(Self.escaped(title))</b><br><small>\(Self.escaped(idea))</small></td>"
            + "<td\(mark)>\(solved) of \(notes.count)</td><td>\(notes.reduce(0) { $0 + $1.attempts })</td>"
            + "<td>\(notes.reduce(0) { $0 + $1.hints })</td><td>\(Self.escaped(last))</td></tr>"
    }

    private static func file(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    private static func escaped(_ text: String) -> String {
        text.withoutControls.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
