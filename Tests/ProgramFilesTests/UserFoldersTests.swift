import Foundation
import ProgramFiles
import Testing

/// Where state and caches go, by the XDG Base Directory Specification.
@Suite struct UserFoldersTests {
    @Test(arguments: [
        (["XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c", "HOME": "/h"], "/s/quipu", "/c/quipu"),
        (["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/quipu", "/h/.cache/quipu"),
        (["XDG_CACHE_HOME": "/c", "HOME": "/h"], "/h/.local/state/quipu", "/c/quipu"),
        (["HOME": "/h"], "/h/.local/state/quipu", "/h/.cache/quipu"),
        // The specification: set to nothing is as not set, and a relative path is ignored.
        (["XDG_STATE_HOME": "", "XDG_CACHE_HOME": "", "HOME": "/h"], "/h/.local/state/quipu", "/h/.cache/quipu"),
        (["XDG_STATE_HOME": "s", "XDG_CACHE_HOME": "./c", "HOME": "/h"], "/h/.local/state/quipu", "/h/.cache/quipu"),
        (["XDG_STATE_HOME": "/a b/ü", "HOME": "/h"], "/a b/ü/quipu", "/h/.cache/quipu"),
    ])
    func followTheEnvironment(environment: [String: String], state: String, cache: String) {
        let folders = UserFolders(environment: environment)
        #expect(folders.state.path == state)
        #expect(folders.cache.path == cache)
    }

    @Test(arguments: [[:], ["HOME": ""], ["HOME": "home"]])
    func withoutHomeThePasswordFileIsAsked(environment: [String: String]) throws {
        let text = try String(contentsOfFile: "/etc/passwd", encoding: .utf8)
        let mine = text.split(separator: "\n").map { $0.split(separator: ":", omittingEmptySubsequences: false) }
            .first { $0.count == 7 && $0[2] == "\(getuid())" }
        let home = mine.map { String($0[5]) } ?? "/"
        let folders = UserFolders(environment: environment)
        #expect(folders.state == URL(filePath: home).appending(path: ".local/state/quipu"))
        #expect(folders.cache == URL(filePath: home).appending(path: ".cache/quipu"))
    }
}
