import Foundation

/// What stands at a path, links followed. Asked first: to open a pipe that nobody writes to would never come back.
public enum PathKind: Sendable, Equatable {
    case missing, regular, folder
    /// Neither: a pipe, a device, a socket.
    case special(String)

    public init(at path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            self = .missing
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .regular
        case S_IFDIR: self = .folder
        case S_IFIFO: self = .special("a pipe")
        case S_IFSOCK: self = .special("a socket")
        default: self = .special("a device")
        }
    }

    /// What it is instead of a file; `nil` of a file, and of nothing.
    public var words: String? {
        switch self {
        case .missing, .regular: nil
        case .folder: "a directory"
        case .special(let words): words
        }
    }

    /// The first bytes of a file; `nil` of anything else, and of a file that cannot be read.
    public static func start(of path: String, bytes: Int) -> Data? {
        guard PathKind(at: path) == .regular, let handle = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? handle.close() }
        return try? handle.read(upToCount: bytes) ?? Data()
    }
}
