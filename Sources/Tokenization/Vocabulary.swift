import GGUF

/// What a token is for, by its number in `tokenizer.ggml.token_type`.
public enum TokenKind: Int, CaseIterable, Sendable {
    case undefined = 0
    /// A piece of text.
    case normal = 1
    /// Stands for text that has no token.
    case unknown = 2
    /// Steers the model and never comes from ordinary text: begin, end, roles of a conversation.
    case control = 3
    /// A piece of text that is found before everything else.
    case userDefined = 4
    case unused = 5
    /// One byte, spelled `<0xE2>`.
    case byte = 6
}

/// The tokens of a model and the rules that come with them. Ids are `0..<count`.
///
/// Read from the `tokenizer.ggml.*` keys as llama.cpp reads them (`llama_vocab::impl::load`), its workarounds for
/// careless files included.
public struct Vocabulary: Sendable {
    /// The kinds of vocabulary that are implemented, by their names in `tokenizer.ggml.model`.
    public enum Model: String, CaseIterable, Sendable {
        case sentencePiece = "llama"
        case bytePair = "gpt2"
        /// Byte-pair encoding with the pre-tokenizer "gemma4", whatever name the file gives.
        case gemma4 = "gemma4"
    }

    /// `nil` for another kind, of which only the texts are known.
    public let model: Model?
    /// `tokenizer.ggml.pre`; `nil` if the metadata has none. SentencePiece vocabularies ignore it.
    public let preTokenizerName: String?

    /// The token that begins a sequence.
    public let bos: Int?
    /// The token that ends a sequence.
    public let eos: Int?
    /// The token that ends a turn of a conversation.
    public let eot: Int?
    /// The token that stands for text without one.
    public let unknown: Int?
    /// Every token that ends the generation of text.
    public let endOfGeneration: Set<Int>

    /// Texts begin with `bos`.
    public let addsBOS: Bool
    /// Texts end with `eos`.
    public let addsEOS: Bool
    /// A space goes before the text and before what follows a special token (SentencePiece).
    public let addsSpacePrefix: Bool
    /// Detokenized text loses the space before some punctuation and contractions.
    public let cleansSpaces: Bool

    /// What is odd about the vocabulary, in sentences for people.
    public let warnings: [String]

    let texts: ByteStringTable
    let scores: [Float]
    private let kinds: [TokenKind]
    /// What `preTokenizerName` means; `nil` for SentencePiece.
    let preTokenizer: PreTokenizer?
    /// How the texts of normal tokens are to be read.
    var spelling: PreTokenizer.Spelling {
        preTokenizer?.spelling ?? (model == .bytePair ? .bytes : .charactersWithoutSpaces)
    }

    /// - Throws: `TokenizationError`, for keys that are missing or hold something else than they must, for unknown names,
    ///   and for parts that do not fit together.
    public init(metadata: Metadata) throws(TokenizationError) {
        let keys = TokenizerKeys(metadata)
        var warnings: [String] = []
        let model = try Self.model(keys)
        self.model = model
        preTokenizerName = try keys.string(.preTokenizer)
        preTokenizer =
            switch model {
            case .sentencePiece: nil
            case .bytePair: try Self.preTokenizer(named: preTokenizerName, &warnings)
            case .gemma4: PreTokenizer.named(model.rawValue)
            }

        texts = try Self.texts(keys)
        scores = try Self.scores(keys, count: texts.count)
        var kinds = try Self.kinds(keys, texts)

        var special = try SpecialIds(keys, model: model, preTokenizer: preTokenizer, count: texts.count)
        special.find(in: texts, &kinds, &warnings)
        self.kinds = kinds
        bos = special.bos
        eos = special.eos
        eot = special.eot
        unknown = special.unknown
        endOfGeneration = special.endOfGeneration

        let isSentencePiece = model == .sentencePiece
        let addsBOS = try keys.bool(.addsBOS) ?? preTokenizer?.addsBOS ?? true
        self.addsBOS = addsBOS || preTokenizer?.alwaysAddsBOS ?? false
        addsEOS = try keys.bool(.addsEOS) ?? false
        addsSpacePrefix = try keys.bool(.addsSpacePrefix) ?? isSentencePiece
        cleansSpaces = preTokenizer?.cleansSpaces ?? false
        if self.addsBOS, let bos, try keys.id(.bos, count: texts.count) == nil {
            warnings.append(
                "the file names no token that begins a text (\(TokenizerKey.bos.rawValue)); as llama.cpp does, token \(bos) "
                    + "is put in front.")
        }
        self.warnings = warnings

        for (adds, id, flag, key) in [
            (self.addsBOS, bos, TokenizerKey.addsBOS, TokenizerKey.bos), (addsEOS, eos, .addsEOS, .eos),
        ]
        where adds && id == nil {
            throw .missingSpecialToken(flag: flag.rawValue, key: key.rawValue)
        }
    }

