import Foundation

/// Files that users write by hand.
enum InputFile {
    /// What a file is called in messages and reports.
    static func name(_ path: String) -> String { path == "-" ? "standard input" : path }

    /// The bytes of a file, a pipe or a device, to its end; of standard input if the path is `-`.
    ///
    /// - Throws: `InputError` if there is none, or it cannot be read.
    static func bytes(_ path: String) throws -> [UInt8] {
        if path == "-" {
            Terminal.prompt("quipu: reading the text from the terminal, up to Ctrl-D:\n", ifTyped: true)
            return try read(FileHandle.standardInput, name(path))
        }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError("\(path): found no such file, expected a text to read. Check the path.")
        }
        if isDirectory.boolValue {
            throw InputError("\(path): found a directory, expected a text file. Name a file inside it.")
        }
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw InputError("\(path): the file cannot be read. Check its permissions.")
        }
        return try read(file, path)
    }

    /// By reading up to the end, not by asking for the size: a pipe has none.
    private static func read(_ file: FileHandle, _ name: String) throws -> [UInt8] {
        do { return Array(try file.readToEnd() ?? Data()) } catch {
            throw InputError("\(name): reading failed: \(error.localizedDescription). Check the path.")
        }
    }
}
