import Foundation
import Tensors

/// A folder of files that come with the program.
///
/// It is looked for from the executable itself, not from a link to it, in the two layouts there are: beside the program,
/// where SwiftPM builds it, and in `../share/quipu`, where it is installed. `Bundle.module` is not asked: it ends the
/// process where the folder is missing, and knows the folder of the build.
public struct ProgramFolder: Sendable {
    /// Where the folder may be, first the one that counts.
    public let candidates: [String]

    /// - Parameters:
    ///   - name: the folder's name where the program is installed.
    ///   - target: the target whose resources it is made of.
    ///   - resource: its path in them, if it is not all of them.
    public init(_ name: String, target: String, resource: String = "") {
        self.init(name, target: target, resource: resource, program: Self.program)
    }

    package init(_ name: String, target: String, resource: String, program: URL) {
        #if os(Linux)
            let bundle = "quipu_\(target).resources"
        #else
            let bundle = "quipu_\(target).bundle"
        #endif
        let beside = program.resolvingSymlinksInPath().deletingLastPathComponent()
        candidates = [
            beside.appending(path: bundle).appending(path: resource),
            beside.deletingLastPathComponent().appending(path: "share/quipu").appending(path: name),
        ].map { $0.standardizedFileURL.path }
    }

    /// The executable that runs.
    public static let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])

    /// The path of a file in it.
    public func path(of file: String) throws(ProgramFileMissing) -> String {
        let paths = candidates.map { "\($0)/\(file)" }
        guard let path = paths.first(where: FileManager.default.fileExists(atPath:)) else {
            throw ProgramFileMissing(paths: paths)
        }
        return path
    }
}

/// The program was separated from the files that belong to it.
public struct ProgramFileMissing: InputProblem {
    /// Where the file may be.
    public let paths: [String]

    public var description: String {
        "\(paths[0]): found no such file, nor \(paths.dropFirst().joined(separator: ", nor ")); expected one that comes "
            + "with the program. Move the program together with its folders, or install it again."
    }
}
