import ComputeGraph
import Operations
import Recording
import Tensors

/// The result of `explain operation`: kinds of operations in their own words.
public struct OperationReport: Report {
    struct Entry: Encodable {
        let kind: String
        let formula: String
        let summary: String
        /// Whether it only names values of its source, and whether it changes the memory of the cache.
        let isView: Bool
        let isWrite: Bool

        init(_ operation: any Operation.Type) {
            (kind, formula, summary) = (operation.kind, operation.formula, operation.summary)
            (isView, isWrite) = (operation.isView, operation.isWrite)
        }
    }

    let operations: [Entry]

    /// - Parameter kind: `nil`: all.
    /// - Throws: `OperationProblem` if there is no such kind.
    public init(kind: String?) throws {
        let all = OperationCatalog.all.map { Entry($0) }
        guard let kind else {
            operations = all
            return
        }
        operations = all.filter { $0.kind == kind.uppercased() }
        if operations.isEmpty {
            throw OperationProblem(kind: kind, suggestions: nearest(to: kind, in: all.map(\.kind)))
        }
    }

    public func page(_ style: Style) -> String {
        operations.map { entry in
            ([style.bold(entry.kind), "  " + style.accent(entry.formula)]
                + style.paragraph(entry.summary, indent: "")).joined(separator: "\n")
        }.joined(separator: "\n\n")
    }
}

/// A kind of operation that there is not.
public struct OperationProblem: InputProblem, Equatable {
    let kind: String
    let suggestions: [String]

    public var description: String {
        "there is no kind of operation '\(kind)'."
            + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
            + " `quipu explain operation` lists all."
    }
}
