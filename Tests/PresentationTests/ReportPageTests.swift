import Operations
import ReportPage
import Testing

@Suite struct ReportPageTests {
    /// An operation without a formula and a sentence would be a riddle on the page.
    @Test(arguments: OperationCatalog.all.map { $0.kind })
    func everyOperationIsExplained(kind: String) throws {
        let page = try ReportPage.html(title: "", data: "{}")
        let glossary = try #require(page.range(of: "const GLOSSARY = {"))
        let rest = page[glossary.upperBound...]
        let text = rest[..<(try #require(rest.range(of: "};"))).lowerBound]
        #expect(text.contains("\n  \(kind): ["))
    }

    /// Every part that the page's script runs is in it, once.
    @Test func thePageIsWhole() throws {
        let page = try ReportPage.html(title: "a < b", data: #"{"a":"{{title}}"}"#)
        for part in [
            "id: \"overview\"", "id: \"pass\"", "id: \"attention\"", "id: \"quantisation\"", "id: \"depth\"",
            "id: \"roofline\"",
        ] {
            #expect(page.components(separatedBy: part).count == 2, "\(part)")
        }
        #expect(page.contains("<title>a &lt; b</title>"))
        #expect(page.contains(#"{"a":"{{title}}"}"#))
    }
}
