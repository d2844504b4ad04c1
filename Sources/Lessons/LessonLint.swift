import Foundation

/// Proves lessons on models: that every question can be asked, answered and missed.
///
/// What depends on the model, such as whether a mistake can be told from the right answer, must hold on one model at
/// least; all else on each.
public struct LessonLint {
    public struct Problem: Sendable, Encodable, Hashable {
        public let lesson: String
        /// `nil`: of the lesson as a whole.
        public let question: String?
        /// `nil`: on every model.
        public let model: String?
        public let says: String
    }

    /// A lesson's command line, without `quipu`, and where `OUT` is; gives what is wrong with it, or `nil`.
    public typealias Runner = (_ line: String, _ out: String?) throws -> String?

    let course: Course
    public internal(set) var problems: [Problem] = []
    /// The longest check of an answer.
    public internal(set) var slowest: Duration = .zero
    public internal(set) var answersChecked = 0
    /// Evaluations of what is said only where it is true.
    public internal(set) var claimsChecked = 0
    /// Mistakes that give the right answer on the only model that their lesson was tried on; another model may tell.
    public internal(set) var mistakesNotTold = 0
    /// Questions that zero or a number of the text answers on a model, though not on most of those that they were tried on.
    public internal(set) var questionsGuessed = 0
    /// By lesson and question: what was accepted, a list for each model where something was.
    private var guesses: [String: [[String]]] = [:]
    /// Mistakes seen to be named, by lesson, question and index; of the follow-up behind those of the question.
    private var named: Set<String> = []
    /// By lesson: how many models it was tried on.
    private var tried: [String: Int] = [:]

    /// How much processor time checking an answer may take.
    static let limit = Duration.seconds(2)

    /// Processor time of this process so far: on a busy machine a check takes no more of it. POSIX counts in microseconds.
    static var processorTime: Duration { .microseconds(clock()) }

    public init(_ course: Course) {
        self.course = course
        for lesson in course.lessons { checkForm(lesson) }
    }

    // MARK: without a model

    private mutating func checkForm(_ lesson: Lesson) {
        func report(_ question: Question?, _ says: String) {
            problems.append(Problem(lesson: lesson.id, question: question?.id, model: nil, says: says))
        }
        if !(5...10).contains(lesson.minutes) { report(nil, "takes \(lesson.minutes) minutes; expected 5 to 10") }
        if lesson.questions.isEmpty { report(nil, "asks nothing") }
        for question in lesson.questions {
            if question.hints.count < 3 { report(question, "has \(question.hints.count) hints; expected 3 or more") }
            if !question.yours.text.hasPrefix("quipu ") { report(question, "`yours` is no quipu command") }
            for (key, text) in [("ask", question.ask), ("why", question.why), ("derivation", question.derivation)]
            where text.text.isEmpty { report(question, "`\(key)` is empty") }
            if question.name == "truth", question.then == nil {
                report(question, "can be guessed: true or false needs a number with it, `then`")
            }
            for query in question.answers where !asksTheModel(query, lesson) {
                report(question, "`\(query.text)` asks neither model nor trace: the file holds its answer")
            }
        }
        for line in lesson.fencedLines where line.count > 76 { report(nil, "a line in a fence is too wide: \(line)") }
    }

    /// Whether a query depends on the model, directly or by the names it uses.
    private func asksTheModel(_ query: Query, _ lesson: Lesson, _ depth: Int = 0) -> Bool {
        query.asksTheModel
            || depth < 20
                && query.names.contains { name in
                    lesson.definitions[name].map { asksTheModel($0, lesson, depth + 1) } ?? false
                }
    }

    // MARK: on a model

    /// Checks lessons on a model and its trace.
    ///
    /// - Parameters:
    ///   - lessons: which; all if left out.
    ///   - out: makes a path for what a solution writes.
    public mutating func check(
        _ subject: Subject, lessons: [Lesson]? = nil, run: Runner, out: () -> String
    ) {
        for lesson in lessons ?? course.lessons {
            tried[lesson.id, default: 0] += 1
            checkTexts(lesson, subject, run)
            checkClaims(lesson, subject)
            let plainNumbers = lesson.plainNumbers
            for question in lesson.questions {
                var check = QuestionLint(
                    lesson: lesson, question: question, subject: subject, plainNumbers: plainNumbers)
                check.run(run, out: out)
                problems += check.problems.map {
                    Problem(lesson: lesson.id, question: question.id, model: subject.file.path, says: $0)
                }
                if !check.guesses.isEmpty { guesses["\(lesson.id)/\(question.id)", default: []].append(check.guesses) }
                named.formUnion(check.named.map { "\(lesson.id)/\(question.id)/\($0)" })
                answersChecked += check.answersChecked
                slowest = max(slowest, check.slowest)
            }
        }
    }

