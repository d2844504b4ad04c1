import Foundation
import GRDB
import Recording
import TestSupport
import Testing

/// What writers leave that were killed, and files that only look like ours.
@Suite struct RecoveryTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("trace.db")
    }

    /// A trace in the middle of a change that a journal can undo, as a killed process leaves it.
    private func leaveHotJournal() async throws {
        _ = try await Recorded(generate: 1, Capture(.all), in: folder)
        let work = folder.path("work.db")
        try FileManager.default.copyItem(atPath: path, toPath: work)
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.allowsUnsafeTransactions = true
        let database = try DatabaseQueue(path: work, configuration: configuration)
        try database.inDatabase { db in
            // So few pages are kept in memory that changed ones go to the file before the end of the transaction.
            try db.execute(sql: "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 4; PRAGMA cache_spill = 1")
            try db.execute(sql: "BEGIN; UPDATE tensor SET data = zeroblob(length(data)); DELETE FROM token")
            for ending in ["", "-journal"] {
                try? FileManager.default.removeItem(atPath: path + ending)
                try FileManager.default.copyItem(atPath: work + ending, toPath: path + ending)
            }
            try db.execute(sql: "ROLLBACK")
        }
        try database.close()
    }

    @Test func aChangeThatWasCutOffIsUndoneByTheNextReader() async throws {
        try await leaveHotJournal()
        let store = try TraceStore.open(path: path)
        #expect(try store.integers("SELECT count(*) > 3 FROM token") == [1])
        #expect(try store.integers("SELECT sum(data != zeroblob(length(data))) > 0 FROM tensor") == [1])
        #expect(try store.texts("PRAGMA integrity_check") == ["ok"])
        #expect(!FileManager.default.fileExists(atPath: path + "-journal"))
    }

    @Test func andByTheNextRun() async throws {
        try await leaveHotJournal()
        let appended = try await Recorded(prompt: "a", generate: 1, Capture(.none), in: folder, .appending)
        #expect(try appended.store.runs().map(\.isComplete) == [true, true])
    }

    /// SQLite removes a file that such a journal names.
    @Test func aJournalThatNamesAnotherFileIsLeftAlone() async throws {
        try await leaveHotJournal()
        let victim = try folder.write("keep me", to: "victim")
        let name = Data(victim.utf8)
        func word(_ number: Int) -> Data { withUnsafeBytes(of: UInt32(number).bigEndian) { Data($0) } }
        var journal = try Data(contentsOf: URL(filePath: path + "-journal"))
        journal += word((1 << 30) / 4096 + 1) + name + word(name.count) + word(name.reduce(0) { $0 + Int($1) })
        journal += [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
        try journal.write(to: URL(filePath: path + "-journal"))
        #expect(throws: TraceError.foreignJournal(path: path)) { try TraceStore.open(path: path) }
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "keep me")
    }

    @Test func whatReplacesATraceHasItsNameWhenItIsComplete() async throws {
        _ = try await Recorded(generate: 1, Capture(.none), in: folder)
        let before = try Data(contentsOf: URL(filePath: path))
        let store = try TraceStore.create(path: path, .replacing)
        #expect(store.replaced == path && store.path.hasSuffix(".partial"))
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        try store.closeUnfinished()
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        #expect(FileManager.default.fileExists(atPath: store.path))

        let again = try TraceStore.create(path: path, .replacing)
        try again.close()
        #expect(try TraceStore.open(path: path).runs().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: again.path))
    }

    /// 1 is the first process, which always runs; no process has the other number.
    @Test func whatEndedProcessesLeftIsRemoved() throws {
        let left = ["trace.db.4190000.partial", "trace.db.4190000.partial-wal"]
        let kept = ["trace.db.1.partial", "trace.db.x.partial", "other.db.4190000.partial"]
        for name in left + kept { _ = try folder.write("", to: name) }
        try TraceStore.create(path: path).close()
        try TraceStore.create(path: path, .replacing).close()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
        #expect(Set(names) == Set(kept + ["trace.db"]))
    }

    @Test func aFileWithoutAByteIsNamedAndReplaced() throws {
        _ = try folder.write("", to: "trace.db")
        let error = TraceError.leftover(path: path)
        #expect(throws: error) { try TraceStore.create(path: path) }
        #expect(error.description.contains("killed"))
        try TraceStore.create(path: path, .replacing).close()
        #expect(try TraceStore.open(path: path).runs().isEmpty)
    }

    /// As a run leaves it that is killed between the header and the tables.
    @Test func aDatabaseWithoutATableIsNamedReplacedAndAddedTo() throws {
        func leave() throws {
            try? FileManager.default.removeItem(atPath: path)
            try DatabaseQueue(path: path).writeWithoutTransaction {
                try $0.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA page_size = 16384; VACUUM")
            }
        }
        try leave()
        #expect(throws: TraceError.leftover(path: path)) { try TraceStore.create(path: path) }
        let refusal = #expect(throws: TraceError.self) { try TraceStore.open(path: path) }
        #expect(refusal?.description.contains("killed as it began") == true)
        for creation in [TraceStore.Creation.replacing, .appending] {
            try leave()
            try TraceStore.create(path: path, creation).close()
            #expect(try TraceStore.open(path: path).runs().isEmpty)
        }
    }

    @Test func aTraceSaysSoInItsHeader() throws {
        try TraceStore.create(path: path).close()
        #expect(try Data(contentsOf: URL(filePath: path))[68..<72] == Data("Qipu".utf8))
    }

    /// With tables of our names, a version of ours, and rows of its own.
    @Test(arguments: [0, 0x4D59_4442], [TraceStore.Creation.appending, .replacing])
    func aDatabaseWithTablesOfOurNamesIsNotOurs(id: Int, creation: TraceStore.Creation) throws {
        try DatabaseQueue(path: path).write { db in
            try db.execute(
                sql: """
                    CREATE TABLE run (distance REAL); CREATE TABLE op (x); INSERT INTO run VALUES (10.5);
                    PRAGMA user_version = 4; PRAGMA application_id = \(id)
                    """)
        }
        let before = try Data(contentsOf: URL(filePath: path))
        #expect(throws: TraceError.self) { try TraceStore.create(path: path, creation) }
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["trace.db"])
    }
}
