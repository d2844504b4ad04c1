import Lessons
import Presentation

/// What a code task is about: the learner's model and trace, or, where that lacks what the task needs, the model that the
/// task brings.
struct CodeSubject {
    let subject: Subject
    /// That it is not about the learner's.
    let note: String?

    init(_ task: CodeTask, _ room: Classroom) throws {
        let own = room.tutor.progress.model!
        let ownSubject = try room.ownSubject()
        let brought = try LessonProgram.model(task.model, needs: task.needs, file: task.file, insteadOf: own.path)
        let isFit = try brought == nil && task.holds(of: ownSubject)
        guard !isFit, let path = brought ?? task.model.map(LessonProgram.path), path != own.path else {
            (subject, note) = (ownSubject, nil)
            return
        }
        let model = try LessonRecording.prepared(
            for: nil, model: path, prompt: own.prompt, course: room.tutor.course, folder: Classroom.folder)
        subject = try LessonProgram.subject(model, folder: Classroom.folder)
        note = LessonStepReport.isAbout("task", path, insteadOf: own.path)
    }
}
