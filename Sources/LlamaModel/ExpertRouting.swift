/// How a router chooses among a layer's experts, and what the chosen ones' weights are.
struct ExpertRouting: Sendable, Equatable {
    /// What makes probabilities of scores.
    enum Gating: Sendable, Equatable {
        /// All experts against each other.
        case softmax
        /// Each by itself.
        case sigmoid
        /// The chosen experts against each other: scores choose, and weights are made of the chosen ones' alone.
        case softmaxOfChosen
    }

    /// X: experts of a layer.
    var count: Int
    /// U: how many of them a token goes through.
    var used: Int
    var gating = Gating.softmax
    /// Whether the weights of a token's experts are divided by their sum.
    var dividesBySum = true
    /// What weights are multiplied by then; `nil`: nothing.
    var scale: Float?
    /// Groups of experts, and how many of them a token may choose from; one where there are none.
    var groups = 1
    var groupsUsed = 1
    /// Experts that a layer chooses for every token, and such as it never chooses: what the model does not do by itself.
    var forced: [Int: Set<Int>] = [:]
    var dropped: [Int: Set<Int>] = [:]

    /// llama.cpp's `LLAMA_MAX_EXPERTS`.
    private static let limit = 512

    /// - Throws: `LlamaError` unless the file has experts, and says how many of them a token goes through.
    init(_ keys: MetadataReader, dividesBySum: Bool = true) throws(LlamaError) {
        let layers = try keys.count("block_count", in: 1...512)
        count = try keys.count("expert_count", in: 1...Self.limit)
        used = try keys.uniformCount("expert_used_count", layers: layers, in: 1...count)
        self.dividesBySum = dividesBySum
    }
}

extension MetadataReader {
    /// A width of a network; 0 is as good as no key.
    func width(_ key: String) throws(LlamaError) -> Int? {
        guard let width = try count(key), width > 0 else { return nil }
        guard width <= 1 << 24 else { throw invalid(key, "\(width)", "at most \(1 << 24)") }
        return width
    }

    /// Hidden units of an expert: where the file does not say, those of the feed-forward network, shared out.
    func expertWidth(_ c: LlamaConfiguration, _ routing: ExpertRouting) throws(LlamaError) -> Int {
        let width = try width("expert_feed_forward_length") ?? c.feedForward / routing.used
        guard width > 0 else { throw missing("expert_feed_forward_length") }
        return width
    }
}
