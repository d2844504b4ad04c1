import Foundation
import Lessons

/// The explorer, opened on the trace of the lessons; when it is left, the lesson goes on.
enum LessonPlay {
    static func run(_ room: Classroom) throws {
        let process = Process()
        process.executableURL = URL(filePath: OwnProgram.path)
        process.arguments = ["step", room.tutor.progress.model!.trace]
        try process.run()
        process.waitUntilExit()
    }
}
