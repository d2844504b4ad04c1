import Foundation
import Recording
import Tensors
import Tokenization

/// What became of an answer.
public struct Verdict: Sendable, Equatable {
    public enum Outcome: String, Sendable, Encodable {
        case right, wrong
        /// Not read: says what is expected, and does not count as an attempt.
        case unreadable
    }
    public let outcome: Outcome
    /// Of a wrong answer: the mistake that gives it, if it is a known one; what else can be said, of a right one too.
    public let says: String?
    public let isKnownMistake: Bool

    static let right = Verdict.right(nil)
    static func right(_ says: String?) -> Verdict { Verdict(outcome: .right, says: says, isKnownMistake: false) }
    static func mistake(_ says: String) -> Verdict { Verdict(outcome: .wrong, says: says, isKnownMistake: true) }
    static func wrong(_ says: String?) -> Verdict { Verdict(outcome: .wrong, says: says, isKnownMistake: false) }
    static func unreadable(_ says: String) -> Verdict {
        Verdict(outcome: .unreadable, says: says, isKnownMistake: false)
    }
}

/// Compares answers with what queries give at that moment on the learner's model.
public struct Grader {
    /// What can be typed where a number is asked for.
    public static var calculator: String { AnswerReader.calculator }

    let evaluator: Evaluator
    /// The order of choices.
    let seed: String

    /// - Parameter seed: makes the order of choices: the same for the same learner and question.
    public init(_ evaluator: Evaluator, seed: String) { (self.evaluator, self.seed) = (evaluator, seed) }

    /// - Throws: `QueryProblem` if the question cannot be asked of this model.
    public func grade(_ answer: String, _ question: Question) throws(QueryProblem) -> Verdict {
        let text = answer.trimmingCharacters(in: .whitespacesAndNewlines)
        switch question.kind {
        case .number(let number): return try grade(number: text, number)
        case .truth(let truth):
            let (word, rest) = AnswerReader.head(text)
            guard let chosen = AnswerReader.truth(word) else {
                return .unreadable("Expected true or false, and the number: for example `true 1.5`.")
            }
            return try both(chosen == evaluator.value(truth).truth(for: "truth"), rest, question)
        case .choice, .sentences: return try gradeChoice(text, question)
        case .token(let query, let ranks): return try gradeToken(text, query, ranks, question)
        case .address(let query): return try gradeAddress(text, query, question)
        case .change(let holds, _): return try gradeChange(holds, question)
        }
    }

    // MARK: numbers

    private func grade(number text: String, _ question: Question.NumberAnswer) throws(QueryProblem) -> Verdict {
        guard let given = AnswerReader.number(text, unit: question.unit) else {
            let unit = question.unit.map { " in \($0)" } ?? ""
            return .unreadable("Expected a number\(unit), such as \(AnswerReader.calculator)")
        }
        return try grade(given, question)
    }

    func grade(_ given: Double, _ question: Question.NumberAnswer) throws(QueryProblem) -> Verdict {
        let answer = try evaluator.value(question.answer).number(for: "answer")
        let width = try question.tolerance.width(around: answer, evaluator)
        if abs(given - answer) <= width { return .right }
        for mistake in question.mistakes {
            guard let wrong = try? evaluator.value(mistake.answer).number(for: "mistake") else { continue }
            let margin = try question.tolerance.width(around: wrong, evaluator)
            if abs(given - wrong) <= margin { return .mistake(try mistake.says.filled(evaluator)) }
        }
        if let known = CommonMistake.named(given: given, answer: answer, width: width, question) {
            return .mistake(known)
        }
        if abs(given - answer) <= 10 * width {
            return .wrong("Very close. Was something rounded on the way? Keep more digits until the end.")
        }
        return .wrong(given < answer ? "That is too small." : "That is too large.")
    }

