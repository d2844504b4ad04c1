import ArgumentParser

/// Numbers of tokens as users write them: `128,512,2048`; each once, at most a million.
struct LengthList: ExpressibleByArgument {
    let lengths: [Int]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        let lengths = parts.compactMap { Int($0) }
        guard lengths.count == parts.count, Set(lengths).count == lengths.count,
            lengths.allSatisfy((0...1_000_000).contains)
        else { return nil }
        self.lengths = lengths
    }
}
