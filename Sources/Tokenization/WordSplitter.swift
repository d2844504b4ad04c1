/// One cut through every piece of a text.
enum Split: Sendable {
    /// Matches become pieces of their own, and so does what is between them.
    case matches(Expression)
    /// Runs of a character are cut into threes, counted from the end, `1 234 567`: before each three.
    case beforeThrees(of: Expression)
    /// The same, but after each part: what is left over, or the first three, stays with the text before it.
    case afterThrees(of: Expression)

    init(_ expression: String) { self = .matches(Expression(expression)) }
}

/// Cuts one text into words, split after split.
///
/// Positions are indices of `scalars`. A split applied to a piece sees nothing outside of it: the end of the piece is the
/// end of the text for `(?!\S)`, as in llama.cpp.
struct WordSplitter {
    private let scalars: [UInt32]
    private let classes: [CharacterClass]

    init(_ scalars: [UInt32]) {
        self.scalars = scalars
        classes = scalars.map { CharacterClass($0) }
    }

    /// - Returns: ranges that follow each other without gaps.
    func words(_ splits: [Split]) -> [Range<Int>] {
        var pieces = scalars.isEmpty ? [] : [0..<scalars.count]
        for split in splits {
            switch split {
            case .matches(let expression): pieces = isolate(expression, in: pieces)
            case .beforeThrees(let expression): pieces = cutInThrees(expression, in: pieces, before: true)
            case .afterThrees(let expression): pieces = cutInThrees(expression, in: pieces, before: false)
            }
        }
        return pieces
    }

    private func isolate(_ expression: Expression, in pieces: [Range<Int>]) -> [Range<Int>] {
        var matcher = ExpressionMatcher(expression, scalars, classes)
        var parts: [Range<Int>] = []
        parts.reserveCapacity(pieces.count)
        for piece in pieces {
            var gap = piece.lowerBound
            var position = gap
            while position < piece.upperBound {
                guard let end = matcher.end(from: position, limit: piece.upperBound) else {
                    position += 1
                    continue
                }
                if gap < position { parts.append(gap..<position) }
                parts.append(position..<end)
                position = end
                gap = end
            }
            if gap < piece.upperBound { parts.append(gap..<piece.upperBound) }
        }
        return parts
    }

    private func cutInThrees(_ character: Expression, in pieces: [Range<Int>], before: Bool) -> [Range<Int>] {
        var matcher = ExpressionMatcher(character, scalars, classes)
        return pieces.flatMap { piece -> [Range<Int>] in
            var cuts = [piece.upperBound]
            // How many characters of the run are on the right of a position.
            var rest = 0
            for position in piece.reversed() {
                let belongs = matcher.end(from: position, limit: piece.upperBound) != nil
                if !before, belongs, rest % 3 == 0, position + 1 < piece.upperBound { cuts.append(position + 1) }
                rest = belongs ? rest + 1 : 0
                if before, belongs, rest % 3 == 0, position > piece.lowerBound { cuts.append(position) }
            }
            cuts.append(piece.lowerBound)
            return zip(cuts.dropFirst(), cuts).map { $0..<$1 }.reversed()
        }
    }
}
