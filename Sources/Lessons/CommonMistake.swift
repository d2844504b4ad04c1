import Foundation

/// Mistakes that are made with any number.
enum CommonMistake {
    /// What to say if one of them turns the answer into what was given.
    static func named(
        given: Double, answer: Double, width: Double, _ question: Question.NumberAnswer
    ) -> String? {
        let unit = question.unit?.lowercased() ?? ""
        var tried: [(factor: Double, says: String)] = [
            (-1, "The size is right, the sign is not."),
            (100, "That is in percent; the question asks for the share itself."),
            (0.01, "That is the share; the question asks for percent."),
        ]
        if unit.contains("bit") { tried.append((0.125, "That is in bytes; the question asks for bits.")) }
        if unit.contains("byte") { tried.append((8, "That is in bits; the question asks for bytes.")) }
        if unit == "bytes" { tried += [(1.0 / 1024, "That is in KiB."), (1.0 / 1_048_576, "That is in MiB.")] }
        if unit == "bits" { tried.append((M_LN2, "That is in nats: the logarithm here has base two.")) }
        if unit == "nats" { tried.append((1 / M_LN2, "That is in bits: the logarithm here is the natural one.")) }
        for (factor, says) in tried where abs(given - factor * answer) <= abs(factor) * width { return says }
        if abs(answer) > 1e-9, abs(given - 1 / answer) <= abs(1 / answer) * width / abs(answer) {
            return "That is one divided by the answer: the fraction is upside down."
        }
        if question.tolerance == .exact, answer == answer.rounded(), abs(abs(given - answer) - 1) <= width {
            return given > answer
                ? "One too many. Are both ends counted, or does something begin at zero?"
                : "One too few. Counting begins at zero, so the last index is one less than the count."
        }
        return nil
    }
}

/// Shuffles the same way each time for the same seed.
struct StableOrder: RandomNumberGenerator {
    private var state: UInt64

    /// FNV-1a of the text.
    init(_ seed: String) {
        state = seed.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func shuffled<Item>(_ items: [Item]) -> [Item] { items.shuffled(using: &self) }
}
