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
        "tracing  \(bar)  \(Int(done)) of \(Numbers.count(total, "token"))  "
            + "\(Numbers.fixed(rate, 1)) tokens/s  \(Self.time(left)) left"
    }

    /// The same for work counted in weights, of which there are too many to name each: a share instead.
    public func text(of verb: String) -> String {
        "\(verb)  \(bar)  \(Int(share * 100)) %  \(Numbers.scaled(Int(rate))) weights/s  \(Self.time(left)) left"
    }

    private var share: Double { min(1, done / Double(max(1, total))) }
    private var bar: String { Bar.horizontal(share, width: 24).padded(to: 24) }
    private var rate: Double { done / max(seconds, 1e-9) }
    /// Seconds.
    private var left: Double { rate > 0 ? (Double(total) - done) / rate : 0 }

    /// `8 s`, `3 min 20 s`.
    private static func time(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9).rounded(.up))
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}
