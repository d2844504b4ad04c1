/// A regular expression, compiled for finding words.
///
/// Of the syntax just what the pre-tokenizers use: characters and `\r \n \t \s \S \d \u{…} \p{L|N|P|M|S|Han}`, brackets
/// with ranges, `^` and `&&[…]`; `(?:…)` and `(?i:…)`; `|`, `?`, `*`, `+`, `{n}`, `{n,m}`; `(?!x)` with `x` one character or
/// bracket, and `$`. As in ECMAScript the first alternative that matches wins and repetitions are greedy. Unlike Swift's
/// `Regex` it knows characters by llama.cpp's classes, takes surrogates, and tells in one pass over a text which sets each
/// character is in.
struct Expression: Sendable {
    /// One step of the program, given the sets that the character at a position is in.
    enum Instruction: Sendable {
        /// As many characters of a set as there are, from `minimum` to `maximum`; then, if the rest fails, fewer.
        case run(CharacterSetTable.Bits, minimum: Int, maximum: Int)
        /// Goes on; if that fails, goes to the instruction named instead.
        case fork(Int)
        case jump(Int)
        /// Fails if a character of the set follows.
        case notBefore(CharacterSetTable.Bits)
        case found
    }

    /// One of the parts between the outermost `|`.
    struct Alternative: Sendable {
        /// The sets of which a first character must be in one.
        let first: CharacterSetTable.Bits
        let start: Int
    }

    let source: String
    let table: CharacterSetTable
    let alternatives: [Alternative]
    let program: [Instruction]

    /// - Precondition: `source` is an expression of the syntax above that matches no empty text.
    init(_ source: String) {
        self.source = source
        var parser = ExpressionParser(source)
        let sequences = parser.parse()
        table = parser.table
        var program: [Instruction] = []
        alternatives = sequences.map { sequence in
            let start = program.count
            Self.compile(sequence, &program)
            program.append(.found)
            let (first, isEmpty) = Self.first(of: sequence)
            precondition(!isEmpty, "\(source) matches an empty text")
            return Alternative(first: first, start: start)
        }
        self.program = program
    }

    private static func compile(_ sequence: [ExpressionParser.Part], _ program: inout [Instruction]) {
        for part in sequence {
            switch part {
            case .run(let set, let minimum, let maximum):
                program.append(.run(set, minimum: minimum, maximum: maximum))
            case .notBefore(let set):
                program.append(.notBefore(set))
            case .group(let sequences, let repetition):
                let start = program.count
                if repetition != .once { program.append(.fork(0)) }
                compile(sequences, &program)
                if repetition == .anyNumber { program.append(.jump(start)) }
                if repetition != .once { program[start] = .fork(program.count) }
            }
        }
    }

    /// Alternatives inside of a group: each forks to the next and jumps behind the last.
    private static func compile(_ sequences: [[ExpressionParser.Part]], _ program: inout [Instruction]) {
        var jumps: [Int] = []
        for (index, sequence) in sequences.enumerated() {
            let fork = program.count
            let isLast = index == sequences.count - 1
            if !isLast { program.append(.fork(0)) }
            compile(sequence, &program)
            guard !isLast else { break }
            jumps.append(program.count)
            program.append(.jump(0))
            program[fork] = .fork(program.count)
        }
        for jump in jumps { program[jump] = .jump(program.count) }
    }

    /// The sets a match may begin with, and whether it may be empty.
    private static func first(of sequence: [ExpressionParser.Part]) -> (CharacterSetTable.Bits, isEmpty: Bool) {
        var bits: CharacterSetTable.Bits = 0
        for part in sequence {
            switch part {
            case .run(let set, let minimum, _):
                bits |= set
                if minimum > 0 { return (bits, false) }
            case .notBefore: continue
            case .group(let sequences, let repetition):
                let firsts = sequences.map(first)
                precondition(firsts.allSatisfy { !$0.isEmpty }, "a group that matches an empty text")
                for (first, _) in firsts { bits |= first }
                if repetition == .once { return (bits, false) }
            }
        }
        return (bits, true)
    }
}

/// Finds where an expression matches in one text.
struct ExpressionMatcher {
    private struct Retry {
        let instruction: Int
        let position: Int
        /// The last position to go on from; the ones between are tried from the right.
        let floor: Int
    }

    private let expression: Expression
    /// The sets that each character of the text is in.
    private let bits: [CharacterSetTable.Bits]
    private var retries: [Retry] = []

    /// - Parameter classes: the classes of `scalars`.
    init(_ expression: Expression, _ scalars: [UInt32], _ classes: [CharacterClass]) {
        self.expression = expression
        let table = expression.table
        bits = zip(scalars, classes).map { table.bits(of: $0, $1) }
    }

    /// The end of the match that starts at `start`, `nil` if there is none.
    ///
    /// - Parameter limit: where the text ends for the expression, whatever follows.
    mutating func end(from start: Int, limit: Int) -> Int? {
        let first = bits[start]
        for alternative in expression.alternatives where alternative.first & first != 0 {
            if let end = end(of: alternative, from: start, limit) { return end }
        }
        return nil
    }

    private mutating func end(of alternative: Expression.Alternative, from start: Int, _ limit: Int) -> Int? {
        retries.removeAll(keepingCapacity: true)
        var next: (instruction: Int, position: Int)? = (alternative.start, start)
        while let (instruction, position) = next {
            switch expression.program[instruction] {
            case .found:
                return position
            case .run(let set, let minimum, let maximum):
                let end = endOfRun(of: set, from: position, position + min(maximum, limit - position))
                next = end - position >= minimum ? (instruction + 1, end) : retry()
                if end > position + minimum {
                    retries.append(Retry(instruction: instruction + 1, position: end - 1, floor: position + minimum))
                }
            case .fork(let other):
                retries.append(Retry(instruction: other, position: position, floor: position))
                next = (instruction + 1, position)
            case .jump(let target):
                next = (target, position)
            case .notBefore(let set):
                next = position < limit && bits[position] & set != 0 ? retry() : (instruction + 1, position)
            }
        }
        return nil
    }

    private func endOfRun(of set: CharacterSetTable.Bits, from start: Int, _ limit: Int) -> Int {
        var end = start
        while end < limit, bits[end] & set != 0 { end += 1 }
        return end
    }

    private mutating func retry() -> (instruction: Int, position: Int)? {
        guard let last = retries.popLast() else { return nil }
        if last.position > last.floor {
            retries.append(Retry(instruction: last.instruction, position: last.position - 1, floor: last.floor))
        }
        return (last.instruction, last.position)
    }
}
