import Foundation
import Operations
import TestSupport
import Testing

/// Formula and sentence stand with the operation; docs/operations.md shows them.
@Suite struct DocumentationTests {
    private static let page = Places.package.appending(path: "docs/operations.md")

    /// `QUIPU_KEEP_SCREENS=1` writes the table again.
    @Test func thePageHasEveryOperationInItsOwnWords() throws {
        let rows = OperationCatalog.all.map { "| `\($0.kind)` | `\($0.formula)` | \($0.summary) |" }
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let start = try #require(text.range(of: "|---|---|---|\n")).upperBound
        let lines = text[start...].split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if ProcessInfo.processInfo.environment["QUIPU_KEEP_SCREENS"] == "1" {
            let all = text[..<start] + (rows + lines.drop { $0.hasPrefix("|") }).joined(separator: "\n")
            try Data(all.utf8).write(to: Self.page)
        } else {
            #expect(lines.prefix { $0.hasPrefix("|") } == rows[...])
        }
    }

    @Test func theyAreSentences() {
        for operation in OperationCatalog.all {
            #expect(operation.summary.hasSuffix(".") && operation.summary.count < 120, "\(operation.kind)")
            #expect(operation.formula.count < 80 && !operation.formula.contains("|"), "\(operation.kind)")
        }
        #expect(Set(OperationCatalog.all.map { $0.formula }).count == OperationCatalog.all.count)
    }
}
