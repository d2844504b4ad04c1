import Foundation

/// The lessons that come with the program: SwiftPM copies them into a folder beside the executable.
public enum LessonFolder {
    /// Whether they are there is for `Course` to say.
    public static let path: String = {
        #if os(Linux)
            let name = "quipu_Lessons.resources"
        #else
            let name = "quipu_Lessons.bundle"
        #endif
        let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
        return program.resolvingSymlinksInPath().deletingLastPathComponent().appending(path: name)
            .appending(path: "lessons").path
    }()
}
