import ArgumentParser
import Foundation

/// Arguments `[FILE] REST`, of which the file may be left out.
struct LeadingFile {
    let file: String?
    let rest: String

    /// - Throws: `ValidationError` if there are none or too many, or the only one is a file and so not what was asked for.
    init(_ arguments: [String], file: String, rest: String) throws {
        switch arguments.count {
        case 1:
            if FileManager.default.fileExists(atPath: arguments[0]) {
                throw ValidationError("after the \(file) \(arguments[0]) comes \(rest)")
            }
            (self.file, self.rest) = (nil, arguments[0])
        case 2: (self.file, self.rest) = (arguments[0], arguments[1])
        default: throw ValidationError("give \(rest), or a \(file) and \(rest); quote what has spaces")
        }
    }
}
