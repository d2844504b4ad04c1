import GGUF
import LlamaModel
import Recording
import Tracing

/// The result of `gqa`: which query heads read which KV head, what that saves, and how alike the heads are.
public struct GQAReport: Report {
    struct QueryHead: Encodable {
        let layer: Int
        let head: Int
        let kvHead: Int
    }

    struct CacheBytes: Encodable {
        let gqa: Int
        let mha: Int
        let mqa: Int
    }

    /// Bytes of a position under each way of sharing, and what it costs.
    struct Sharing: Encodable {
        let name: String
        /// `mha`, `gqa`, `mqa` or `mla`.
        let kind: String
        let nLayer: Int
        let nHead: Int
        let nHeadKv: Int
        let mha: Int
        let own: Int
        let mqa: Int
        let productsPerScore: Int
        let productsPerValue: Int
        let unpackedPerScore: Int
        let unpackedPerValue: Int

        init(_ shape: CacheShape) {
            name = shape.name
            kind = shape.kind.rawValue
            (nLayer, nHead, nHeadKv) = (shape.layers, shape.heads, shape.kvHeads)
            (mha, own, mqa) = (shape.mha, shape.own, shape.mqa)
            (productsPerScore, productsPerValue) = (shape.productsPerScore, shape.productsPerValue)
            (unpackedPerScore, unpackedPerValue) = (shape.unpackedPerScore, shape.unpackedPerValue)
        }
    }

    struct Similarity: Encodable {
        let layer: Int
        /// By KV head; null where it has one query head.
        let withinGroup: [Double?]
        @OrNull var within: Double?
        @OrNull var between: Double?
        @OrNull var keys: Double?
        @OrNull var values: Double?
        let patterns: [[Double]]
    }

    let model: String
    let nLayer: Int
    let nHead: Int
    let nHeadKv: Int
    let headDim: Int
    /// Positions that `cache_bytes` are for.
    let context: Int
    let map: [QueryHead]
    let cacheBytes: CacheBytes
    /// The model at hand, then models that many know.
    let sharing: [Sharing]
    @OrNull var trace: String?
    @OrNull var similarity: [Similarity]?
    private let shownLayer: Int?
    private let groupSize: Int
    private let latent: ModelSizes.Layer.Latent?

    private enum CodingKeys: CodingKey {
        case model, nLayer, nHead, nHeadKv, headDim, context, map, cacheBytes, sharing, trace, similarity
    }

