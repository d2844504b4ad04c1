/// How far a run is: the rate, the time left, and where it is shown a bar.
public struct ProgressLine: Sendable {
    private let verb: String
    private let done: Double
    private let total: Double
    /// Seconds for what is left, at the rate so far.
    private let left: Double
    private let facts: String

    /// Of tokens, so few that each counts.
    ///
    /// - Parameter done: those evaluated so far; a part of one counts as a part.
    public init(tokens done: Double, of total: Int, seconds: Double) {
        let rate = done / max(seconds, 1e-9)
        (verb, self.done, self.total) = ("tracing", done, Double(total))
        left = Self.left(Double(total) - done, rate)
        facts = "\(Int(done)) of \(Numbers.count(total, "token"))  \(Numbers.fixed(rate, 1)) tokens/s"
    }

    /// Of other work, of which there is too much to count: a share instead.
    ///
    /// - Parameters:
    ///   - verb: what is being done, in a word.
    ///   - unit: what the work is counted in.
    ///   - before: what was done when the seconds began.
    public init(verb: String, unit: String, done: Double, before: Double = 0, total: Double, seconds: Double) {
        let rate = (done - before) / max(seconds, 1e-9)
        (self.verb, self.done, self.total) = (verb, done, total)
        left = Self.left(total - done, rate)
        facts = "\(Int(min(1, done / max(1, total)) * 100)) %  \(Numbers.scaled(Int(rate))) \(unit)/s"
    }

    private static func left(_ rest: Double, _ rate: Double) -> Double { rate > 0 ? rest / rate : 0 }

    /// For a terminal: at most 79 columns, without a line end.
    public var text: String {
        let facts = "\(facts)  \(Self.time(left)) left"
        let width = max(4, min(24, 79 - "\(verb)    \(facts)".count))
        let bar = Bar.horizontal(min(1, done / max(1, total)), width: width).padded(to: width)
        return "\(verb)  \(bar)  \(facts)"
    }

    /// For a log.
    public var logged: String {
        "\(verb): \(facts), \(Self.time(left)) left".replacing("  ", with: ", ")
    }

    /// `8 s`, `3 min 20 s`, `5 h 2 min`.
    private static func time(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9).rounded(.up))
        if whole < 60 { return "\(whole) s" }
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole / 60 % 60) min"
    }
}
