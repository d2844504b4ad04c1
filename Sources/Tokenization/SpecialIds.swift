/// The tokens with a role, found first by key and then, as files often lack the keys, by their texts.
///
/// The texts and the rules are llama.cpp's (`llama_vocab::impl::load`). Where several tokens would do for one role it
/// takes whichever its hash table yields first; here the first of the list is taken.
struct SpecialIds {
    private(set) var bos: Int?
    private(set) var eos: Int?
    private(set) var eot: Int?
    private(set) var unknown: Int?
    private(set) var endOfGeneration: Set<Int> = []
    private var eom: Int?
    /// Tokens for filling in the middle of a text.
    private var fillPrefix: Int?
    private var fillSuffix: Int?
    private var fillMiddle: Int?
    private var fillPadding: Int?
    private var fillRepository: Int?
    private var fillSeparator: Int?

    /// The ids the keys name, or the defaults of the kind of vocabulary.
    init(
        _ keys: TokenizerKeys, model: Vocabulary.Model, preTokenizer: PreTokenizer?, count: Int
    ) throws(TokenizationError) {
        func existing(_ id: Int?) -> Int? { id.flatMap { $0 < count ? $0 : nil } }
        let defaults: (bos: Int?, eos: Int?, unknown: Int?) =
            switch model {
            case .sentencePiece: (1, 2, 0)
            case .bytePair: (preTokenizer?.hasNoDefaultBOS ?? false ? nil : 11, 11, nil)
            case .gemma4: (nil, nil, nil)
            }
        bos = try keys.id(.bos, count: count) ?? existing(defaults.bos)
        eos = try keys.id(.eos, count: count) ?? existing(defaults.eos)
        unknown = try keys.id(.unknown, count: count) ?? existing(defaults.unknown)
        eot = try keys.id(.eot, count: count)
        eom = try keys.id(.eom, count: count)
        fillPrefix = try Self.id(keys, .fillPrefix, orOld: .oldFillPrefix, count)
        fillSuffix = try Self.id(keys, .fillSuffix, orOld: .oldFillSuffix, count)
        fillMiddle = try Self.id(keys, .fillMiddle, orOld: .oldFillMiddle, count)
        fillPadding = try keys.id(.fillPadding, count: count)
        fillRepository = try keys.id(.fillRepository, count: count)
        fillSeparator = try keys.id(.fillSeparator, count: count)
    }

    /// The ids the keys name, where they are ids.
    init(_ keys: TokenizerKeys, count: Int) {
        bos = try? keys.id(.bos, count: count)
        eos = try? keys.id(.eos, count: count)
        eot = try? keys.id(.eot, count: count)
        eom = try? keys.id(.eom, count: count)
        unknown = try? keys.id(.unknown, count: count)
    }

    /// The old key comes later in llama.cpp's list and so overrules the new one.
    private static func id(
        _ keys: TokenizerKeys, _ key: TokenizerKey, orOld oldKey: TokenizerKey, _ count: Int
    ) throws(TokenizationError) -> Int? {
        let id = try keys.id(key, count: count)
        return try keys.id(oldKey, count: count) ?? id
    }

    /// Completes the ids by looking for well-known texts, and corrects the kinds of such tokens.
    mutating func find(in texts: ByteStringTable, _ kinds: inout [TokenKind], _ warnings: inout [String]) {
        func id(_ text: String) -> Int? { texts.id(of: Array(text.utf8).span) }
        func control(_ id: Int) {
            guard kinds[id] != .control else { return }
            warnings.append(
                """
                token \(id) "\(String(storedBytes: texts[id]))" is of type \(kinds[id]) but looks like a \
                control token and is taken for one
                """)
            kinds[id] = .control
        }
        func role(_ role: inout Int?, _ candidates: [String]) {
            guard role == nil, let found = candidates.lazy.compactMap(id).first else { return }
            role = found
            control(found)
        }

        role(&eot, Self.endsOfTurn)
        role(&eom, ["<|eom_id|>"])
        role(&fillPrefix, Self.fillPrefixes)
        role(&fillSuffix, Self.fillSuffixes)
        role(&fillMiddle, Self.fillMiddles)
        role(&fillPadding, ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"])
        role(&fillRepository, ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"])
        role(&fillSeparator, ["<|file_sep|>"])

        let found = Self.endsOfGeneration.compactMap(id)
        found.forEach(control)
        endOfGeneration.formUnion(found)
        endOfGeneration.formUnion([fillPadding, fillRepository, fillSeparator, eos, eot, eom].compactMap { $0 })

        // gpt-oss: these are always shown.
        for marker in ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"].compactMap(id) {
            kinds[marker] = .userDefined
        }
        func ends(_ text: String) -> Bool { id(text).map(endOfGeneration.contains) ?? false }
        func demote(_ text: String, to kind: TokenKind) {
            guard let id = id(text), endOfGeneration.remove(id) != nil else { return }
            kinds[id] = kind
        }
        // Vocabularies in which "<|end|>" ends a message but not the answer, or "</s>" is ordinary text.
        let hasCall = ends("<|call|>") || ends("<|calls|>")
        if hasCall, ends("<|return|>") || ends("<|flush|>") { demote("<|end|>", to: .userDefined) }
        if ends("<|tool_response>") || ends("<|plamo:eos|>") { demote("</s>", to: .normal) }
    }

    private static let endsOfTurn = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
        "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
    ]
    private static let fillPrefixes = [
        "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
        "<|prefix|>",
    ]
    private static let fillSuffixes = [
        "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
        "<|suffix|>",
    ]
    private static let fillMiddles = [
        "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
        "<|middle|>",
    ]
    private static let endsOfGeneration = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ]
}
