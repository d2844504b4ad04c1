import Foundation
import Recording
import TestSupport
import Testing

/// docs/trace.md against the schema: its tables name every table and view of a fresh trace, and exactly their columns.
@Suite struct DocumentationTests {
    @Test func everyTableAndColumnIsDocumented() throws {
        let folder = try TemporaryFolder()
        try TraceStore.create(path: folder.path("fresh.db")).close()
        let store = try TraceStore.open(path: folder.path("fresh.db"))
        let names = try store.texts("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").compactMap(\.self)
        var actual: [String: [String]] = [:]
        for name in names {
            actual[name] = try store.texts("SELECT name FROM pragma_table_xinfo('\(name)')").compactMap(\.self).sorted()
        }
        let page = try String(contentsOf: Places.package.appending(path: "docs/trace.md"), encoding: .utf8)
        // The tables of tables and views; the roles of operations follow, in a table of their own.
        let tables = try #require(page.range(of: "\n## Roles")).lowerBound
        let documented = Self.columns(in: String(page[..<tables]))
        #expect(Set(documented.keys).symmetricDifference(actual.keys) == [])
        for (name, columns) in actual { #expect(documented[name] == columns, "\(name)") }
    }

    @Test func aMissingColumnIsNoticed() {
        let row = "| `op_x` (a view) | an edge | id, kind (`set`, or | other), ne0..ne3 |\n|a|b|c|\n"
        #expect(Self.columns(in: row) == ["op_x": ["id", "kind", "ne0", "ne1", "ne2", "ne3"]])
    }

    /// The columns that rows like ``| `name` (a view) | what a row is | id, type (explained), ne0..ne3 |`` list, sorted.
    private static func columns(in page: String) -> [String: [String]] {
        var found: [String: [String]] = [:]
        for line in page.split(separator: "\n") {
            guard let row = line.wholeMatch(of: /\| `(\w+)`(?: \(a view\))? \| .+? \| (.*) \|/) else { continue }
            let names = row.2.replacing(/\([^()]*(?:\([^()]*\)[^()]*)*\)/, with: "").split(separator: ",").flatMap {
                let name = $0.trimmingCharacters(in: .whitespaces)
                return name == "ne0..ne3" ? ["ne0", "ne1", "ne2", "ne3"] : [name]
            }
            found[String(row.1)] = names.sorted()
        }
        return found
    }
}
