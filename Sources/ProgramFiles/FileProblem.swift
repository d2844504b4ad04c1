import Foundation
import Tensors

/// A file or folder that the system did not let the program read, write or make.
public struct FileProblem: InputProblem, Equatable {
    public enum Action: String, Sendable {
        case read, written, made, removed
    }

    public let path: String
    public let action: Action
    /// What the system said, as the end of a sentence.
    public let reason: String
    /// What the user can do, as a sentence.
    public let advice: String

    public init(path: String, action: Action, reason: String, advice: String = "Check the path and its permissions.") {
        (self.path, self.action, self.reason, self.advice) = (path, action, reason, advice)
    }

    public var description: String { "\(path): cannot be \(action): \(reason). \(advice)" }

    /// What the system said of a failed call, in its own words: Foundation's leave out what it was, and name only the last
    /// part of the path.
    public static func reason(of error: any Error) -> String {
        switch error {
        case let error as FileProblem: error.reason
        case let error as POSIXError: words(error.code.rawValue)
        case let error as CocoaError: reason(of: error)
        default: "\(error)"
        }
    }

    private static func reason(of error: CocoaError) -> String {
        if let cause = error.underlying { return reason(of: cause) }
        return switch error.code {
        case .fileNoSuchFile, .fileReadNoSuchFile: words(ENOENT)
        case .fileReadNoPermission, .fileWriteNoPermission: words(EACCES)
        case .fileWriteOutOfSpace: words(ENOSPC)
        case .fileWriteVolumeReadOnly: words(EROFS)
        case .fileWriteFileExists: words(EEXIST)
        case .fileReadInapplicableStringEncoding, .fileReadCorruptFile: "it is not UTF-8 text"
        default: "Foundation's error \(error.code.rawValue)"
        }
    }

    private static func words(_ code: Int32) -> String {
        let text = String(cString: strerror(code))
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}

extension FileProblem {
    /// The same of an error that Foundation threw where nobody named a path.
    public init(_ error: CocoaError) {
        let isWriting = (512..<768).contains(error.code.rawValue)
        let path = error.filePath ?? error.url?.path ?? "a file"
        self.init(path: path, action: isWriting ? .written : .read, reason: Self.reason(of: error))
    }
}
