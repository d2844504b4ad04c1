import Foundation

/// Where the program keeps what it remembers of its user, by the XDG Base Directory Specification (version 0.8).
public struct UserFolders: Sendable {
    /// What should outlast the program: the last trace, progress in lessons. `$XDG_STATE_HOME/quipu`.
    public let state: URL
    /// What can be computed again: digests of models. `$XDG_CACHE_HOME/quipu`.
    public let cache: URL

    /// Those of the user who runs the program.
    public static var current: UserFolders { UserFolders(environment: ProcessInfo.processInfo.environment) }

    package init(environment: [String: String]) {
        /// The specification lets relative paths count for nothing.
        func absolute(_ variable: String) -> URL? {
            environment[variable].flatMap { $0.hasPrefix("/") ? URL(filePath: $0, directoryHint: .isDirectory) : nil }
        }
        let home = absolute("HOME") ?? Self.listedHome
        state = (absolute("XDG_STATE_HOME") ?? home.appending(path: ".local/state")).appending(path: "quipu")
        cache = (absolute("XDG_CACHE_HOME") ?? home.appending(path: ".cache")).appending(path: "quipu")
    }

    /// The home in the password file; the root where the user is not in it, as in a container.
    private static var listedHome: URL {
        let entry = getpwuid(getuid())?.pointee.pw_dir.map { String(cString: $0) }
        return URL(filePath: entry ?? "/", directoryHint: .isDirectory)
    }

    /// What to do where the state cannot be written.
    public static let stateAdvice = "Set XDG_STATE_HOME to a folder that can be written to."
    /// What to do where the cache cannot be written.
    public static let cacheAdvice = "Set XDG_CACHE_HOME to a folder that can be written to."
}
