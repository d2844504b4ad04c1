/// The key-value pairs of a GGUF file, in the file's order.
public struct Metadata: Sendable {
    /// A key with its value.
    public struct Entry: Sendable, Hashable {
        /// The name, such as `general.architecture`.
        public let key: String
        /// The value, with the type that it has in the file.
        public let value: GGUFValue

        /// Joins a key and its value.
        public init(key: String, value: GGUFValue) {
            self.key = key
            self.value = value
        }
    }

    /// All pairs, in the file's order.
    public let entries: [Entry]
    private let indices: [String: Int]

    /// - Precondition: keys are unique; the reader has checked that.
    public init(_ entries: [Entry]) {
        self.entries = entries
        indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
    }

    /// The value of a key; `nil` if there is none.
    ///
    /// - Complexity: O(1).
    public subscript(key: String) -> GGUFValue? { indices[key].map { entries[$0].value } }

    /// The index of `key` in `entries`.
    func index(of key: String) -> Int? { indices[key] }

    /// The key of the architecture's name.
    public static let architectureKey = "general.architecture"

    /// The name of the architecture, such as `llama`, whether Quipu knows it or not; `nil` if there is none.
    public var architecture: String? { self[Self.architectureKey]?.string }

    /// The key of the alignment of tensor data; 32 bytes where it is missing.
    static let alignmentKey = "general.alignment"
    /// Keys that say how a file is laid out. The writer of another file decides that for itself.
    public static let layoutKeys: Set = [alignmentKey, SplitKey.number, SplitKey.count, SplitKey.tensorCount]

    /// What is said of the model, without the keys of the file's layout.
    public var withoutLayout: Metadata { Metadata(entries.filter { !Self.layoutKeys.contains($0.key) }) }
}
