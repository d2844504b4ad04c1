#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A file that gets its name when it is complete, and is removed when it never is.
final class OutputFile {
    let path: String
    private let temporaryPath: String
    private let overwrite: Bool
    private let descriptor: Int32
    private var isCommitted = false

    /// - Throws: `GGUFError` if `path` is taken and may not be overwritten, or its folder cannot be written to.
    init(path: String, overwrite: Bool) throws(GGUFError) {
        self.path = path
        self.overwrite = overwrite
        try Self.checkFree(path, overwrite: overwrite)
        temporaryPath = PartialName.path(for: path)
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw GGUFError(file: path, .file(.system(call: "open", code: errno))) }
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporaryPath) }
    }

    func append(_ bytes: [UInt8]) throws(GGUFError) {
        let fault = bytes.withUnsafeBytes { appendAll($0) }
        if let fault { throw GGUFError(file: path, .file(fault)) }
    }

    func append(_ bytes: RawSpan) throws(GGUFError) {
        let fault = bytes.withUnsafeBytes { appendAll($0) }
        if let fault { throw GGUFError(file: path, .file(fault)) }
    }

    /// Waits until the disk has everything, so that a crash cannot leave an incomplete file under the name.
    func flush() throws(GGUFError) {
        guard fsync(descriptor) == 0 else { throw GGUFError(file: path, .file(.system(call: "fsync", code: errno))) }
    }

    func commit() throws(GGUFError) {
        // Again: writing may have taken long enough for someone else to take the name.
        try Self.checkFree(path, overwrite: overwrite)
        guard rename(temporaryPath, path) == 0 else {
            throw GGUFError(file: path, .file(.system(call: "rename", code: errno)))
        }
        isCommitted = true
    }

    private static func checkFree(_ path: String, overwrite: Bool) throws(GGUFError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: throw GGUFError(file: path, .file(.directory))
        case S_IFREG, S_IFLNK: break
        default: throw GGUFError(file: path, .file(.notRegular))
        }
        if !overwrite { throw GGUFError(file: path, .file(.exists)) }
    }

    private func appendAll(_ bytes: UnsafeRawBufferPointer) -> GGUFError.FileProblem? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return .system(call: "write", code: errno) }
            rest = rest.dropFirst(written)
        }
        return nil
    }
}
