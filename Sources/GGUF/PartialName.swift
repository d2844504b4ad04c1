#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a file is called until it is complete: `NAME.PID.partial` in the folder of NAME, because only there a rename is one
/// step. The process id keeps two writers apart, and tells what a killed one left.
package enum PartialName {
    /// What SQLite adds to the name of a database.
    package static let databaseEndings = ["-wal", "-shm", "-journal"]

    /// Where this process writes what `path` will be; what ended processes left of it is removed.
    package static func path(for path: String) -> String {
        removeLeftovers(of: path)
        return "\(path).\(getpid()).partial"
    }

    /// Removes partial files of `path` whose writers no longer run.
    private static func removeLeftovers(of path: String) {
        let (folder, name) = split(path)
        for entry in entries(of: folder) where isLeftover(entry, of: name) { unlink("\(folder)/\(entry)") }
    }

    /// Whether it is `NAME.PID.partial`, or a file that SQLite made beside it, and nobody has the process id.
    package static func isLeftover(_ entry: String, of name: String) -> Bool {
        guard entry.hasPrefix(name + ".") else { return false }
        var rest = entry.dropFirst(name.count + 1)
        for ending in databaseEndings where rest.hasSuffix(ending) { rest = rest.dropLast(ending.count) }
        guard rest.hasSuffix(".partial"), let id = pid_t(rest.dropLast(8)), id > 0 else { return false }
        return !isRunning(id)
    }

    /// Whether a process has this id, whosever it is.
    package static func isRunning(_ id: pid_t) -> Bool { kill(id, 0) == 0 || errno != ESRCH }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private static func entries(of folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // Safe: the system ends the name with a zero within its field.
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) { field in
                    field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) {
                        String(cString: $0)
                    }
                })
        }
        return names
    }
}
