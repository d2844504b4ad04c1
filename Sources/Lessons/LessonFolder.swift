import ProgramFiles

/// The lessons that come with the program.
public enum LessonFolder {
    private static let folder = ProgramFolder("lessons", target: "Lessons", resource: "lessons")

    /// - Throws: `ProgramFileMissing` if it is not there.
    public static func path() throws(ProgramFileMissing) -> String {
        let course = try folder.path(of: Course.headFile)
        return String(course.dropLast(Course.headFile.count + 1))
    }
}
