import Foundation
import TestSupport
import Testing

/// Where commands keep what they remember, and what they say where they cannot.
@Suite struct UserFoldersTests {
    private static let nowhere = ["XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""]
    private let bench: Workbench

    init() throws {
        bench = try Workbench()
        try bench.folder.write("", to: "file")
    }

    private func trace(_ environment: [String: String]) throws -> Outcome {
        try bench.quipu(
            ["trace", "model.gguf", "-p", "Once", "-o", "t.db", "--force"],
            environment: Self.nowhere.merging(environment) { $1 })
    }

    /// A model large enough for its digest to be remembered, with nothing but zeros after what is read.
    private func addLargeModel() throws {
        try FileManager.default.copyItem(atPath: TinyModel.stories.path, toPath: bench.folder.path("large.gguf"))
        let file = try #require(FileHandle(forWritingAtPath: bench.folder.path("large.gguf")))
        try file.truncate(atOffset: 33 << 20)
        try file.close()
        // A digest is kept of what has not changed for two seconds.
        Thread.sleep(forTimeInterval: 3.1)
    }

    @Test func stateGoesToTheHomeThatTheEnvironmentNames() throws {
        let home = ["HOME": bench.folder.path("home")]
        #expect(try trace(home).errors == "")
        #expect(bench.exists("home/.local/state/quipu/last-trace"))
        let ops = try bench.quipu(["ops"], environment: Self.nowhere.merging(home) { $1 })
        #expect(ops.status == 0 && ops.errors == "")
        let walk = try bench.quipu("step", environment: Self.nowhere.merging(home) { $1 }, input: "next\n")
        #expect(walk.status == 0 && walk.errors == "")
        #expect(bench.exists("home/.local/state/quipu/step.json"))
        try bench.folder.write("version: 1\nstep: 0\nquestions: {}\n", to: "progress.yml")
        let taken = try bench.quipu(
            ["lesson", "import", "progress.yml"], environment: Self.nowhere.merging(home) { $1 })
        #expect(taken.status == 0, "\(taken.errors)")
        #expect(bench.exists("home/.local/state/quipu/lessons/progress.yml"))
        #expect(!bench.exists("state"))
    }

    @Test func relativePathsInTheEnvironmentCountForNothing() throws {
        _ = try trace(["HOME": bench.folder.path("home"), "XDG_STATE_HOME": "relative"])
        #expect(bench.exists("home/.local/state/quipu/last-trace") && !bench.exists("relative"))
    }

    @Test func digestsGoToTheCache() throws {
        try addLargeModel()
        for (environment, folder) in [
            (["HOME": bench.folder.path("home"), "XDG_CACHE_HOME": ""], "home/.cache/quipu/digests.json"),
            (["XDG_CACHE_HOME": bench.folder.path("cache")], "cache/quipu/digests.json"),
        ] {
            let outcome = try bench.quipu(
                ["trace", "large.gguf", "-p", "Once", "-o", "t.db", "--force"], environment: environment)
            #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
            #expect(bench.exists(folder))
        }
    }

    @Test func aCacheThatCannotBeWrittenIsNamedAndNothingElse() throws {
        try addLargeModel()
        let cache = bench.folder.path("file")
        let outcome = try bench.quipu(
            ["trace", "large.gguf", "-p", "Once", "-o", "t.db"], environment: ["XDG_CACHE_HOME": cache])
        #expect(outcome.status == 0)
        #expect(
            outcome.errors == "quipu: note: the model will be hashed again next time. \(cache)/quipu: cannot be made: "
                + "\(cache) is a file, not a folder. Set XDG_CACHE_HOME to a folder that can be written to.\n")
    }

    @Test func aStateThatCannotBeWrittenIsNamedAndTheTraceIsThere() throws {
        let state = bench.folder.path("file")
        let reason =
            "\(state)/quipu: cannot be made: \(state) is a file, not a folder. Set XDG_STATE_HOME to a folder that can be "
            + "written to.\n"
        let traced = try trace(["XDG_STATE_HOME": state])
        #expect(traced.status == 0 && bench.exists("t.db"))
        #expect(traced.errors == "quipu: note: the next command will not know this trace. " + reason)
        let walk = try bench.quipu("step", "t.db", environment: ["XDG_STATE_HOME": state], input: "next\nnext\n")
        #expect(walk.status == 0)
        #expect(walk.errors == "quipu: note: the next walk will not go on from here. " + reason)
    }

    @Test func lessonsNeedTheirFolder() throws {
        try bench.folder.write("version: 1\nstep: 0\nquestions: {}\n", to: "progress.yml")
        for state in ["/proc/quipu-state", bench.folder.path("file")] {
            for command in [["lesson", "start"], ["lesson", "import", "progress.yml"]] {
                expectComplaint(
                    try bench.quipu(command + ["--json"], environment: ["XDG_STATE_HOME": state]),
                    "\(state)/quipu/lessons: cannot be made", "Set XDG_STATE_HOME")
            }
        }
        expectComplaint(
            try bench.quipu("lesson", "export", "file/my.yml"), "file: cannot be made", "is a file",
            "Name another file.")
    }

    @Test func temporaryFoldersThatCannotBeMadeAreNamed() throws {
        try bench.addTrace()
        let scratch = bench.folder.path("file")
        for command in [
            ["verify", "trace.db"], ["propagate", "model.gguf", "-p", "Once", "--as", "Q8_0"], ["lesson", "lint"],
        ] {
            let outcome = try bench.quipu(command, environment: ["TMPDIR": scratch])
            #expect(outcome.status == 1 && outcome.output == "", "\(command)")
            let last = try #require(outcome.errors.split(separator: "\n").last)
            #expect(last.hasPrefix("quipu: \(scratch)/quipu-"), "\(outcome.errors)")
            #expect(
                last.hasSuffix("\(scratch) is a file, not a folder. Set TMPDIR to a folder that can be written to."))
        }
    }

    /// Its configuration may name modules that this program does not have.
    @Test func theMachinesConfigurationOfOpenSSLDoesNotMatter() throws {
        let configuration = try bench.folder.write(
            """
            openssl_conf = a
            [a]
            providers = b
            [b]
            other = c
            [c]
            activate = 1
            module = /nowhere/other.so
            """, to: "openssl.cnf")
        let outcome = try trace(["OPENSSL_CONF": configuration])
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        let digest = try bench.row("SELECT sha256 FROM model", of: "t.db")["sha256"] as? String
        #expect(digest?.count == 64)
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere")) func permissionsAreNamed() throws {
        try FileManager.default.createDirectory(
            atPath: bench.folder.path("closed"), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o555])
        let state = bench.folder.path("closed")
        #expect(try trace(["XDG_STATE_HOME": state]).errors.contains("permission denied in \(state)."))
    }
}
