import Foundation

/// Numbers as people read them.
enum Numbers {
    /// Four significant digits: `0.1234`, `12.34`, `1.234e-05`.
    static func short(_ value: Double?) -> String {
        guard let value else { return "-" }
        if value == 0 { return "0" }
        if value.isNaN { return "NaN" }
        return String(format: abs(value) >= 1e5 || abs(value) < 1e-3 ? "%.3e" : "%.4g", value)
    }

    /// Four decimals with a sign, or four significant digits where that would show nothing: `+0.1234`, `-1.2e-06`.
    static func signed(_ value: Double) -> String {
        let text = abs(value) >= 1e-3 || value == 0 ? String(format: "%.4f", value) : short(value)
        return value > 0 ? "+" + text : text
    }

    /// Up to eight significant digits, without trailing zeros: for results of queries.
    static func significant(_ value: Double) -> String { String(format: "%.8g", value) }

    /// Two decimals.
    static func fixed(_ value: Double, _ decimals: Int = 2) -> String {
        value.isNaN ? "NaN" : String(format: "%.\(decimals)f", value)
    }

    /// `1.23 ms`, `45.6 µs`.
    static func duration(nanoseconds: Int) -> String {
        let ns = Double(nanoseconds)
        if ns < 1e3 { return "\(nanoseconds) ns" }
        if ns < 1e6 { return String(format: "%.1f µs", ns / 1e3) }
        if ns < 1e9 { return String(format: "%.1f ms", ns / 1e6) }
        return String(format: "%.2f s", ns / 1e9)
    }

    /// `42 %`, `0.31 %`.
    static func percent(_ share: Double) -> String {
        if share.isNaN { return "NaN" }
        return String(format: share >= 0.1 ? "%.0f %%" : "%.2f %%", share * 100)
    }

    /// `1 token`, `5 tokens`.
    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// `134,515,008`.
    static func grouped(_ value: Int) -> String {
        let digits = String(abs(value))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + text
    }

    /// `134.5 M`.
    static func scaled(_ value: Int) -> String {
        let v = Double(value)
        if v < 1e3 { return "\(value)" }
        if v < 1e6 { return String(format: "%.1f k", v / 1e3) }
        if v < 1e9 { return String(format: "%.1f M", v / 1e6) }
        return String(format: "%.2f G", v / 1e9)
    }
}

/// Shares as bars.
enum Bar {
    private static let eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    private static let levels = Array("▁▂▃▄▅▆▇█")

    /// A horizontal bar of at most `width` columns for a share of 0 to 1.
    static func horizontal(_ share: Double, width: Int) -> String {
        guard share.isFinite else { return "" }
        let parts = Int((min(1, max(0, share)) * Double(width * 8)).rounded())
        return String(repeating: "█", count: parts / 8) + eighths[parts % 8]
    }

    /// A bar from a middle line, to the left for shares below 0, of `2 * half + 1` columns.
    static func signed(_ share: Double, half: Int) -> String {
        let bar = horizontal(abs(share), width: half)
        guard share < 0 else { return String(repeating: " ", count: half) + "│" + bar }
        // Blocks fill cells from the left only, so that bars to the left grow by half cells.
        let halves = Int((min(1, abs(share)) * Double(2 * half)).rounded())
        let left = (halves % 2 == 1 ? "▐" : "") + String(repeating: "█", count: halves / 2)
        return left.leftPadded(to: half) + "│"
    }

    /// One column a value, each a share of 0 to 1; `?` for NaN.
    static func sparkline(_ shares: [Double]) -> String {
        String(shares.map { $0.isFinite ? levels[min(7, max(0, Int($0 * 8)))] : "?" })
    }
}
