/// The name of one part of a split model: `model-00002-of-00005.gguf`. Source: llama.cpp `llama_split_path`.
struct SplitName: Equatable {
    /// Everything before the numbers, folders included.
    let prefix: String
    /// From 1, as in the name.
    let number: Int
    let count: Int

    init(prefix: String, number: Int, count: Int) {
        self.prefix = prefix
        self.number = number
        self.count = count
    }

    /// The parts of a path; `nil` if it does not have this form.
    init?(path: String) {
        let pattern = #/(.+)-([0-9]{5,})-of-([0-9]{5,})\.gguf/#.dotMatchesNewlines()
        guard let match = path.wholeMatch(of: pattern), let number = Int(match.2), let count = Int(match.3) else {
            return nil
        }
        self.init(prefix: String(match.1), number: number, count: count)
        // Only the canonical form finds the other parts.
        guard self.path == path else { return nil }
    }

    var path: String { prefix + ending }

    var ending: String { "-\(Self.padded(number))-of-\(Self.padded(count)).gguf" }

    func part(_ number: Int) -> SplitName { SplitName(prefix: prefix, number: number, count: count) }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}

/// The metadata keys of split models.
enum SplitKey {
    /// u16, from 0.
    static let number = "split.no"
    /// u16; 0 and 1 mean that the model is not split.
    static let count = "split.count"
    /// i32: tensors of all parts together.
    static let tensorCount = "split.tensors.count"
}
