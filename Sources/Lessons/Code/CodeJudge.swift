import Foundation

/// Compares what a learner's function gave with what it must give, and with what known mistakes give.
public struct CodeJudge {
    private let cases: CodeCases
    private let task: CodeTask
    private let measure: CodeMeasure

    public init(_ cases: CodeCases) {
        (self.cases, task) = (cases, cases.task)
        measure = CodeMeasure(tolerance: task.tolerance, offByOne: task.offByOne)
    }

    /// - Parameters:
    ///   - run: of the learner's file.
    ///   - wrong: runs the known mistakes; called if they are needed.
    public func verdict(_ run: CodeRun, wrong: () throws -> CodeRun) rethrows -> CodeVerdict {
        if let fault = run.fault { return refused(Self.words(fault)) }
        guard let outcomes = run.functions[task.function] else {
            let known =
                run.defines.isEmpty ? "It defines none." : "It defines " + run.defines.joined(separator: ", ") + "."
            return refused("The file has no function `\(task.function)`. \(known)")
        }
        guard outcomes.count == cases.answers.count else {
            return refused("Its results were written by something else.")
        }
        let right = outcomes.indices.filter { isRight(outcomes[$0], $0) }
        guard right.count < outcomes.count else {
            return CodeVerdict(
                isRight: true, says: nil, isKnownMistake: false, right: right.count, cases: outcomes.count)
        }
        let first = outcomes.indices.first { !right.contains($0) }!
        func verdict(_ says: String, isKnown: Bool) -> CodeVerdict {
            CodeVerdict(
                isRight: false, says: says, isKnownMistake: isKnown, right: right.count, cases: outcomes.count)
        }
        guard case .array(let numbers, let shape) = outcomes[first] else {
            return verdict(noNumbers(outcomes[first], first), isKnown: true)
        }
        if let says = known(outcomes, try wrong()) { return verdict(says, isKnown: true) }
        let row = cases.answers[first].shape.last
        if let says = CodeMistake.named(
            numbers, shape, cases.answers[first], isEqual: { measure.isEqual($0, $1, row: row) })
        {
            return verdict(says, isKnown: true)
        }
        if let says = alike(outcomes) { return verdict(says, isKnown: true) }
        return verdict(place(numbers, shape, cases.answers[first], first), isKnown: false)
    }

    private func refused(_ says: String) -> CodeVerdict {
        CodeVerdict(isRight: false, says: says, isKnownMistake: false, right: 0, cases: task.cases)
    }

    private static func words(_ fault: CodeRun.Fault) -> String {
        let place = fault.line.map { " in line \($0)" } ?? ""
        let says = fault.says.isEmpty ? "." : ": \(fault.says)"
        switch fault.kind {
        case CodeRun.Fault.isUnwritten:
            return "The function is still as it was written: fill it in\(place.isEmpty ? "" : ",\(place)")."
        case "MemoryError": return "It asked for more memory than it may have\(place)\(says)"
        case CodeRun.Fault.isExit:
            return "It ended the program\(place). A function gives its result back with `return`."
        default: return "\(fault.kind)\(place)\(says)"
        }
    }

    private func noNumbers(_ outcome: CodeRun.Outcome, _ index: Int) -> String {
        let answer = cases.answers[index]
        switch outcome {
        case .fault(let fault): return Self.words(fault)
        case .other("None"): return "It gives nothing back. Is there a `return`, on every way through the function?"
        case .other(let kind):
            let expected = Self.words(answer.shape) + (answer.shape.isEmpty ? "" : " of numbers")
            return "It gives back something of type \(kind); expected \(expected)."
        case .array: return ""
        }
    }

    static func words(_ shape: [Int]) -> String {
        shape.isEmpty ? "one number" : "an array of shape (\(shape.map(String.init).joined(separator: ", ")))"
    }

    /// What makes the answers of all calls together into what was given: of a task that gives one number, a factor shows only
    /// there.
    private func alike(_ outcomes: [CodeRun.Outcome]) -> String? {
        var (found, right) = ([Double](), [Double]())
        for (outcome, answer) in zip(outcomes, cases.answers) {
            guard case .array(let numbers, answer.shape) = outcome else { return nil }
            found += numbers
            right += answer.numbers
        }
        return CodeMistake.scaled(found, right) { measure.isEqual($0, $1, row: nil) }
    }

    // MARK: equal

    private func isRight(_ outcome: CodeRun.Outcome, _ index: Int) -> Bool {
        guard case .array(let numbers, let shape) = outcome else { return false }
        let answer = cases.answers[index]
        return shape == answer.shape && measure.isEqual(numbers, answer.numbers, row: shape.last)
    }

