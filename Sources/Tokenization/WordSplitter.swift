/// The expressions of `Split`, written out by hand.
///
/// Positions are indices of `scalars`. An expression applied to a piece sees nothing outside of it: the end of the piece
/// is the end of the text for `(?!\S)`, as in llama.cpp.
struct WordSplitter {
    private let scalars: [UInt32]
    private let classes: [CharacterClass]

    init(_ scalars: [UInt32]) {
        self.scalars = scalars
        classes = scalars.map { CharacterClass($0) }
    }

    /// Cuts `piece` and appends the parts to `parts`.
    func apply(_ split: Split, to piece: Range<Int>, _ parts: inout [Range<Int>]) {
        switch split {
        case .punctuation: isolate(in: piece, &parts) { endOfRun(from: $0, in: piece, isPunctuation) }
        case .eachNumber: isolate(in: piece, &parts) { classes[$0] == .number ? $0 + 1 : $0 }
        case .numbers: isolate(in: piece, &parts) { endOfRun(from: $0, in: piece) { classes[$0] == .number } }
        case .threeDigits: isolate(in: piece, &parts) { endOfThreeDigits(from: $0, in: piece) }
        case .words: cover(piece, &parts) { endOfWord(from: $0, in: piece) }
        case .wordsAndLines: cover(piece, &parts) { endOfWordOrLine(from: $0, in: piece) }
        }
    }

    /// For expressions that match here and there: `end` returns its argument where nothing matches.
    private func isolate(in piece: Range<Int>, _ parts: inout [Range<Int>], end: (Int) -> Int) {
        var gap = piece.lowerBound
        var position = gap
        while position < piece.upperBound {
            let matchEnd = end(position)
            guard matchEnd > position else {
                position += 1
                continue
            }
            if gap < position { parts.append(gap..<position) }
            parts.append(position..<matchEnd)
            position = matchEnd
            gap = matchEnd
        }
        if gap < piece.upperBound { parts.append(gap..<piece.upperBound) }
    }

    /// For expressions that match everywhere.
    private func cover(_ piece: Range<Int>, _ parts: inout [Range<Int>], end: (Int) -> Int) {
        var position = piece.lowerBound
        while position < piece.upperBound {
            let next = end(position)
            parts.append(position..<next)
            position = next
        }
    }

    private func endOfRun(from start: Int, in piece: Range<Int>, _ belongs: (Int) -> Bool) -> Int {
        var end = start
        while end < piece.upperBound, belongs(end) { end += 1 }
        return end
    }

    private func endOfRun(of kind: CharacterClass, from start: Int, in piece: Range<Int>) -> Int {
        endOfRun(from: start, in: piece) { classes[$0] == kind }
    }

    private func isNewline(_ position: Int) -> Bool { scalars[position] == 0x0d || scalars[position] == 0x0a }

    /// `[\p{P}\$\+<=>\^~\|]`
    private func isPunctuation(_ position: Int) -> Bool {
        classes[position] == .punctuation
            || [0x24, 0x2b, 0x3c, 0x3d, 0x3e, 0x5e, 0x7c, 0x7e].contains(scalars[position])
    }

    private func endOfThreeDigits(from start: Int, in piece: Range<Int>) -> Int {
        let three = start..<min(start + 3, piece.upperBound)
        return three.count == 3 && three.allSatisfy { (0x30...0x39).contains(scalars[$0]) } ? three.upperBound : start
    }

    /// The end of the word that starts at `start`, by GPT-2's expression.
    private func endOfWord(from start: Int, in piece: Range<Int>) -> Int {
        if let end = endOfContraction(from: start, in: piece, ignoringCase: false) { return end }
        let first = afterOneSpace(start, in: piece)
        switch classes[first] {
        case .letter: return endOfRun(of: .letter, from: first, in: piece)
        case .number: return endOfRun(of: .number, from: first, in: piece)
        case .punctuation, .other: return endOfRun(from: first, in: piece) { classes[$0].isSymbol }
        case .space: return endOfSpaces(from: start, in: piece)
        }
    }

    /// The end of the word that starts at `start`, by Llama 3's expression.
    private func endOfWordOrLine(from start: Int, in piece: Range<Int>) -> Int {
        if let end = endOfContraction(from: start, in: piece, ignoringCase: true) { return end }

        // A letter, or one character that is neither letter, number nor line end, before a letter.
        if classes[start] == .letter { return endOfRun(of: .letter, from: start, in: piece) }
        if classes[start] == .number {
            return endOfRun(from: start, in: start..<min(start + 3, piece.upperBound)) { classes[$0] == .number }
        }
        if !isNewline(start), start + 1 < piece.upperBound, classes[start + 1] == .letter {
            return endOfRun(of: .letter, from: start + 1, in: piece)
        }

        let first = afterOneSpace(start, in: piece)
        if classes[first].isSymbol {
            let end = endOfRun(from: first, in: piece) { classes[$0].isSymbol }
            return endOfRun(from: end, in: piece, isNewline)
        }

        let end = endOfRun(of: .space, from: start, in: piece)
        if let newline = (start..<end).last(where: isNewline) { return newline + 1 }
        return endOfSpaces(from: start, in: piece)
    }

    /// `start`, or the position after it if there is a space and something after the space.
    private func afterOneSpace(_ start: Int, in piece: Range<Int>) -> Int {
        scalars[start] == 0x20 && start + 1 < piece.upperBound ? start + 1 : start
    }

    /// `\s+(?!\S)|\s+`: all of the white space, but its last character where something follows that could take it.
    private func endOfSpaces(from start: Int, in piece: Range<Int>) -> Int {
        let end = endOfRun(of: .space, from: start, in: piece)
        return end - start > 1 && end < piece.upperBound ? end - 1 : end
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`
    private func endOfContraction(from start: Int, in piece: Range<Int>, ignoringCase: Bool) -> Int? {
        guard scalars[start] == 0x27, start + 1 < piece.upperBound else { return nil }
        func letter(_ position: Int) -> Unicode.Scalar? {
            guard position < piece.upperBound, let scalar = Unicode.Scalar(scalars[position]) else { return nil }
            return ignoringCase && ("A"..."Z").contains(scalar) ? Unicode.Scalar(scalar.value + 0x20) : scalar
        }
        switch (letter(start + 1), letter(start + 2)) {
        case ("s", _), ("t", _), ("m", _), ("d", _): return start + 2
        case ("r", "e"), ("v", "e"), ("l", "l"): return start + 3
        default: return nil
        }
    }
}
