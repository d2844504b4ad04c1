import Tensors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A file as memory: nothing is read until it is looked at, and nothing is ever copied.
///
/// The file must not be shortened while it is mapped: the operating system ends a program that touches pages that are
/// gone. (Replacing it by a rename, as `GGUFWriter` does, is harmless.)
///
/// This is the one place where mapped memory is unsafe. The class may be `Sendable` because nothing writes the memory.
public final class MappedFile: ByteSource, @unchecked Sendable {
    /// The path as it was given.
    public let path: String
    /// The file's size in bytes.
    public let byteCount: Int
    /// What the file system said of the file when it was opened.
    public let stamp: Stamp
    private let base: UnsafeRawPointer

    /// Tells a file from others, and from itself before its last change.
    public struct Stamp: Sendable, Hashable, Codable {
        /// The device that the file is on, as `st_dev` has it.
        public let device: UInt64
        /// The file's number on its device.
        public let inode: UInt64
        /// The file's size in bytes.
        public let byteCount: Int
        /// Nanoseconds since 1970 at which content or attributes last changed: programs cannot set it.
        public let changed: Int

        fileprivate init(_ status: stat) {
            #if canImport(Darwin)
                let changed = status.st_ctimespec
            #else
                let changed = status.st_ctim
            #endif
            device = UInt64(truncatingIfNeeded: status.st_dev)
            inode = UInt64(status.st_ino)
            byteCount = Int(status.st_size)
            self.changed = Int(changed.tv_sec) * 1_000_000_000 + Int(changed.tv_nsec)
        }
    }

    /// Maps a whole file.
    ///
    /// - Throws: `GGUFError.FileProblem` for what is missing, empty, a directory, no regular file, or not permitted.
    public init(path: String) throws(GGUFError) {
        // Not blocking, so that opening a pipe that nobody writes to comes back to be refused.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw GGUFError(file: path, .file(.from(errno, in: "open"))) }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw GGUFError(file: path, .file(.from(errno, in: "fstat"))) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw GGUFError(file: path, .file(.directory))
        default: throw GGUFError(file: path, .file(.notRegular))
        }
        guard status.st_size > 0 else { throw GGUFError(file: path, .file(.empty)) }

        let byteCount = Int(status.st_size)
        guard let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw GGUFError(file: path, .file(.from(errno, in: "mmap")))
        }
        self.path = path
        self.byteCount = byteCount
        self.base = UnsafeRawPointer(base)
        stamp = Stamp(status)
    }

    /// - Throws: `GGUFError.FileProblem.changed` if the file was written to since it was opened. If it was replaced or
    ///   removed, the bytes that were opened stay.
    public func checkUnchanged() throws(GGUFError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        let now = Stamp(status)
        if now.device == stamp.device, now.inode == stamp.inode, now != stamp {
            throw GGUFError(file: path, .file(.changed(byteCount: now.byteCount, before: stamp.byteCount)))
        }
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: base), byteCount) }

    public func withBytes<Result>(in range: Range<Int>, _ body: (RawSpan) throws -> Result) rethrows -> Result {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= byteCount,
            "bytes \(range) of \(path), which has \(byteCount)")
        // Safe: the range was checked, and `self` keeps the mapping alive for the call.
        return try body(RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count))
    }
}

extension GGUFError.FileProblem {
    static func from(_ code: Int32, in call: String) -> Self {
        switch code {
        case ENOENT: .missing
        case EACCES, EPERM: .noPermission
        case EISDIR: .directory
        case EEXIST: .exists
        default: .system(call: call, code: code)
        }
    }
}
