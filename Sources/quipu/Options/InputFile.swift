import Foundation

/// Files that users write by hand.
enum InputFile {
    /// The bytes of a file; of standard input if the path is `-`.
    ///
    /// - Throws: `InputError` if there is none, or it cannot be read.
    static func bytes(_ path: String) throws -> [UInt8] {
        if path == "-" { return Array(try FileHandle.standardInput.readToEnd() ?? Data()) }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError("\(path): found no such file, expected a text to read. Check the path.")
        }
        if isDirectory.boolValue {
            throw InputError("\(path): found a directory, expected a text file. Name a file inside it.")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError("\(path): the file cannot be read. Check its permissions.")
        }
        return Array(data)
    }
}