    /// A choice and its follow-up; which of the two is wrong is not told apart unless the number is a known mistake.
    private func both(_ isRight: Bool, _ rest: String, _ question: Question) throws(QueryProblem) -> Verdict {
        guard let then = question.then else { return isRight ? .right : .wrong(nil) }
        let second = try grade(number: rest, then.number)
        if second.outcome == .unreadable {
            return .unreadable("Two things are asked: first which, then a number. " + second.says!)
        }
        if isRight { return second }
        return .wrong(
            second.outcome == .right
                ? "The number is right. The first part is not: what does the number say about it?"
                : "Work out the number first; it decides the first part.")
    }

    /// Whether an answer is the first part of two: a letter, or true or false, and the number is still to come.
    public func isFirstPart(_ answer: String, _ question: Question) throws(QueryProblem) -> Bool {
        let text = answer.trimmingCharacters(in: .whitespacesAndNewlines)
        guard question.then != nil, !text.isEmpty else { return false }
        let (word, rest) = AnswerReader.head(text)
        if case .truth = question.kind { return AnswerReader.truth(word) != nil && rest.isEmpty }
        guard rest.isEmpty else { return false }
        return Self.index(of: word, in: try choices(question)) != nil
    }

    /// Whether choices are numbers: they need no letters.
    public static func areNumbers(_ choices: [String]) -> Bool {
        !choices.isEmpty && choices.allSatisfy { Double($0) != nil }
    }

    /// Which choice a word names: its text, or its letter.
    private static func index(of word: String, in choices: [String]) -> Int? {
        let word = AnswerReader.bare(word).lowercased()
        return choices.firstIndex { AnswerReader.bare($0).lowercased() == word }
            ?? choices.indices.first { letter($0) == word.trimmingCharacters(in: .punctuationCharacters) }
    }

    private static func letter(_ index: Int) -> String { String(UnicodeScalar(UInt8(97 + index))) }

    // MARK: choices

    /// The choices in this learner's order.
    public func choices(_ question: Question) throws(QueryProblem) -> [String] {
        try sortedChoices(question).map(\.text)
    }

    private struct Choice {
        let text: String
        let isRight: Bool
        let says: Template?
    }

    private func sortedChoices(_ question: Question) throws(QueryProblem) -> [Choice] {
        var order = StableOrder(seed + question.id)
        var choices: [Choice] = []
        switch question.kind {
        case .choice(let answer, let among):
            let right = try evaluator.value(answer).plain
            var others: [String] = []
            for mistake in question.mistakes { others.append(try evaluator.value(mistake.answer).plain) }
            let rest: [String] =
                switch try evaluator.value(among) {
                case .texts(let texts): texts
                case .numbers(let numbers): numbers.map(Value.plain)
                case let single: [single.plain]
                }
            others += order.shuffled(rest)
            var seen: Set<String> = [right]
            choices = others.filter { seen.insert($0).inserted }.prefix(3).map {
                Choice(text: $0, isRight: false, says: nil)
            }
            choices.append(Choice(text: right, isRight: true, says: nil))
        case .sentences(let sentences):
            for sentence in sentences {
                choices.append(
                    Choice(
                        text: try sentence.text.filled(evaluator),
                        isRight: try evaluator.value(sentence.when).truth(for: "when"), says: sentence.says))
            }
        default: break
        }
        return order.shuffled(choices)
    }

    private func gradeChoice(_ text: String, _ question: Question) throws(QueryProblem) -> Verdict {
        let choices = try sortedChoices(question)
        let (word, rest) = AnswerReader.head(text)
        let texts = choices.map(\.text)
        guard let index = Self.index(of: question.then == nil ? text : word, in: texts) else {
            let expected = Self.areNumbers(texts) ? texts : choices.indices.map(Self.letter)
            return .unreadable("Expected one of \(expected.joined(separator: ", ")).")
        }
        let chosen = choices[index]
        if !chosen.isRight {
            if let says = chosen.says { return .mistake(try says.filled(evaluator)) }
            for mistake in question.mistakes where (try? evaluator.value(mistake.answer).plain) == chosen.text {
                return .mistake(try mistake.says.filled(evaluator))
            }
        }
        return try both(chosen.isRight, rest, question)
    }

    // MARK: tokens, addresses, changes

