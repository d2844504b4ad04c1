import LlamaModel
import Measuring
import Quantizing

/// The result of `imatrix`.
public struct ImatrixReport: Report {
    /// One weight tensor.
    struct Line: Encodable {
        let name: String
        /// Columns of one matrix, and matrices of their own sums.
        let nColumns: Int
        let nMatrices: Int
        /// Mean square of the activations, over all columns and over the one that matters most.
        let mean: Double
        let largest: Double
        let largestColumn: Int
        /// Experts that no token was sent to.
        let nWithoutTokens: Int
    }

    let model: String
    let output: String
    let text: ImatrixText
    let wallS: Double
    let nTokens: Int
    /// In the file: this text's chunks, and those of earlier matrices.
    let nChunks: Int
    /// Where a run that was stopped was taken up; 0: at the beginning.
    let resumedAt: Int
    let datasets: [String]
    let tensors: [Line]

    struct ImatrixText: Encodable {
        let name: String
        let nTokens: Int
        let nChunks: Int
        let chunkSize: Int
    }

    public init(_ work: ImportanceRun, resumedAt: Int, output: String, wallNs: Int) {
        model = work.model.file.path
        self.output = output
        self.resumedAt = resumedAt
        let text = work.text
        self.text = ImatrixText(
            name: text.name, nTokens: text.tokenCount, nChunks: text.chunks.count, chunkSize: text.chunkSize)
        wallS = Double(wallNs) / 1e9
        nTokens = (text.chunks.count - resumedAt) * text.chunkSize
        nChunks = work.sums.chunks
        datasets = work.sums.datasets
        tensors = work.sums.entries.keys.sorted().map { name in
            let (entry, means) = (work.sums.entries[name]!, work.sums.means(of: name)!)
            let largest = means.indices.max { means[$0] < means[$1] }!
            let (total, matrices) = (means.reduce(0.0) { $0 + Double($1) }, entry.counts.count)
            return Line(
                name: name, nColumns: means.count / matrices, nMatrices: matrices,
                mean: total / Double(means.count), largest: Double(means[largest]),
                largestColumn: largest % (means.count / matrices), nWithoutTokens: entry.counts.count { $0 == 0 })
        }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(model.cutAtFront(to: style.width))]
        lines.append("text: " + text.name.cutAtFront(to: style.width - 6))
        lines += words(
            "\(Numbers.grouped(nTokens)) tokens read in \(Numbers.fixed(wallS, 1)) s"
                + (resumedAt > 0 ? ", after \(Numbers.count(resumedAt, "chunk")) of an earlier run" : "")
                + "; the file holds \(Numbers.count(nChunks, "chunk")) of \(text.chunkSize).", style)
        lines += ["", "Wrote " + style.accent(output) + ": \(Numbers.count(tensors.count, "weight tensor"))."]
        lines += ["", style.bold("Mean square of what columns are multiplied with; the most uneven first"), ""]
        var table = Table([
            ("tensor", .whole), ("columns", .right), ("mean", .right), ("largest", .right), ("column", .right),
            ("times", .right),
        ])
        func unevenness(_ line: Line) -> Double { line.mean > 0 ? line.largest / line.mean : 0 }
        for line in tensors.sorted(by: { unevenness($0) > unevenness($1) }).prefix(12) {
            table.add(
                line.name, "\(line.nColumns)", Numbers.short(line.mean), Numbers.short(line.largest),
                "\(line.largestColumn)", Numbers.short(unevenness(line)))
        }
        lines += table.lines(style)
        let idle = tensors.filter { $0.nWithoutTokens > 0 }
        if let worst = idle.max(by: { $0.nWithoutTokens < $1.nWithoutTokens }) {
            lines += [""]
            lines += words(
                "No token was sent to some experts of \(Numbers.count(idle.count, "tensor")), up to "
                    + "\(worst.nWithoutTokens) of \(worst.nMatrices) in \(worst.name): all their columns count the same. A "
                    + "longer text reaches more.", style)
        }
        return lines.joined(separator: "\n")
    }

    private func words(_ text: String, _ style: Style) -> [String] { text.wrapped(to: style.width) }
}
