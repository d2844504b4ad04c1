import GGUF
import LlamaModel

/// The result of `inspect` for an importance matrix from before GGUF.
public struct ImportanceReport: Report {
    struct Entry: Encodable {
        let name: String
        let nValues: Int
        let calls: Int
    }

    let file: String
    let kind: String
    let use: String
    let datasets: [String]
    let chunks: Int
    let entries: [Entry]

    public init(_ importance: LegacyImportance) {
        file = importance.path
        kind = FileKind.importanceMatrix.name
        use = FileKind.importanceMatrix.words ?? ""
        datasets = importance.datasets
        chunks = importance.chunks
        entries = importance.entries.map { Entry(name: $0.name, nValues: $0.means.count, calls: $0.calls) }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(file.onOneLine)]
        lines += (use + " This one is in the format from before GGUF (imatrix.dat); `quipu quantize` takes it too.")
            .wrapped(to: style.width, indent: "")
        let about = datasets.isEmpty ? "" : ", of \(datasets.joined(separator: ", ").onOneLine)"
        lines.append("\(Numbers.count(entries.count, "weight tensor")), \(Numbers.count(chunks, "chunk"))\(about)")
        var table = Table([("weight", .whole), ("values", .right), ("calls", .right)])
        for entry in entries { table.add(entry.name.onOneLine, "\(entry.nValues)", "\(entry.calls)") }
        return (lines + [""] + table.lines(style)).joined(separator: "\n")
    }
}
