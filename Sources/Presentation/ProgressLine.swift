/// One line about how far a run is: a bar, the rate and the time left.
public struct ProgressLine: Sendable {
    /// Tokens evaluated so far; a part of one counts as a part.
    let done: Double
    let total: Int
    let seconds: Double

    public init(done: Double, total: Int, seconds: Double) {
        self.done = done
        self.total = total
        self.seconds = seconds
    }

    /// At most 79 columns, without a line end.
    public var text: String {
        let rate = done / max(seconds, 1e-9)
        let left = rate > 0 ? (Double(total) - done) / rate : 0
        let facts = "\(Int(done)) of \(Numbers.count(total, "token"))  \(Numbers.fixed(rate, 1)) tokens/s  \(Self.time(left)) left"
        let width = max(4, min(24, 79 - "tracing    ".count - facts.count))
        return "tracing  " + Bar.horizontal(done / Double(max(1, total)), width: width).padded(to: width) + "  " + facts
    }

    /// `8 s`, `3 min 20 s`, `5 h 2 min`.
    private static func time(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9).rounded(.up))
        if whole < 60 { return "\(whole) s" }
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole / 60 % 60) min"
    }
}
