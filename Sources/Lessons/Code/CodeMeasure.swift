/// How far the numbers of an answer may be from what is expected.
///
/// A number's size is its own, or the root mean square of its row (the last dimension), whichever is more; a task forgives a
/// share of that. The rms of the whole answer would not do: in the stream of a trained model a few numbers of the first
/// token are a thousand times as large as all others, so that it would forgive anything that goes wrong elsewhere, and
/// these few nothing of what rounding does to them.
struct CodeMeasure {
    /// What is forgiven, as a share of a number's size.
    let tolerance: Double
    /// How many whole numbers may be off by one.
    let offByOne: Int

    /// - Parameter row: how many numbers a row has; `nil`: all are one row.
    func isEqual(_ numbers: [Double], _ expected: [Double], row: Int?) -> Bool {
        guard numbers.count == expected.count else { return false }
        let off = wrong(numbers, expected, row: row)
        return off.count <= offByOne && off.allSatisfy { isByOne(numbers[$0], expected[$0]) }
    }

    /// Which numbers are further off than is forgiven.
    func wrong(_ numbers: [Double], _ expected: [Double], row: Int?) -> [Int] {
        let sizes = Self.sizes(expected, row: row)
        return numbers.indices.filter { index in
            let (a, b) = (numbers[index], expected[index])
            return a != b && !(a.isNaN && b.isNaN) && !(abs(a - b) <= tolerance * sizes[index])
        }
    }

    /// How far numbers are from others, all together; infinite where only one of two is a number.
    func distance(_ numbers: [Double], _ others: [Double], row: Int?) -> Double {
        guard numbers.count == others.count else { return .infinity }
        let sizes = Self.sizes(others, row: row)
        let squares = numbers.indices.reduce(0.0) { sum, index in
            let (a, b) = (numbers[index], others[index])
            if a == b || a.isNaN && b.isNaN { return sum }
            let off = isByOne(a, b) ? 1 : abs(a - b)
            let share = off / max(sizes[index], .leastNormalMagnitude)
            return sum + (share.isNaN ? .infinity : share * share)
        }
        return squares.squareRoot()
    }

    /// Of bytes, too: -1 is 255.
    private func isByOne(_ a: Double, _ b: Double) -> Bool { offByOne > 0 && (abs(a - b) == 1 || abs(a - b) == 255) }

    private static func sizes(_ expected: [Double], row: Int?) -> [Double] {
        let length = max(1, row ?? expected.count)
        return stride(from: 0, to: expected.count, by: length).flatMap { start in
            let numbers = expected[start..<min(start + length, expected.count)]
            let squares = numbers.reduce(0) { $1.isFinite ? $0 + $1 * $1 : $0 }
            let rms = (squares / Double(numbers.count)).squareRoot()
            return numbers.map { $0.isFinite ? max(rms, abs($0)) : rms }
        }
    }
}