    /// - Parameter layer: whose heads are compared one by one on the page.
    public init(
        _ model: Llama, context: Int, trace: String? = nil, attention: GroupedAttention? = nil, layer: Int? = nil
    ) {
        let c = model.configuration
        self.model = model.file.path
        (nLayer, nHead, nHeadKv, headDim, self.context) = (c.layers, c.heads, c.kvHeads, c.headSize, context)
        groupSize = c.groupSize
        map = (0..<c.layers).flatMap { layer in
            (0..<c.heads).map { QueryHead(layer: layer, head: $0, kvHead: c.kvHead(ofQueryHead: $0)) }
        }
        func bytes(_ heads: Int) -> Int { KVCache.bytes(c, heads: heads, positions: context) }
        cacheBytes = CacheBytes(
            gqa: KVCache.bytes(c, positions: context), mha: bytes(c.heads), mqa: bytes(1))
        latent = c.perLayer[0].latent
        sharing = ([CacheShape(name: "this model", c.perLayer)] + CacheShape.known).map(Sharing.init)
        self.trace = trace
        similarity = attention?.layers.map { layer in
            Similarity(
                layer: layer.layer, withinGroup: (0..<c.kvHeads).map(layer.within(kvHead:)), within: layer.within,
                between: layer.between, keys: layer.betweenKeys, values: layer.betweenValues,
                patterns: layer.patterns)
        }
        shownLayer = layer
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        [
            mapLines(style), cacheLines(style), sharingLines(style), similarityLines(style), matrixLines(style),
        ].filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private var kind: String {
        if let latent {
            return "A latent vector of \(latent.rank) values, with \(latent.rotated) that are rotated, stands for the "
                + "keys and values of all \(nHead) heads: multi-head latent attention (MLA)"
        }
        return switch nHeadKv {
        case nHead: "Every query head has a KV head of its own: multi-head attention (MHA)"
        case 1: "All \(nHead) query heads share one KV head: multi-query attention (MQA)"
        default: "\(nHead) query heads share \(nHeadKv) KV heads, \(groupSize) each: grouped-query attention (GQA)"
        }
    }

    private func mapLines(_ style: Style) -> [String] {
        let words = kind.wrapped(to: style.width, indent: "")
        var lines =
            [style.dim(model.cutAtFront(to: style.width))] + words.map(style.bold) + [
                "", style.dim("KV head      query heads that read it"),
            ]
        let cell = "\(nHead - 1)".count
        let perLine = max(1, (style.width - 13) / (cell + 3))
        for kvHead in 0..<nHeadKv {
            let heads = (kvHead * groupSize..<(kvHead + 1) * groupSize).map { "[\("\($0)".leftPadded(to: cell))]" }
            for start in stride(from: 0, to: heads.count, by: perLine) {
                let row = heads[start..<min(start + perLine, heads.count)].joined(separator: " ")
                let name = start == 0 ? "\(kvHead)".leftPadded(to: 4) + "  <----  " : String(repeating: " ", count: 13)
                lines.append(name + style.accent(row))
            }
        }
        return lines + [style.dim("The same in \(nLayer == 1 ? "its one layer" : "all \(nLayer) layers").")]
    }

    private func cacheLines(_ style: Style) -> [String] {
        var table = Table([
            ("KV heads", .right), ("", .left), ("cache", .right), ("a token", .right), ("", .left),
        ])
        let rows = [
            (nHead, "one a query head (MHA)", cacheBytes.mha),
            (nHeadKv, latent == nil ? "as this model has" : "the latent vector (MLA)", cacheBytes.gqa),
            (1, "one for all (MQA)", cacheBytes.mqa),
        ]
        for (heads, words, bytes) in rows {
            let share = Double(bytes) / Double(max(1, cacheBytes.mha))
            table.add(
                "\(heads)", words, ByteSize(bytes).description, ByteSize(bytes / max(1, context)).description,
                Bar.horizontal(share, width: 20))
        }
        return [style.bold("KV cache of \(Numbers.count(context, "position")), F16, all layers")] + table.lines(style)
    }

    /// The kinds of attention side by side.
    private func sharingLines(_ style: Style) -> [String] {
        var table = Table([
            ("bytes per token", .left), ("MHA", .right), ("GQA", .right), ("MLA", .right), ("MQA", .right),
            ("score", .right), ("value", .right),
        ])
        for shape in sharing {
            func own(_ kind: String) -> String { shape.kind == kind ? Numbers.grouped(shape.own) : "-" }
            func products(_ own: Int, _ unpacked: Int) -> String { own == unpacked ? "\(own)" : "\(own)/\(unpacked)" }
            table.add(
                shape.name, Numbers.grouped(shape.mha), own("gqa"), own("mla"), Numbers.grouped(shape.mqa),
                products(shape.productsPerScore, shape.unpackedPerScore),
                products(shape.productsPerValue, shape.unpackedPerValue))
        }
        let legend = """
            F16, all layers. GQA and MLA: as the model itself keeps them; MHA and MQA: if each query head had keys and \
            values of its own, or all shared one. Score, value: products that each takes for a position; with MLA more \
            than keys and values unpacked would take (behind the slash): it saves cache, not arithmetic.
            """
        return [style.bold("What sharing saves")] + table.lines(style)
            + legend.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    private func similarityLines(_ style: Style) -> [String] {
        guard let similarity, let trace else {
            return [style.dim("--trace TRACE compares the heads of a group; `gqa what-if` changes them.")]
        }
        var table = Table([
            ("layer", .right), ("in a group", .right), ("across", .right), ("keys", .right), ("values", .right),
            ("groups", .left),
        ])
        for layer in similarity {
            func number(_ value: Double?) -> String { value.map { Numbers.fixed($0) } ?? "-" }
            table.add(
                "\(layer.layer)", number(layer.within), number(layer.between), number(layer.keys),
                number(layer.values), Bar.sparkline(layer.withinGroup.compactMap(\.self)))
        }
        let legend = """
            Cosines. In a group: what two query heads of one KV head look at; across: two of different KV heads. Keys, \
            values: two KV heads at one position. Groups: the first column, KV head by KV head.
            """
        return [style.bold("How alike heads are in \(trace)")] + table.lines(style)
            + legend.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    /// Query head by query head, in one layer.
    private func matrixLines(_ style: Style) -> [String] {
        guard let shownLayer, let layer = similarity?[shownLayer] else { return [] }
        let perPage = (style.width - 6) / 5
        let shown = min(nHead, perPage)
        var lines = [style.bold("Layer \(shownLayer): cosine of what query heads look at; | between groups")]
        func row(_ name: String, _ cells: [String]) -> String {
            var line = name.leftPadded(to: 4) + " "
            for (head, cell) in cells.enumerated() {
                line += (head > 0 && head % groupSize == 0 ? "|" : " ") + cell
            }
            return line
        }
        lines.append(style.dim(row("", (0..<shown).map { "\($0)".leftPadded(to: 4) })))
        for head in 0..<nHead {
            let cells = layer.patterns[head].prefix(shown).map { value in
                HeatMap.cell(Numbers.fixed(value), share: value, style)
            }
            lines.append(row("\(head)", cells))
        }
        if shown < nHead { lines.append(style.dim("Heads \(shown) to \(nHead - 1) do not fit; --json has all.")) }
        return lines
    }
}