    private func gradeToken(
        _ text: String, _ query: Query, _ ranks: Query?, _ question: Question
    ) throws(QueryProblem) -> Verdict {
        if text.isEmpty { return .unreadable("Expected a token: its id, or its text.") }
        func isMeant(_ query: Query) throws(QueryProblem) -> Bool {
            let id = try evaluator.value(query).integer(for: "token")
            let piece = try QuerySource.piece(evaluator.subject, [.number(Double(id))]).text(for: "piece")
            return Int(text) == id || AnswerReader.bare(text) == AnswerReader.bare(piece)
        }
        if try isMeant(query) {
            return .right(try ranks.flatMap { (query) throws(QueryProblem) in try standing(text, query) }?.says)
        }
        for mistake in question.mistakes where (try? isMeant(mistake.answer)) == true {
            return .mistake(try mistake.says.filled(evaluator))
        }
        let found = try ranks.flatMap { (query) throws(QueryProblem) in try standing(text, query) }
        return .wrong(found.map { $0.says + ($0.rank == nil ? "" : " Which one is number 1?") })
    }

    /// Where a token stands in the model's own order (from 1; `nil` if there is no such token), and how probable it is.
    private func standing(_ text: String, _ ranks: Query) throws(QueryProblem) -> (rank: Int?, says: String)? {
        let scores = try evaluator.value(ranks).numbers(for: "ranks")
        let tokenizer: Tokenizer
        do { tokenizer = try Tokenizer(metadata: evaluator.subject.file.metadata) } catch { return nil }
        let vocabulary = tokenizer.vocabulary
        let wanted = AnswerReader.bare(text)
        let found =
            Int(text)
            ?? scores.indices.filter { AnswerReader.bare(vocabulary.displayPiece($0)) == wanted }
            .max { scores[$0] < scores[$1] }
        guard let id = found, scores.indices.contains(id) else {
            return (nil, "Your model's vocabulary has no such piece. `quipu tokenize` shows how a text is cut.")
        }
        let rank = scores.count { $0 > scores[id] } + 1
        let top = scores.max() ?? 0
        let share = exp(scores[id] - top) / scores.reduce(0) { $0 + exp($1 - top) }
        return (
            rank,
            "‹\(vocabulary.displayPiece(id))› is number \(rank) of \(scores.count) for your model, with a probability of "
                + "\(Template.Form.significant(100 * share, 3)) %."
        )
    }

    private func gradeAddress(_ text: String, _ query: Query, _ question: Question) throws(QueryProblem) -> Verdict {
        let given: AddressedElements
        do {
            given = try AddressedElements(text, evaluator.subject)
        } catch {
            return .unreadable("\(error)")
        }
        func elements(_ query: Query) throws(QueryProblem) -> AddressedElements {
            let text = try evaluator.value(query).text(for: "address")
            do { return try AddressedElements(text, evaluator.subject) } catch {
                throw .source(call: text, message: "\(error)")
            }
        }
        if try elements(query) == given { return .right }
        for mistake in question.mistakes where (try? elements(mistake.answer)) == given {
            return .mistake(try mistake.says.filled(evaluator))
        }
        return .wrong(nil)
    }

    /// An operation and ranges of it: two spellings of one address are equal.
    private struct AddressedElements: Equatable {
        let operation: Int
        let ranges: [Range<Int>]

        init(_ text: String, _ subject: Subject) throws {
            guard let (store, run) = subject.recording else {
                throw QueryProblem.source(call: text, message: "there is no trace")
            }
            let address = try TensorAddress(text.trimmingCharacters(in: CharacterSet(charactersIn: "'\" ")))
            let found = try store.operation(address, run: run, step: 0)
            (operation, ranges) = (found.id, try address.ranges(in: found.shape))
        }
    }

    private func gradeChange(_ holds: Query, _ question: Question) throws(QueryProblem) -> Verdict {
        if try evaluator.value(holds).truth(for: "holds") { return .right }
        for mistake in question.mistakes where (try? evaluator.value(mistake.answer)) == .truth(true) {
            return .mistake(try mistake.says.filled(evaluator))
        }
        return .wrong(nil)
    }
}
