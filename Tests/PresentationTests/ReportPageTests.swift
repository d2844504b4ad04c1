import ReportPage
import Testing

@Suite struct ReportPageTests {
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
