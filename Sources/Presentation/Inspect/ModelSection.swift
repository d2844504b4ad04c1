import GGUF
import LlamaModel
import Recording
import Tensors

/// What a model is at a glance: for the page in sentences, for a document as `model`.
struct ModelSection: Encodable {
    struct Layer: Encodable, Hashable {
        let nHead: Int
        let nHeadKv: Int
        let keyLength: Int
        let valueLength: Int
        let nFf: Int
    }

    struct Window: Encodable {
        let positions: Int
        @OrNull var layers: [Int]?
    }

    struct Rotation: Encodable {
        let base: Double
        @OrNull var windowBase: Double?
        @OrNull var dimensions: Int?
        @OrNull var scaling: String?
        @OrNull var factor: Double?
        @OrNull var originalContext: Int?
        let factors: [String]
        let layersWithout: [Int]
    }

    struct Experts: Encodable {
        let count: Int
        @OrNull var used: Int?
        let shared: Int
        @OrNull var nFf: Int?
        let denseLayers: Int
        let storedParams: Int
        @OrNull var activeParams: Int?
    }

    /// Bytes of a position in all layers, at F16.
    struct CacheBytes: Encodable {
        let own: Int
        let mha: Int
        let mqa: Int
        let layers: Int
        let windowed: Int
    }

    let nLayer: Int
    let nEmbd: Int
    let nVocab: Int
    let nCtxTrain: Int
    /// MHA, GQA, MQA or MLA; null without attention.
    @OrNull var attention: String?
    let layers: [Layer]
    @OrNull var window: Window?
    @OrNull var rotation: Rotation?
    @OrNull var experts: Experts?
    @OrNull var tokenizer: String?
    @OrNull var preTokenizer: String?
    @OrNull var cacheBytesPerToken: CacheBytes?
    /// Positions; null if the cache stops growing, or there is none.
    @OrNull var contextAt8GiB: Int?
    @OrNull var wholeContextAt8GiB: Int?

    private let overview: ModelOverview
    private let fileBytes: Int

    private enum CodingKeys: String, CodingKey {
        case nLayer, nEmbd, nVocab, nCtxTrain, attention, layers, window, rotation, experts, tokenizer, preTokenizer
        case cacheBytesPerToken
        case contextAt8GiB = "context_at_8_gib"
        case wholeContextAt8GiB = "context_at_8_gib_without_windows"
    }

    private static let memory = 8 << 30

    init(_ overview: ModelOverview, of file: GGUFFile) {
        self.overview = overview
        fileBytes = file.byteCount
        let sizes = overview.sizes
        (nLayer, nEmbd, nVocab, nCtxTrain) = (sizes.layers, sizes.embedding, sizes.vocabulary, sizes.trainedContext)
        layers = sizes.perLayer.map {
            Layer(
                nHead: $0.heads, nHeadKv: $0.kvHeads, keyLength: $0.keySize, valueLength: $0.valueSize,
                nFf: $0.feedForward)
        }
        window = overview.window.map { Window(positions: $0.positions, layers: $0.layers) }
        rotation = overview.rotation.map {
            Rotation(
                base: $0.base, windowBase: $0.windowBase, dimensions: $0.dimensions, scaling: $0.scaling,
                factor: $0.factor, originalContext: $0.originalContext, factors: $0.factors,
                layersWithout: $0.layersWithout)
        }
        experts = overview.experts.map {
            Experts(
                count: $0.count, used: $0.used, shared: $0.shared, nFf: $0.feedForward, denseLayers: $0.denseLayers,
                storedParams: file.parameterCount, activeParams: $0.activeWeights)
        }
        tokenizer = overview.tokenizer
        preTokenizer = overview.preTokenizer
        cacheBytesPerToken = overview.cache.map {
            CacheBytes(own: $0.perToken, mha: $0.mha, mqa: $0.mqa, layers: $0.layers, windowed: $0.windowedPerToken)
        }
        contextAt8GiB = overview.cache?.positions(in: Self.memory - fileBytes)
        wholeContextAt8GiB = overview.cache?.wholePositions(in: Self.memory - fileBytes)
        attention =
            overview.cache?.latent != nil
            ? "MLA" : layers.first { $0.nHeadKv > 0 && $0.nHead > 0 }.map { $0.kind }
    }

    // MARK: the page

    /// Sentences, one a line.
    var lines: [String] {
        [sizeLine, attentionLine, windowLine, rotationLine, expertsLine, vocabularyLine, cacheLine, contextLine]
            .compactMap { $0 }
    }

    private var sizeLine: String {
        let widths = groups { $0.nFf }.filter { $0.value > 0 }
        let feedForward =
            widths.count == 1
            ? ", feed-forward \(Numbers.grouped(widths[0].value))"
            : widths.isEmpty
                ? "" : ", feed-forward " + Self.list(widths.map { "\(Numbers.grouped($0.value)) in \($0.count)" })
        return "\(Numbers.count(nLayer, "layer")) of width \(Numbers.grouped(nEmbd))\(feedForward)."
    }

    private var attentionLine: String? {
        let withHeads = layers.filter { $0.nHead > 0 && $0.nHeadKv > 0 }
        guard let first = withHeads.first else { return layers.contains { $0.nHead > 0 } ? nil : "No attention heads." }
        if let latent = overview.cache?.latent {
            return
                "Attention: \(Numbers.count(first.nHead, "query head")); keys and values come from a latent vector of "
                + "\(latent.rank) values for all heads, and \(latent.rotated) that are rotated (MLA)."
        }
        let grouped: [String: Int] = Dictionary(grouping: withHeads, by: \.heads).mapValues(\.count)
        var kinds: [(heads: String, count: Int)] = grouped.map { ($0.key, $0.value) }
        kinds.sort { a, b in a.count == b.count ? a.heads < b.heads : a.count > b.count }
        if kinds.count == 1, withHeads.count == layers.count { return "Attention: \(first.heads)." }
        var parts = kinds.map { "in \(Numbers.count($0.count, "layer")) \($0.heads)" }
        if withHeads.count < layers.count { parts.append("\(layers.count - withHeads.count) without") }
        return "Attention differs: " + parts.joined(separator: "; ") + "."
    }

