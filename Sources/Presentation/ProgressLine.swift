/// One line about how far a run is: a bar, the rate and the time left.
public struct ProgressLine: Sendable {
    /// Tokens evaluated, or weights written, so far; a part of one counts as a part.
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
        let facts =
            "\(Int(done)) of \(Numbers.count(total, "token"))  \(Numbers.fixed(rate, 1)) tokens/s  \(Self.time(left)) left"
        return "tracing  " + bar(beside: "tracing    " + facts) + "  " + facts
    }

    /// The same for other work; of weights there are too many to name each: a share instead.
    public func text(of verb: String, in unit: String = "weights") -> String {
        let facts = "\(Int(share * 100)) %  \(Numbers.scaled(Int(rate))) \(unit)/s  \(Self.time(left)) left"
        return "\(verb)  " + bar(beside: "\(verb)    " + facts) + "  " + facts
    }

    private var share: Double { min(1, done / Double(max(1, total))) }
    private var rate: Double { done / max(seconds, 1e-9) }
    /// Seconds.
    private var left: Double { rate > 0 ? (Double(total) - done) / rate : 0 }

    /// As wide as the other text leaves room for.
    private func bar(beside text: String) -> String {
        let width = max(4, min(24, 79 - text.count))
        return Bar.horizontal(share, width: width).padded(to: width)
    }

    /// `8 s`, `3 min 20 s`, `5 h 2 min`.
    private static func time(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9).rounded(.up))
        if whole < 60 { return "\(whole) s" }
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole / 60 % 60) min"
    }
}
