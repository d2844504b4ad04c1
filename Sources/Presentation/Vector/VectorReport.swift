import LlamaModel
import Measuring

/// The result of `vector make`.
public struct VectorReport: Report {
    struct Layer: Encodable {
        /// Of the tensor, `direction.N`: found after layer N - 1, added after layer N.
        let direction: Int
        let rows: Int
        let meanSize: Double
        /// Of the rows' squares, what lies along the direction.
        let share: Double
        /// Of the rows, those on its positive side.
        let positiveShare: Double
    }

    let model: String
    let output: String
    let method: String
    let tokens: String
    let nPairs: Int
    let layers: [Layer]

    public init(_ vectors: ContrastVectors, of model: Llama, pairs: Int, output: String) {
        (self.model, self.output, nPairs) = (model.file.path, output, pairs)
        (method, tokens) = (vectors.method.rawValue, vectors.tokens.rawValue)
        layers = vectors.layers.map {
            Layer(
                direction: $0.number, rows: $0.rows, meanSize: $0.meanSize, share: $0.share,
                positiveShare: Double($0.positive) / Double($0.rows))
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([
            ("direction", .right), ("rows", .right), ("size of the mean", .right), ("along it", .right),
            ("positive", .right), ("", .left),
        ])
        for layer in layers {
            table.add(
                "\(layer.direction)", "\(layer.rows)", Numbers.short(layer.meanSize), Numbers.percent(layer.share),
                Numbers.percent(layer.positiveShare), Bar.horizontal(layer.share, width: 20))
        }
        let words =
            "A row is the difference of the streams of a pair at a token, after the layer before; along it: how much of all "
            + "rows' squares the direction has; positive: rows that point its way."
        return
            ([style.bold(model.cutAtFront(to: style.width))]
            + table.lines(style) + [""] + words.wrapped(to: style.width, paint: style.dim)
            + [
                "",
                "Wrote " + style.accent(output)
                    + ": \(Numbers.count(layers.count, "direction")) by \(method) of \(Numbers.count(nPairs, "pair")).",
                "Next:", "  " + style.dim("steer a run with it, as llama.cpp's --control-vector does"),
                "    " + style.accent("quipu trace … --control-vector \(output)"),
            ]).joined(separator: "\n")
    }
}
