/// Which module may import what: the rows of the architecture, in the order in which data flows through the program.
///
/// A module imports only from rows above its own.
struct ImportRules {
    static let rows: [[String]] = [
        ["Tensors"],
        ["GGUF", "SIMDKernels", "Jinja", "ComputeGraph"],
        ["Quantization", "Tokenization"],
        ["Operations", "Quantizing"],
        ["LlamaModel"],
        ["ProgramFiles"],
        ["EmbeddedModel", "Recording", "Measuring"],
        ["Tracing"],
        ["Stepping", "Lessons"],
        ["Presentation", "ReportPage"],
        ["quipu"],
    ]

    static let row = Dictionary(
        uniqueKeysWithValues: rows.enumerated().flatMap { row, names in names.map { ($0, row) } })

    /// Modules from elsewhere that only these may import.
    private static let guests: [String: Set<String>] = [
        "GRDB": ["Recording"],
        "GRDBSQLite": ["Recording"],
        "CryptoKit": ["Recording"],
        "Libcrypto": ["Recording"],
        "Rainbow": ["Presentation"],
        "Mustache": ["ReportPage"],
        "Yams": ["Lessons"],
        "ArgumentParser": ["quipu"],
        "Synchronization": ["Tensors", "ComputeGraph", "Quantizing", "Measuring", "Stepping", "quipu"],
        // Large memory, mapping files, threads, a thread's priority, and asking whether the output is a terminal.
        "Glibc": ["Tensors", "GGUF", "ComputeGraph", "Recording", "quipu"],
        "Musl": ["Tensors", "GGUF", "ComputeGraph", "Recording", "quipu"],
        "Darwin": ["Tensors", "GGUF", "ComputeGraph", "Recording", "quipu"],
    ]

    /// Modules from elsewhere that are welcome from this row down.
    private static let firstRow = ["RealModule": 3, "Foundation": 5]

    /// What is wrong with a file of `module`, in words; empty if nothing is.
    static func violations(in text: String, of module: String) -> [String] {
        guard let row = row[module] else { return ["module \(module) has no row"] }
        return imports(in: text).compactMap { imported in
            if let other = Self.row[imported] {
                return other < row ? nil : "\(module) (row \(row)) imports \(imported) (row \(other))"
            }
            if let hosts = guests[imported] {
                return hosts.contains(module) ? nil : "\(module) imports \(imported), which only \(hosts.sorted()) may"
            }
            if let first = firstRow[imported] {
                return row >= first ? nil : "\(module) (row \(row)) imports \(imported), allowed from row \(first)"
            }
            return "\(module) imports \(imported), which no rule allows"
        }
    }

    /// The modules that a Swift file imports, whatever attributes, access level, kind or submodule the import names.
    static func imports(in text: String) -> [String] {
        text.components(separatedBy: "\n").compactMap { line in
            guard line.contains("import") else { return nil }
            let code = line.prefix { $0 != "/" }
            let words = code.split { $0 == " " || $0 == "\t" || $0 == ";" }
            guard let index = words.firstIndex(of: "import"), index + 1 < words.count else { return nil }
            guard words[..<index].allSatisfy({ $0.hasPrefix("@") || levels.contains(String($0)) }) else { return nil }
            let isScoped = kinds.contains(String(words[index + 1])) && index + 2 < words.count
            return words[isScoped ? index + 2 : index + 1].split(separator: ".").first.map(String.init)
        }
    }

    private static let levels: Set = ["public", "package", "internal", "fileprivate", "private"]
    private static let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
}
