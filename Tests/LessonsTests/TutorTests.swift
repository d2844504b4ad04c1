import Foundation
import Lessons
import TestSupport
import Testing

@Suite struct TutorTests {
    private func tutor(_ progress: LessonProgress = LessonProgress()) async throws -> Tutor {
        Tutor(
            course: try Samples.course(
                Samples.text, Samples.text.replacing("sample", with: "other").replacing("older", with: "o2")),
            subject: try await Samples.stories.value.subject, progress: progress)
    }

    @Test func stepsGoThroughAllLessons() async throws {
        var tutor = try await tutor()
        #expect(throws: LessonError.self) { try tutor.step() }
        try tutor.start(nil)
        #expect(try tutor.step().title == "First")
        #expect { try tutor.back() } throws: { "\($0)".contains("first step") }
        for title in ["Second", "First", "Second"] {
            try tutor.next()
            #expect(try tutor.step().title == title)
        }
        #expect(try tutor.lesson().id == "other")
        #expect { try tutor.next() } throws: { "\($0)".contains("last step") }
        try tutor.back()
        try tutor.back()
        #expect(try tutor.lesson().id == "sample" && tutor.step().title == "Second")
        #expect { try tutor.start("7") } throws: { "\($0)".contains("1 sample, 2 other") }
    }

    /// Those beside the track are passed over; one that is asked for by name is shown, and goes on by number.
    @Test func aTrackGoesThroughItsLessonsAlone() async throws {
        let texts = ["sample", "other", "third"].map {
            Samples.text.replacing("id: sample", with: "id: \($0)").replacing("older", with: "older-\($0)")
        }
        let tracks = "tracks:\n  short way: [sample, third]\n  long way: [sample, other]\n"
        let course = try Samples.course(texts[0], texts[1], texts[2], tracks: tracks)
        var tutor = Tutor(
            course: course, subject: try await Samples.stories.value.subject, progress: LessonProgress())
        try tutor.choose(track: "Short")
        try tutor.start(nil)
        for _ in 1...2 { try tutor.next() }
        #expect(try tutor.lesson().id == "third")
        try tutor.next()
        #expect(try tutor.isAtTheEnd())
        #expect { try tutor.next() } throws: { "\($0)".contains("last step") }
        for _ in 1...2 { try tutor.back() }
        #expect(try tutor.lesson().id == "sample")
        try tutor.start("other")
        for _ in 1...2 { try tutor.next() }
        #expect(try tutor.lesson().id == "third")
        for name in ["", "way", "o", "none"] {
            #expect { try tutor.choose(track: name) } throws: { "\($0)".contains("'long way', 'short way', 'all'") }
        }
        try tutor.choose(track: "all")
        #expect(tutor.way.count == 3)
    }

    @Test func aSentencesWholeWaySaysWhetherItIsTrue() async throws {
        let text = Samples.text.replacing(
            "answer: rms(x)\ntolerance: 1%\n", with: "kind: truth\nanswer: count(x) > 1e9\n"
        )
        .replacing("mistakes:\n  - says: The root is missing.\n    answer: mean(x * x)\n", with: "")
        var tutor = Tutor(
            course: try Samples.course(text), subject: try await Samples.stories.value.subject,
            progress: LessonProgress())
        try tutor.start(nil)
        #expect(try tutor.skip().text.hasPrefix("False. "))
    }

    @Test func hintsEndInTheWholeWayAndAreAskedAgain() async throws {
        var tutor = try await tutor()
        try tutor.start(nil)
        #expect(try [tutor.hint().rung, tutor.hint().rung] == [1, 2])
        let third = try tutor.hint()
        #expect(third.text.hasPrefix("sqrt(0.") && !third.text.contains("{{"))
        let way = try tutor.hint()
        #expect(way.rung == nil && Double(way.text) != nil)
        #expect(tutor.progress.questions["sample/size"]?.due == true)
        try tutor.next()
        #expect(try tutor.redo(nil))
        #expect(try tutor.step().title == "First")
        #expect(try tutor.redo(nil) == false)
        #expect(try tutor.check(way.text).outcome == .right)
        #expect(try tutor.redo("1"))
        #expect(tutor.progress.questions["sample/size"]?.solved == true)
        try tutor.reset("sample")
        #expect(tutor.progress.questions.isEmpty)
    }

    @Test func unreadableAnswersAreNoAttempts() async throws {
        var tutor = try await tutor()
        try tutor.start(nil)
        #expect(try tutor.check("what?").outcome == .unreadable)
        #expect(tutor.progress.questions["sample/size"] == nil)
        #expect(try tutor.check("12345").outcome == .wrong)
        #expect(tutor.progress.questions["sample/size"]?.attempts == 1)
    }

