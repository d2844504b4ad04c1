import Foundation
import Mustache
import ProgramFiles

/// The report as one HTML file: template, style, script and data in one text that needs nothing else.
public enum ReportPage {
    private static let folder = ProgramFolder("page", target: "ReportPage", resource: "Page")

    /// - Parameters:
    ///   - title: plain text.
    ///   - data: a JSON document without `<`, which the script reads.
    /// - Throws: `ProgramFileMissing` or `FileProblem` if the page's files are not with the program; an error of the
    ///   template library, if the template is at fault.
    public static func html(title: String, data: String) throws -> String {
        let template = try MustacheTemplate(string: text("page.mustache"))
        return template.render([
            "title": title, "style": try text("report.css"), "data": data,
            "scripts": try scripts.map(text).joined(separator: "\n"),
        ])
    }

    /// In the order in which the browser runs them.
    private static let scripts = [
        "base.js", "pictures.js", "overview.js", "pass.js", "attention.js", "experts.js",
        "quantisation.js", "depth.js", "roofline.js", "start.js",
    ]

    private static func text(_ name: String) throws -> String {
        let path = try folder.path(of: name)
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw FileProblem(path: path, action: .read, reason: FileProblem.reason(of: error))
        }
    }
}
