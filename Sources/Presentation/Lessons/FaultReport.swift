import Lessons

/// Whether a learner found what was changed in a copy of the model.
public struct LessonFaultReport: Report {
    public let answer: String
    public let isRight: Bool
    public let says: String

    public init(_ verdict: FaultSearch.Verdict, answer: String) {
        self.answer = answer
        isRight = if case .right = verdict { true } else { false }
        says =
            switch verdict {
            case .right(let what): what
            case .unchanged(let name):
                "`\(name)` is as it was. The first operation in which the two runs differ reads what was changed, or is "
                    + "turned by it: `quipu diff right.db wrong.db`."
            case .unknown(let near):
                "There is no tensor and no metadata key of that name"
                    + (near.isEmpty ? "" : "; near are " + near.map { "`\($0)`" }.joined(separator: ", "))
                    + ". `quipu inspect` lists them."
            }
    }

    public func page(_ style: Style) -> String {
        LessonProse(text: (isRight ? "**Right.** " : "**No.** ") + says).lines(style).joined(separator: "\n")
    }
}
