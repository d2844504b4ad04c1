import Foundation

extension Tutor {
    /// Days after which a question is asked again: after it was solved, after the first review, and so on.
    static let intervals = [1, 3, 7, 16, 35, 90]

    /// A question that was solved, and when it is to be asked again.
    public struct Review: Sendable {
        public let lesson: Lesson
        public let question: Question
        public let reviews: Int
        public let due: Date
    }

    /// All solved questions, the one that is due first in front. Tasks that make a file are left out: they take longer than
    /// a question, and leave files.
    public func reviews() -> [Review] {
        course.lessons.flatMap { lesson in
            lesson.questions.compactMap { question -> Review? in
                if case .change = question.kind { return nil }
                let note = note(lesson, question)
                guard note.solved, let text = note.at, let at = try? Date(text, strategy: .iso8601) else { return nil }
                let reviews = note.reviews ?? 0
                let days = Self.intervals[min(reviews, Self.intervals.count - 1)]
                return Review(
                    lesson: lesson, question: question, reviews: reviews,
                    due: at.addingTimeInterval(Double(days) * 86400))
            }
        }.sorted { $0.due < $1.due }
    }

    /// Asks a solved question again; what was to be guessed before it is passed over.
    public mutating func begin(_ review: Review) {
        guard let step = review.lesson.steps.firstIndex(where: { $0.question?.id == review.question.id }) else {
            return
        }
        (progress.lesson, progress.step) = (review.lesson.id, step)
        let key = "\(review.lesson.id)/\(review.question.id)"
        progress.questions[key]?.due = true
        progress.questions[key]?.hints = 0
        _ = try? passesPrediction()
    }

    /// Another text than the one that the questions are about now: the next of the course's.
    public func otherPrompt() -> String {
        let all = course.texts
        guard let index = all.firstIndex(of: progress.model?.prompt ?? course.prompt) else { return all[0] }
        return all[(index + 1) % all.count]
    }
}

/// What a class has done, from files that its learners exported.
public struct ClassRoll: Sendable {
    public struct Learner: Sendable {
        /// The file's name, without its ending; `a.yml` and `a.yaml` have the same.
        public let name: String
        public let progress: LessonProgress
    }

    public struct Missed: Sendable {
        public let question: String
        public let says: String
        public let learners: Int
        public let times: Int
    }

    public let learners: [Learner]
    /// Files that are no progress, and why.
    public let refused: [(file: String, why: String)]

    public init(folder: String) throws(LessonError) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw .noClass(path: folder)
        }
        var (learners, refused) = ([Learner](), [(file: String, why: String)]())
        for name in names.sorted() where name.hasSuffix(".yml") || name.hasSuffix(".yaml") {
            let path = folder + "/" + name
            guard FileManager.default.fileExists(atPath: path) else {
                refused.append((name, "\(path): this is a link to a file that is not there."))
                continue
            }
            do {
                let progress = try LessonProgress.read(path)
                learners.append(Learner(name: (name as NSString).deletingPathExtension, progress: progress))
            } catch .badProgress(let path, let reason) {
                // What a learner is told to do with it is not a teacher's to do.
                refused.append((name, "\(path): this is no progress of lessons: \(reason)."))
            } catch {
                refused.append((name, "\(error)"))
            }
        }
        (self.learners, self.refused) = (learners, refused)
    }

    /// Mistakes, those that most learners made first.
    public var missed: [Missed] {
        var found: [String: (question: String, says: String, learners: Int, times: Int)] = [:]
        for learner in learners {
            for (question, note) in learner.progress.questions {
                for (says, times) in note.mistakes ?? [:] {
                    var entry = found[question + "\n" + says] ?? (question, says, 0, 0)
                    (entry.learners, entry.times) = (entry.learners + 1, entry.times + times)
                    found[question + "\n" + says] = entry
                }
            }
        }
        return found.values.map { Missed(question: $0.question, says: $0.says, learners: $0.learners, times: $0.times) }
            .sorted { ($1.learners, $1.times, $0.question) < ($0.learners, $0.times, $1.question) }
    }

    /// A text for each learner, so that answers differ: the course's in turn.
    public func prompts(_ course: Course) -> [String] {
        learners.indices.map { course.texts[$0 % course.texts.count] }
    }
}
