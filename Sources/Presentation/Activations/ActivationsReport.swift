import LlamaModel
import Measuring
import Tokenization
import Tracing

/// The result of `activations -o`.
public struct ActivationsReport: Report {
    struct Column: Encodable {
        let name: String
        @OrNull var layer: Int?
        let width: Int
        let file: String
    }

    let output: String
    let model: String
    let text: String
    let nTokens: Int
    let nRows: Int
    let nShards: Int
    let resumedAt: Int
    /// Of all shards.
    let sizeBytes: Int
    let columns: [Column]

    public init(_ shards: ActivationShards, resumedAt: Int, output: String) {
        let index = shards.index
        self.output = output
        self.resumedAt = resumedAt
        (model, text, nRows, nShards) = (index.model, index.text, index.rows, index.shards)
        nTokens = index.chunks * index.chunkSize
        columns = index.columns.map { Column(name: $0.name, layer: $0.layer, width: $0.width, file: $0.file) }
        sizeBytes = index.rows * 4 * index.columns.reduce(3) { $0 + $1.width }
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold(model.cutAtFront(to: style.width)), "text: " + text.cutAtFront(to: style.width - 6), "",
        ]
        lines += [
            "Wrote " + style.accent(output) + ": \(Numbers.grouped(nRows)) rows in \(Numbers.count(nShards, "shard")), "
                + "\(Numbers.fixed(Double(sizeBytes) / 1e6)) MB.", "",
        ]
        var table = Table([("operation", .whole), ("width", .right), ("files", .left)])
        for column in columns { table.add(column.name, "\(column.width)", "\(column.file).NNNNN.npy") }
        return (lines + table.lines(style)).joined(separator: "\n")
    }
}

/// The result of `activations --top`.
public struct TopActivationsReport: Report {
    struct Hit: Encodable {
        let value: Double
        let chunk: Int
        let position: Int
        let token: String
        let before: String
        let after: String
        let ids: [Int]
    }

    let name: String
    let model: String
    let text: String
    let nRows: Int
    let mean: Double
    let positiveShare: Double
    let hits: [Hit]

    public init(_ top: TopActivations, of model: Llama, on text: ScoredText) {
        name = top.name
        self.model = model.file.path
        self.text = text.name
        (nRows, mean, positiveShare) = (top.count, top.mean, top.positive)
        let vocabulary = model.vocabulary
        hits = top.hits.map { hit in
            Hit(
                value: hit.value, chunk: hit.chunk, position: hit.position,
                token: vocabulary.decode([hit.context[hit.index]]),
                before: vocabulary.decode(Array(hit.context[..<hit.index])),
                after: vocabulary.decode(Array(hit.context[(hit.index + 1)...])), ids: hit.context)
        }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(name), "text: " + text.cutAtFront(to: style.width - 6)]
        lines +=
            ("\(Numbers.grouped(nRows)) tokens; mean \(Numbers.signed(mean)), above zero in "
            + "\(Numbers.percent(positiveShare)).").wrapped(to: style.width)
        lines.append("")
        for hit in hits {
            let head = Numbers.signed(hit.value).leftPadded(to: 10) + "  "
            let token = hit.token.onOneLine
            let after = hit.after.onOneLine.cut(to: 16)
            let room = style.width - head.count - token.displayWidth - after.displayWidth - 2
            let before = hit.before.onOneLine.cutAtFront(to: max(8, room))
            lines.append(head + before + style.accent("[" + token + "]") + style.dim(after))
        }
        return lines.joined(separator: "\n")
    }
}
