/// A question of a lesson: how its answer is found, never the answer.
public struct Question: Sendable {
    public enum Kind: Sendable {
        case number(NumberAnswer)
        /// One of several texts or numbers, of which a query gives the right one and another query the others.
        case choice(answer: Query, among: Query)
        /// One of several sentences, each with the condition under which it is the right one.
        case sentences([Sentence])
        /// A token, by id or text. `ranks`: a score of every token, by which a wrong one is placed.
        case token(Query, ranks: Query?)
        /// An address in a trace, such as `Qcur-0[3,1]`.
        case address(Query)
        case truth(Query)
        /// Make a trace or a model of which something holds; `solution` are commands that do it, writing to `OUT`.
        case change(holds: Query, solution: [Template])
    }

    public struct Sentence: Sendable {
        public let text: Template
        public let when: Query
        /// What to say to who chooses it wrongly.
        public let says: Template?
    }

    /// A mistake that people make, made again.
    public struct Mistake: Sendable {
        public let says: Template
        /// What who makes it answers; of a change, whether it was made.
        public let answer: Query
    }

    /// A number, how exact it must be, and mistakes.
    public struct NumberAnswer: Sendable {
        public let answer: Query
        public let tolerance: Tolerance
        public let unit: String?
        public let mistakes: [Mistake]
    }

    /// A number asked for together with a choice, so that guessing does not help.
    public struct FollowUp: Sendable {
        public let ask: Template
        public let number: NumberAnswer
    }

    /// Unique in its lesson, and kept for good.
    public let id: String
    /// Ids it had before.
    public let aliases: [String]
    public let kind: Kind
    public let ask: Template
    public let mistakes: [Mistake]
    public let then: FollowUp?
    /// Where to look; the formula; the formula with the learner's numbers, the last operation left out.
    public let hints: [Template]
    public let derivation: Template
    /// Why it matters; said after success.
    public let why: Template
    /// The one command that does it on a model of one's own.
    public let yours: Template

    public var name: String {
        switch kind {
        case .number: "number"
        case .choice, .sentences: "choice"
        case .token: "token"
        case .address: "address"
        case .truth: "truth"
        case .change: "change"
        }
    }
}

/// How far an answer may be off.
public enum Tolerance: Sendable, Equatable {
    /// Whole numbers and what is stored exactly: only the rounding of decimal digits is forgiven.
    case exact
    /// A share of the answer.
    case relative(Double)
    case absolute(Query)

    /// `exact`, `1%` or a query.
    init(_ text: String) throws(QueryProblem) {
        if text == "exact" {
            self = .exact
        } else if text.hasSuffix("%"), let percent = Double(text.dropLast()) {
            self = .relative(percent / 100)
        } else {
            self = .absolute(try Query(text))
        }
    }

    /// In the answer's unit.
    func width(around answer: Double, _ evaluator: Evaluator) throws(QueryProblem) -> Double {
        switch self {
        case .exact: 1e-6 * abs(answer)
        case .relative(let share): share * abs(answer)
        case .absolute(let query): try evaluator.value(query).number(for: "tolerance")
        }
    }
}