    /// Prose must fill in, commands must run.
    private mutating func checkTexts(_ lesson: Lesson, _ subject: Subject, _ run: Runner) {
        let evaluator = Evaluator(subject, definitions: lesson.definitions)
        func report(_ says: String) {
            problems.append(Problem(lesson: lesson.id, question: nil, model: subject.file.path, says: says))
        }
        for step in lesson.steps {
            for passage in step.passages {
                do {
                    switch passage {
                    case .prose(let template): _ = try template.filled(evaluator)
                    case .commands(let lines):
                        for line in lines {
                            let line = try line.filled(evaluator)
                            if let fault = try run(line, nil) { report("`quipu \(line)`: \(fault)") }
                        }
                    case .prediction(let guess):
                        _ = try guess.ask.filled(evaluator)
                        _ = try guess.answer.filled(evaluator)
                    case .question: break
                    }
                } catch {
                    report("step '\(step.title)': \(error)")
                }
            }
        }
    }

    /// What is said must be true.
    private mutating func checkClaims(_ lesson: Lesson, _ subject: Subject) {
        let evaluator = Evaluator(subject, definitions: lesson.definitions)
        for (question, template) in lesson.templates {
            for claim in template.claims {
                claimsChecked += 1
                let says: String
                do {
                    if try evaluator.value(claim.check).truth(for: "{{? }}") || claim.otherwise != nil { continue }
                    says = "not true here: \(claim.plainText.inOneLine.prefix(90)) (`\(claim.check.text)`)"
                } catch {
                    says = "'\(claim.plainText.inOneLine.prefix(60))': \(error)"
                }
                problems.append(
                    Problem(lesson: lesson.id, question: question?.id, model: subject.file.path, says: says))
            }
        }
    }

    /// Call when all models were checked: reports the mistakes that can be told from the answer on none of them, and the
    /// questions that can be guessed on half of them. Where a lesson was tried on one model that it did not bring itself,
    /// both are only counted: it may be chance.
    public mutating func finish() {
        for lesson in course.lessons {
            guard let tried = tried[lesson.id] else { continue }
            let isCertain = tried > 1 || lesson.model != nil && lesson.needs.isEmpty
            for question in lesson.questions {
                func report(_ says: String) {
                    problems.append(Problem(lesson: lesson.id, question: question.id, model: nil, says: says))
                }
                let key = "\(lesson.id)/\(question.id)"
                for (index, mistake) in question.allMistakes.enumerated() where !named.contains("\(key)/\(index)") {
                    guard isCertain else {
                        mistakesNotTold += 1
                        continue
                    }
                    let models = tried == 1 ? "no model" : "none of \(tried) models"
                    report("on \(models) is this mistake told from the answer: \(mistake.says.text.prefix(60))")
                }
                guard let found = guesses[key] else { continue }
                guard isCertain, found.count * 2 >= tried else {
                    questionsGuessed += 1
                    continue
                }
                let models = tried == 1 ? "its model" : "\(found.count) of \(tried) models"
                report(
                    "can be guessed: on \(models) zero, or a number of the lesson's text, is accepted: "
                        + "'\(found[0].sorted().joined(separator: "', '"))'")
            }
        }
    }
}

extension Question {
    /// Queries that decide what is right.
    var answers: [Query] {
        let own: [Query] =
            switch kind {
            case .number(let number): [number.answer]
            case .choice(let answer, _), .token(let answer, _), .address(let answer), .truth(let answer): [answer]
            case .sentences(let sentences): sentences.map(\.when)
            case .change(let holds, _): [holds]
            }
        return own + [then?.number.answer].compactMap { $0 }
    }

    /// All texts but those of sentences to choose from, of which one is true at most.
    var templates: [Template] {
        [ask, derivation, why, yours] + hints + allMistakes.map(\.says) + [then?.ask].compactMap { $0 }
    }

    var allMistakes: [Mistake] { mistakes + (then?.number.mistakes ?? []) }
}

extension String {
    fileprivate var inOneLine: String { split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}

extension Lesson {
    /// How many sentences carry a check, and how many values are filled in.
    public var claims: Int { templates.reduce(0) { $0 + $1.1.claims.count } }
    public var filledValues: Int { templates.reduce(0) { $0 + $1.1.filledValues } }

    /// Lines that are shown as they are.
    fileprivate var fencedLines: [Substring] {
        var (lines, isFenced) = ([Substring](), false)
        for step in steps {
            for case .prose(let template) in step.passages {
                for line in template.text.split(separator: "\n") {
                    if line.hasPrefix("```") { isFenced.toggle() } else if isFenced { lines.append(line) }
                }
            }
        }
        return lines
    }

    /// All that a learner can read in the file, without queries.
    var plainTexts: [String] { templates.map(\.1.plainText) + [idea] }

    /// All texts, each with the question that it belongs to.
    var templates: [(Question?, Template)] {
        steps.flatMap(\.passages).flatMap { passage -> [(Question?, Template)] in
            switch passage {
            case .prose(let template): [(nil, template)]
            case .commands(let lines): lines.map { (nil, $0) }
            case .question(let question): question.templates.map { (question, $0) }
            case .prediction(let guess): [(nil, guess.ask), (nil, guess.answer)]
            }
        }
    }

    /// Numbers that stand by themselves in the text: no part of a name such as `Q4_0`, of an address or of a range.
    var plainNumbers: Set<String> {
        var numbers: Set<String> = []
        for text in plainTexts {
            for match in text.matches(of: /(^|[\s(=×*\/+])(-?\d[\d,]*(\.\d+)?(e-?\d+)?)(?=$|[\s).,;:?!%×*\/+])/) {
                numbers.insert(String(match.output.2))
            }
        }
        return numbers
    }
}