    /// Lessons and questions may be renamed; what this version does not know is kept.
    @Test func renamedLessonsKeepTheirProgress() async throws {
        var old = LessonProgress()
        old.lesson = "older"
        old.questions["older/length"] = .init()
        old.questions["older/length"]?.solved = true
        old.questions["future/question"] = .init()
        let tutor = try await tutor(old)
        #expect(try tutor.lesson().id == "sample")
        #expect(tutor.progress.questions["sample/size"]?.solved == true)
        #expect(tutor.progress.questions["older/length"] == nil)
        #expect(tutor.progress.questions["future/question"] != nil)
    }

    @Test func progressFilesGoThereAndBack() throws {
        let folder = try TemporaryFolder()
        var progress = LessonProgress()
        progress.lesson = "sample"
        progress.model = .init(path: "m", sha256: "ab", size: 3, modified: 4, prompt: "it's: \"x\"\n", trace: "t")
        progress.questions["sample/size"] = .init()
        progress.questions["sample/size"]?.attempts = 3
        try progress.write(folder.path("deep/progress.yml"))
        #expect(try LessonProgress.read(folder.path("deep/progress.yml")) == progress)
        #expect(try LessonProgress.read(folder.path("none.yml")) == LessonProgress())
        try folder.write("version: 99\nstep: 0\nquestions: {}\n", to: "new.yml")
        #expect { try LessonProgress.read(folder.path("new.yml")) } throws: { "\($0)".contains("found version 99") }
        for count in ["attempts: 9223372036854775807", "hints: -1", "reviews: -1", "mistakes: {a: -1}"] {
            let note =
                "{solved: true, due: false, \(count.contains("attempts") ? "" : "attempts: 0, ")"
                + "\(count.contains("hints") ? "" : "hints: 0, ")\(count)}"
            try folder.write("version: 1\nstep: 0\nquestions: {sample/size: \(note)}\n", to: "counts.yml")
            #expect { try LessonProgress.read(folder.path("counts.yml")) } throws: {
                "\($0)".contains("expected 0 to 1000000")
            }
        }
        for text in ["no: progress", "[1", "\u{0}"] {
            try folder.write(text, to: "bad.yml")
            #expect { try LessonProgress.read(folder.path("bad.yml")) } throws: {
                "\($0)".contains("no progress of lessons")
            }
        }
    }

    @Test func mergingNeverForgets() {
        var (a, b) = (LessonProgress(), LessonProgress())
        a.questions["x"] = .init()
        a.questions["x"]?.solved = true
        b.questions["x"] = .init()
        b.questions["x"]?.due = true
        b.questions["y"] = .init()
        (a.guesses, b.guesses) = (["p": "1"], ["p": "2", "q": "3"])
        (a.questions["x"]!.mistakes, b.questions["x"]!.mistakes) = (["one": 2], ["one": 1, "two": 1])
        b.questions["x"]!.reviews = 1
        a.merge(b)
        #expect(a.guesses == ["p": "1", "q": "3"])
        #expect(a.questions["x"]!.mistakes == ["one": 2, "two": 1] && a.questions["x"]!.reviews == 1)
        #expect(a.questions["x"]?.solved == true && a.questions["x"]?.due == false && a.questions["y"] != nil)
    }

    @Test(arguments: [
        ("no head", "expected YAML between"), ("---\nid: x\n---\n## S\n", "the key 'title' is missing"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\nanswer: 4\n---\n## S\n", "no key 'answer'"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\n---\n", "which begins with ##"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\n---\n## S\n{{1 +}}\n", "expected a value"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\n---\n## S\n```run\nls\n```\n", "expected `quipu …`"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\n---\n## S\n```run\nquipu\n", "is not closed"),
        ("---\nid: x\ntitle: t\nidea: i\nminutes: 5\n---\n## S\n```question\nid: q\n```\n", "missing"),
    ])
    func faultsOfLessonsAreNamed(text: String, message: String) {
        #expect { try Samples.course(text) } throws: { "\($0)".contains(message) && "\($0)".contains("01-x.md") }
    }

    @Test func idsAreUnique() {
        #expect { try Samples.course(Samples.text, Samples.text) } throws: { "\($0)".contains("'sample' is taken") }
        #expect { try Samples.course(Samples.text, tracks: "tracks:\n  short: [sample, smaple]\n") } throws: {
            "\($0)".contains("course.yml") && "\($0)".contains("found 'smaple' in 'short'")
        }
    }
}