    /// The tokens of a file whose tokenizer cannot be used, to show ids as text.
    ///
    /// What is missing or malformed is passed over: a token without a usable text reads `<7>` after its id.
    ///
    /// - Parameter count: the least number of tokens.
    public init(listedIn metadata: Metadata, count: Int) {
        let keys = TokenizerKeys(metadata)
        model = (try? keys.string(.model)).flatMap(Model.init)
        preTokenizerName = try? keys.string(.preTokenizer)
        preTokenizer = model == .bytePair ? preTokenizerName.flatMap(PreTokenizer.named) : nil
        let tokens = (try? keys.strings(.tokens)) ?? []
        var texts = ByteStringTable(minimumCapacity: max(tokens.count, count))
        for id in 0..<max(tokens.count, count) {
            var text = id < tokens.count ? tokens[id].storedBytes : []
            if text.isEmpty { text = Array("<\(id)>".utf8) }
            while !texts.insert(text.span).isNew { text = "<\(String(storedBytes: text))>".storedBytes }
        }
        var kinds = (try? Self.kinds(keys, texts)) ?? Array(repeating: .normal, count: texts.count)
        var special = SpecialIds(keys, count: texts.count)
        var warnings: [String] = []
        special.find(in: texts, &kinds, &warnings)
        (self.texts, self.kinds, scores) = (texts, kinds, [])
        (bos, eos, eot, unknown) = (special.bos, special.eos, special.eot, special.unknown)
        endOfGeneration = special.endOfGeneration
        (addsBOS, addsEOS, addsSpacePrefix, cleansSpaces) = (false, false, false, false)
        self.warnings = []
    }

    /// The number of tokens.
    public var count: Int { texts.count }

    /// The text of a token as the vocabulary spells it: "▁Once", "Ġworld", "<0x0A>".
    ///
    /// - Precondition: `id` is in `0..<count`.
    public func text(_ id: Int) -> String { String(storedBytes: texts[id]) }

    /// What a token is for.
    ///
    /// - Precondition: `id` is in `0..<count`.
    public func kind(_ id: Int) -> TokenKind { kinds[id] }

    /// The token with exactly this text, bytes compared.
    public func id(of text: String) -> Int? { texts.id(of: text.storedBytes.span) }

    /// The first id, of those that both have, whose token the other spells otherwise, bytes compared.
    public func firstDifference(from other: Vocabulary) -> Int? {
        (0..<min(count, other.count)).first { texts[$0] != other.texts[$0] }
    }
}

extension Vocabulary {
    /// Why a file's text cannot be turned into ids, as far as its names say, without reading the tokens.
    public static func problem(of metadata: Metadata) -> TokenizationError? {
        let keys = TokenizerKeys(metadata)
        var warnings: [String] = []
        do throws(TokenizationError) {
            if try model(keys) == .bytePair { _ = try preTokenizer(named: try keys.string(.preTokenizer), &warnings) }
            return keys.has(.tokens) ? nil : .missingKey(TokenizerKey.tokens.rawValue)
        } catch {
            return error
        }
    }

    private static func model(_ keys: TokenizerKeys) throws(TokenizationError) -> Model {
        guard let name = try keys.string(.model) else { throw .missingKey(TokenizerKey.model.rawValue) }
        guard let model = Model(rawValue: name) else {
            throw .unknownModel(name, known: Model.allCases.map(\.rawValue))
        }
        return model
    }

    private static func preTokenizer(
        named name: String?, _ warnings: inout [String]
    ) throws(TokenizationError) -> PreTokenizer {
        // llama.cpp takes an empty name for a missing one.
        if name?.isEmpty ?? true {
            warnings.append(
                """
                the metadata has no \(TokenizerKey.preTokenizer.rawValue): "\(PreTokenizer.defaultName)" is assumed, \
                and text may be cut into other words than the model was trained on
                """)
        }
        let name = name.flatMap { $0.isEmpty ? nil : $0 } ?? PreTokenizer.defaultName
        guard let preTokenizer = PreTokenizer.named(name) else {
            throw .unknownPreTokenizer(name, known: PreTokenizer.knownNames)
        }
        return preTokenizer
    }

    private static func texts(_ keys: TokenizerKeys) throws(TokenizationError) -> ByteStringTable {
        let tokens = try keys.strings(.tokens)
        guard !tokens.isEmpty else { throw .tooFew(key: TokenizerKey.tokens.rawValue, found: 0, expected: 1) }
        var texts = ByteStringTable(minimumCapacity: tokens.count)
        for (id, token) in tokens.enumerated() {
            // llama.cpp reads the texts as C strings, which end at the first zero byte.
            let text = Array(token.storedBytes.prefix { $0 != 0 })
            let inserted = texts.insert((text.isEmpty ? Array("[EMPTY_\(id)]".utf8) : text).span)
            if !inserted.isNew { throw .duplicateToken(text: token, first: inserted.id, second: id) }
        }
        return texts
    }

    private static func scores(_ keys: TokenizerKeys, count: Int) throws(TokenizationError) -> [Float] {
        guard let array = try keys.array(.scores, of: [.float32, .int32], count: count) else {
            return Array(repeating: 0, count: count)
        }
        var scores: [Float] = []
        scores.reserveCapacity(count)
        for (id, value) in array.prefix(count).enumerated() {
            let score = value.number.map { Float($0) } ?? Float(value.integer ?? 0)
            if score.isNaN { throw .scoreNotANumber(id: id) }
            scores.append(score)
        }
        return scores
    }

    private static func kinds(
        _ keys: TokenizerKeys, _ texts: ByteStringTable
    ) throws(TokenizationError) -> [TokenKind] {
        guard let array = try keys.array(.kinds, of: [.int32], count: texts.count) else {
            return Array(repeating: .normal, count: texts.count)
        }
        let kinds = array.prefix(texts.count).map { $0.integer.flatMap(TokenKind.init) ?? .undefined }
        for (id, kind) in kinds.enumerated() where kind == .byte && byte(spelled: texts[id]) == nil {
            throw .malformedByteToken(id: id, text: String(storedBytes: texts[id]))
        }
        return kinds
    }

    /// The byte that `<0xE2>` spells.
    static func byte(spelled text: ArraySlice<UInt8>) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text.last == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: text.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
    }

    /// How `byte` is spelled as a token.
    static func spelling(of byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count < 2 ? "0" : "")\(digits)>"
    }
}