    private var windowLine: String? {
        guard let window else { return nil }
        let positions = Numbers.grouped(window.positions)
        guard let layers = window.layers else {
            return "Window: the file names one of \(positions) positions; which layers have it is not known to Quipu."
        }
        return "Window: the last \(positions) positions in \(layers.count) of \(Numbers.count(nLayer, "layer"))."
    }

    private var rotationLine: String? {
        guard let rotation else { return nil }
        var text = "Rotation: base \(Self.number(rotation.base))"
        if let base = rotation.windowBase { text += " (\(Self.number(base)) in layers with a window)" }
        if let dimensions = rotation.dimensions { text += ", \(dimensions) values of a head" }
        if let scaling = rotation.scaling {
            text += ", \(scaling) scaling"
            if let factor = rotation.factor { text += " by \(Self.number(factor))" }
            if let context = rotation.originalContext { text += " from \(Numbers.grouped(context)) positions" }
        }
        if !rotation.factors.isEmpty { text += ", divided by " + rotation.factors.joined(separator: " or ") }
        switch rotation.layersWithout.count {
        case 0: break
        case nLayer: text += "; no layer rotates"
        case let count:
            text += "; \(count) of \(nLayer) layers do not rotate: " + Self.ranges(rotation.layersWithout)
        }
        return text + "."
    }

    private var expertsLine: String? {
        guard let experts else { return nil }
        var text = "Experts: \(experts.count) a layer"
        if let used = experts.used { text += ", \(used) used for a token" }
        if experts.shared > 0 { text += ", \(experts.shared) shared by all" }
        if let width = experts.nFf { text += ", each of width \(Numbers.grouped(width))" }
        switch experts.denseLayers {
        case 0: break
        case 1: text += "; none in the first layer"
        case let count: text += "; none in the first \(count) layers"
        }
        guard let active = experts.activeParams else { return text + "." }
        return text
            + ". Of \(Numbers.grouped(experts.storedParams)) stored weights a token goes through \(Numbers.grouped(active))."
    }

    private var vocabularyLine: String {
        let names = [tokenizer, preTokenizer.map { "pre-tokenizer \($0)" }].compactMap { $0 }
        return "Vocabulary: \(Numbers.grouped(nVocab)) tokens" + (names.isEmpty ? "" : " (\(Self.list(names)))")
            + ". Trained context: \(Numbers.grouped(nCtxTrain)) positions."
    }

    private var cacheLine: String? {
        guard let bytes = cacheBytesPerToken else { return nil }
        var text =
            "KV cache: \(Numbers.grouped(bytes.own)) bytes per token at F16; \(Numbers.grouped(bytes.mha)) with a KV head "
            + "for each query head (MHA), \(Numbers.grouped(bytes.mqa)) with one for all (MQA)."
        if bytes.layers < nLayer { text += " \(nLayer - bytes.layers) of \(nLayer) layers keep none." }
        if overview.cache?.latent?.isKept == false {
            text += " The file is of an older kind, of which llama.cpp keeps all heads: as many bytes as with MHA."
        }
        return text
    }

    private var contextLine: String? {
        guard let cache = overview.cache else { return nil }
        let file = ByteSize(fileBytes)
        guard fileBytes < Self.memory else { return "Memory: the file alone (\(file)) is larger than 8 GiB." }
        let (positions, whole) = (
            cache.positions(in: Self.memory - fileBytes), cache.wholePositions(in: Self.memory - fileBytes)
        )
        var text = "Memory: 8 GiB hold the file (\(file)) and the KV cache of "
        text += positions.map { "\(Numbers.grouped($0)) positions" } ?? "any number of positions"
        guard positions != whole else { return text + "." }
        return text + " where layers with a window keep no more than it; of \(Numbers.grouped(whole)) where they "
            + "keep all, as Quipu does."
    }

    /// The distinct values of the layers with how many layers have each, the most frequent first.
    private func groups(_ value: (Layer) -> Int) -> [(value: Int, count: Int)] {
        Dictionary(grouping: layers, by: value).map { (value: $0, count: $1.count) }
            .sorted { ($1.count, $0.value) < ($0.count, $1.value) }
    }

    private static func list(_ items: [String]) -> String { items.joined(separator: ", ") }

    private static func number(_ value: Double) -> String {
        abs(value) < 1e15 && value == value.rounded() ? Numbers.grouped(Int(value)) : Numbers.significant(value)
    }

    /// `3, 7, 11 to 14`.
    private static func ranges(_ numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return list(ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)" })
    }
}

extension ModelSection.Layer {
    fileprivate var kind: String { nHeadKv == nHead ? "MHA" : nHeadKv == 1 ? "MQA" : "GQA" }

    fileprivate var heads: String {
        let size = keyLength == valueLength ? "\(keyLength)" : "\(keyLength) (keys) and \(valueLength) (values)"
        let shared =
            kind == "GQA" && nHead % nHeadKv == 0 ? "GQA: each KV head serves \(nHead / nHeadKv)" : kind
        return
            "\(Numbers.count(nHead, "query head")), \(Numbers.count(nHeadKv, "KV head")) of \(size) values (\(shared))"
    }
}
