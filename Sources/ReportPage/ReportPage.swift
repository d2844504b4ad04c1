import Mustache

/// The report as one HTML file: template, style, script and data in one text that needs nothing else.
///
/// The files of `Page/` are compiled in, so that the page is made wherever the program lies.
public enum ReportPage {
    /// - Parameters:
    ///   - title: plain text.
    ///   - data: a JSON document without `<`, which the script reads.
    /// - Throws: an error of the template library, if the template is at fault.
    public static func html(title: String, data: String) throws -> String {
        let template = try MustacheTemplate(string: text(PackageResources.page_mustache))
        return template.render([
            "title": title, "style": text(PackageResources.report_css), "data": data,
            "scripts": scripts.map(text).joined(separator: "\n"),
        ])
    }

    /// In the order in which the browser runs them.
    private static let scripts = [
        PackageResources.base_js, PackageResources.pictures_js, PackageResources.overview_js, PackageResources.pass_js,
        PackageResources.attention_js, PackageResources.quantisation_js, PackageResources.depth_js,
        PackageResources.roofline_js, PackageResources.start_js,
    ]

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
