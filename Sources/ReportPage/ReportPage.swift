import Foundation
import Mustache
import ProgramFiles

/// The report as one HTML file: template, style, script and data in one text that needs nothing else.
public enum ReportPage {
    private static let folder = ProgramFolder("page", target: "ReportPage", resource: "Page")

    /// What makes a page live: `quipu open` serves it, and answers what its script asks.
    public struct Live: Sendable {
        let state: String
        let nonce: String

        /// - Parameters:
        ///   - state: a JSON document without `<`: where to ask, and what traces there are.
        ///   - nonce: what the browser demands of a script before it runs it.
        public init(state: String, nonce: String) { (self.state, self.nonce) = (state, nonce) }
    }

    /// - Parameters:
    ///   - title: plain text.
    ///   - data: a JSON document without `<`, which the script reads; `nil` for a model of which there is no trace, which
    ///     only a live page shows.
    ///   - live: `nil` for a page that stands alone.
    /// - Throws: `ProgramFileMissing` or `FileProblem` if the page's files are not with the program; an error of the
    ///   template library, if the template is at fault.
    public static func html(title: String, data: String?, live: Live? = nil) throws -> String {
        let template = try MustacheTemplate(string: text("page.mustache"))
        let scripts = base + (live == nil ? [] : liveViews) + (data == nil ? [] : views) + end
        var parts: [String: Any] = [
            "title": title, "style": try text("report.css"), "data": data ?? noTrace,
            "scripts": try scripts.map(text).joined(separator: "\n"),
        ]
        if let live { (parts["live"], parts["nonce"]) = (live.state, live.nonce) }
        return template.render(parts)
    }

    /// In the order in which the browser runs them, which is that of the tabs.
    private static let views = [
        "overview.js", "pass.js", "picture.js", "attention.js", "experts.js", "quantisation.js", "depth.js",
        "roofline.js", "attribution.js", "against.js",
    ]
    private static let base = ["base.js", "pictures.js"]
    private static let liveViews = ["live.js", "changes.js", "ask.js", "model.js", "instrument.js", "lessons.js"]
    private static let end = ["start.js"]

    /// What the script reads of a run where there is none.
    private static let noTrace = """
        {"tokens": {"piece": [], "source": []}, "weights": {"name": []}, "model": {"n_layer": 0}, "run": {}, "passes": [], \
        "graphs": [], "kinds": []}
        """

    private static func text(_ name: String) throws -> String {
        let path = try folder.path(of: name)
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw FileProblem(path: path, action: .read, reason: FileProblem.reason(of: error))
        }
    }
}
