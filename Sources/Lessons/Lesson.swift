/// One lesson: a few steps about one idea.
public struct Lesson: Sendable {
    /// What a step is made of, in the order of reading.
    public enum Passage: Sendable {
        case prose(Template)
        /// Commands without `quipu`; `MODEL` and `TRACE` stand for the learner's.
        case commands([Template])
        case question(Question)
        /// What the learner is asked to guess before the rest of the step is shown; not graded.
        case prediction(Prediction)
    }

    /// A guess: what is asked, and what the model says.
    public struct Prediction: Sendable {
        /// Unique in its lesson.
        public let id: String
        public let ask: Template
        public let answer: Template
    }

    public struct Step: Sendable {
        public let title: String
        public let passages: [Passage]

        public var question: Question? {
            for case .question(let question) in passages { return question }
            return nil
        }

        public var prediction: Prediction? {
            for case .prediction(let prediction) in passages { return prediction }
            return nil
        }

        /// What is read before answering, and what is shown afterwards.
        public var beforeAnswer: [Passage] { Array(passages.prefix { if case .question = $0 { false } else { true } }) }
        public var afterAnswer: [Passage] { Array(passages.dropFirst(beforeAnswer.count + 1)) }
    }

    /// Kept for good; progress refers to it.
    public let id: String
    public let aliases: [String]
    /// The number in the course, from 1, with which its file's name begins.
    public let number: Int
    public let title: String
    public let idea: String
    public let minutes: Int
    /// The word, as in commands, for a model that comes with the program: the lesson is about it, unless the learner's is
    /// of the same architecture, or has what it needs. `nil`: about whichever the learner has.
    public let model: String?
    /// What a file must have for the lesson to be about it: an architecture, tensors, metadata keys without the architecture.
    /// `*` stands for each block, `|` between what may stand for each other, `!` before what it must lack. Empty: the
    /// architecture of `model`.
    public let needs: [String]
    /// Whether it is about that model in any case.
    public let isAboutIt: Bool
    /// What names in its queries stand for, those of the course included.
    public let definitions: [String: Query]
    public let steps: [Step]
    /// For messages.
    public let file: String

    public var questions: [Question] { steps.compactMap(\.question) }
}
