import Foundation
import Lessons
import Recording
import TestSupport

/// What the tests of lessons are about.
enum Samples {
    struct Traced: Sendable {
        /// Kept, so that the trace is.
        let folder: TemporaryFolder
        let subject: Subject
    }

    /// stories260K on a few words, recorded once.
    static let stories = Task {
        let folder = try TemporaryFolder()
        let path = try await Recorded(.stories, Capture(.all), in: folder).path
        return Traced(folder: folder, subject: try Subject(trace: path, model: TinyModel.stories.path))
    }

    /// A lesson with a question of each kind, on which grading is tried.
    static let text = """
        ---
        id: sample
        aliases: [older]
        title: A sample
        idea: To test with.
        minutes: 5
        let:
          x: trace("embd[:,1]")
        ---

        ## First

        The width is {{count(x)}}.

        ```run
        quipu show TRACE 'embd[0:4,1]'
        ```

        ```question
        id: size
        aliases: [length]
        ask: How large?
        answer: rms(x)
        tolerance: 1%
        mistakes:
          - says: The root is missing.
            answer: mean(x * x)
        hints: [where, "rms(x)", "sqrt({{mean(x * x)}}) = ?"]
        derivation: "{{rms(x)}}"
        why: It matters.
        yours: quipu show TRACE 'embd[:,1]'
        ```

        Afterwards.

        ## Second

        Nothing is asked.
        """

    static func question(_ yaml: String) throws -> Question {
        let hints = "hints: [a, b, c]\nderivation: d\nwhy: w\nyours: quipu inspect MODEL\n"
        return try course(
            "---\nid: q\ntitle: t\nidea: i\nminutes: 5\n---\n## S\n```question\nid: q\nask: a\n\(hints)\(yaml)\n```\n"
        )
        .lessons[0].questions[0]
    }

    static func course(_ lessons: String..., tracks: String = "") throws -> Course {
        let folder = try TemporaryFolder()
        try folder.write(
            "prompt: Once\ngenerate: 2\nlet:\n  shared: sql(\"SELECT n_embd FROM model\")\n" + tracks, to: "course.yml")
        for (number, text) in zip(1..., lessons) { try folder.write(text, to: "0\(number)-x.md") }
        return try Course(folder: folder.url.path)
    }
}