    /// What the known mistake says that fits best: it gives the same in every case, or in all but one, and not what is right
    /// there. One may differ: a block of zeros, say, which some divide by and others do not.
    private func known(_ outcomes: [CodeRun.Outcome], _ wrong: CodeRun) -> String? {
        var best: (name: String, same: Int, distance: Double)?
        for (name, mistaken) in wrong.functions.sorted(by: { $0.key < $1.key }) where mistaken.count == outcomes.count {
            let same = mistaken.indices.filter { isSame(outcomes[$0], mistaken[$0], $0) }
            guard same.count >= max(1, mistaken.count - 1), same.contains(where: { !isRight(mistaken[$0], $0) }) else {
                continue
            }
            let distance = same.reduce(0) { $0 + self.distance(outcomes[$1], mistaken[$1]) }
            if let best, (best.same, -best.distance) >= (same.count, -distance) { continue }
            best = (name, same.count, distance)
        }
        return best.flatMap { wrong.says[$0.name] }?.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// Whether a known mistake gives what was found, and that is no chance: what was found is much nearer to it than to what
    /// is right. Where little is wrong, anything that is nearly right would be within what is forgiven.
    private func isSame(_ found: CodeRun.Outcome, _ mistaken: CodeRun.Outcome, _ index: Int) -> Bool {
        switch (found, mistaken) {
        case (.fault(let a), .fault(let b)): return a.kind == b.kind
        case (.array(let a, let shape), .array(let b, let other)):
            guard shape == other, measure.isEqual(a, b, row: shape.last) else { return false }
            let answer = cases.answers[index]
            if isRight(found, index) || shape != answer.shape { return true }
            return 4 * measure.distance(a, b, row: shape.last) < measure.distance(a, answer.numbers, row: shape.last)
        default: return false
        }
    }

    private func distance(_ found: CodeRun.Outcome, _ mistaken: CodeRun.Outcome) -> Double {
        guard case .array(let a, let shape) = found, case .array(let b, _) = mistaken else { return 0 }
        return measure.distance(a, b, row: shape.last)
    }

    /// How much is right, where something is.
    private func extent(_ numbers: [Double], _ answer: CodeCases.Answer) -> String {
        let wrong = measure.wrong(numbers, answer.numbers, row: answer.shape.last)
        guard let first = wrong.first, let last = wrong.last, wrong.count < numbers.count else { return "" }
        let isOneRun = last - first + 1 == wrong.count
        return isOneRun && wrong.count > 1
            ? " Numbers \(first) to \(last) are wrong, the others right."
            : " \(numbers.count - wrong.count) of \(numbers.count) numbers are right."
    }

    // MARK: where

    /// The number that is furthest off.
    private func place(_ numbers: [Double], _ shape: [Int], _ answer: CodeCases.Answer, _ index: Int) -> String {
        let off = zip(numbers, answer.numbers).map { abs($0 - $1) }
        let worst = off.indices.max { off[$0] < off[$1] } ?? 0
        var (rest, indices) = (worst, [Int]())
        for size in shape.reversed() {
            indices.insert(rest % max(1, size), at: 0)
            rest /= max(1, size)
        }
        let element = indices.isEmpty ? "" : " at [\(indices.map(String.init).joined(separator: ", "))]"
        let (found, expected) = (
            Template.Form.significant(numbers[worst], 6), Template.Form.significant(answer.numbers[worst], 6)
        )
        return "In call \(index + 1) it gives \(found)\(element); expected \(expected)."
            + extent(numbers, answer)
    }
}

/// Mistakes that are made with any array.
enum CodeMistake {
    typealias Comparison = ([Double], [Double]) -> Bool

    /// What to say if one of them makes an answer into what was found.
    static func named(
        _ found: [Double], _ shape: [Int], _ answer: CodeCases.Answer, isEqual: Comparison
    ) -> String? {
        let right = answer.numbers
        guard shape == answer.shape else { return shaped(found, shape, answer, isEqual) }
        if let first = found.firstIndex(where: { !$0.isFinite }) {
            return "It gives \(found[first].isNaN ? "NaN" : "infinity"), which is no number to go on with. "
                + "Is something divided by zero, or too large for e^x?"
        }
        if found.allSatisfy({ $0 == 0 }) { return "It gives nothing but zeros." }
        if let only = found.first, found.count > 1, found.allSatisfy({ $0 == only }) {
            return "It gives the same number everywhere."
        }
        if isEqual(found.map { $0 < 0 ? $0 + 256 : $0 }, right) {
            return "The bytes are right, but as numbers with a sign: give them as uint8."
        }
        if isEqual(found.map { -$0 }, right) { return "Every size is right, every sign is not." }
        if found.count > 1, isEqual(found.reversed(), right) { return "The numbers are right, in the opposite order." }
        if found.count > 1, isEqual(found.sorted(), right.sorted()) {
            return "The right numbers, in another order."
        }
        return scaled(found, right, isEqual)
    }

    static func scaled(_ found: [Double], _ right: [Double], _ isEqual: Comparison) -> String? {
        let largest = right.indices.max { abs(right[$0]) < abs(right[$1]) } ?? 0
        guard found.count > 2, right[largest] != 0, found[largest] != 0 else { return nil }
        let factor = found[largest] / right[largest]
        if isEqual(found.map { $0 / factor }, right) {
            return "Everything is \(Template.Form.significant(factor, 4)) times what it should be."
        }
        let offset = found[largest] - right[largest]
        if isEqual(found.map { $0 - offset }, right) {
            return "Everything is \(Template.Form.significant(abs(offset), 4)) too \(offset > 0 ? "large" : "small")."
        }
        return nil
    }

    private static func shaped(
        _ found: [Double], _ shape: [Int], _ answer: CodeCases.Answer, _ isEqual: Comparison
    ) -> String {
        let both = "It gives \(CodeJudge.words(shape)); expected \(CodeJudge.words(answer.shape))."
        guard found.count == answer.numbers.count else { return both }
        if isEqual(found, answer.numbers) { return both + " The numbers themselves are right." }
        if shape.count == 2, isEqual(transposed(found, shape), answer.numbers) {
            return both + " Rows and columns are exchanged."
        }
        return both
    }

    private static func transposed(_ numbers: [Double], _ shape: [Int]) -> [Double] {
        (0..<shape[1]).flatMap { column in (0..<shape[0]).map { numbers[$0 * shape[1] + column] } }
    }
}
