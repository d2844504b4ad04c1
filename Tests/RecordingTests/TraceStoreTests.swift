import Foundation
import GRDB
import LlamaModel
import Recording
import TestSupport
import Testing

/// Trace files as files: made, extended, replaced, refused, interrupted.
@Suite struct TraceStoreTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("trace.db")
    }

    @Test func aFinishedTraceIsOnePlainFile() async throws {
        _ = try await Recorded(generate: 1, Capture(.all), in: folder)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["trace.db"])
        // 1: to be read and written without a write-ahead log.
        #expect(try Data(contentsOf: URL(filePath: path))[18...19] == Data([1, 1]))
    }

    /// Someone who reads just then neither ends a run nor keeps its log.
    @Test(arguments: [0.3, 4]) func aReaderIsWaitedFor(seconds: Double) throws {
        let store = try TraceStore.create(path: path)
        let reader = try DatabaseQueue(path: path)
        let (isReading, hasRead) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        Thread.detachNewThread {
            try? reader.read { db in
                _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM run")
                isReading.signal()
                Thread.sleep(forTimeInterval: seconds)
            }
            try? reader.close()
            hasRead.signal()
        }
        isReading.wait()
        try store.close()
        // Of one that stays, the log does too.
        #expect(try Data(contentsOf: URL(filePath: path))[18...19] == (seconds < 1 ? Data([1, 1]) : Data([2, 2])))
        hasRead.wait()
        #expect(try TraceStore.open(path: path).runs().isEmpty)
    }

    @Test func runsAreAppended() async throws {
        _ = try await Recorded(generate: 2, Capture(.all), in: folder)
        let second = try await Recorded(prompt: "the dog", generate: 3, Capture(.last), in: folder, .appending)
        let third = try await Recorded(.biases, prompt: "a", generate: 1, Capture(.stats), in: folder, .appending)
        let store = third.store
        #expect(try store.runs().map(\.id) == [1, 2, 3])
        #expect(try store.runs().map(\.prompt) == ["Once upon a time", "the dog", "a"])
        #expect(try store.runs().map(\.steps) == [2, 3, 1])
        // The model of the first two is written once.
        #expect(try store.integers("SELECT model_id FROM run ORDER BY id") == [1, 1, 2])
        #expect(try store.integers("SELECT count(*) FROM model") == [2])
        #expect(try store.rows("PRAGMA foreign_key_check").isEmpty)
        #expect(try store.run().id == 3 && store.run(id: 1).id == 1)

        // Values of the second run come from its own cache, not from the first's.
        let run = try store.run(id: 2)
        for (step, pass) in second.passes.enumerated() {
            for (operation, snapshot) in zip(try store.operations(of: run, step: step), pass.nodes)
            where operation.name == "cache_k_l0 (view)" && operation.kind == "VIEW" {
                let values = try store.values(of: operation, in: run).all
                for (found, expected) in zip(values, snapshot.values) where found != nil { #expect(found == expected) }
                #expect(values.contains { $0 != nil })
            }
        }
        #expect(throws: TraceError.noPass(path: path, step: 3, steps: 3)) { try store.operations(of: run, step: 3) }
        #expect(throws: TraceError.noPass(path: path, step: -1, steps: 3)) { try store.operations(of: run, step: -1) }
        #expect(throws: TraceError.noSuchRun(path: path, asked: 4, runs: [1, 2, 3])) { try store.run(id: 4) }
    }

    @Test func anExistingFileIsNotOverwrittenUnasked() async throws {
        _ = try await Recorded(generate: 1, Capture(.none), in: folder)
        let before = try Data(contentsOf: URL(filePath: path))
        #expect(throws: TraceError.exists(path: path)) { try TraceStore.create(path: path) }
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        _ = try await Recorded(prompt: "a", generate: 1, Capture(.none), in: folder, .replacing)
        #expect(try TraceStore.open(path: path).runs().map(\.prompt) == ["a"])
    }

    @Test func appendingAndReplacingMakeWhatIsNotThere() throws {
        try TraceStore.create(path: folder.path("a.db"), .appending).close()
        try TraceStore.create(path: folder.path("b.db"), .replacing).close()
        #expect(try TraceStore.open(path: folder.path("a.db")).runs().isEmpty)
        #expect(throws: TraceError.noRun(path: folder.path("b.db"))) {
            try TraceStore.open(path: folder.path("b.db")).run()
        }
    }

    @Test(arguments: [TraceStore.Creation.appending, .replacing])
    func whatIsNoTraceIsNotTouched(creation: TraceStore.Creation) throws {
        for (name, text) in [("notes.txt", "some notes"), ("model.gguf", "GGUF\u{3}\u{0}\u{0}\u{0}")] {
            let path = try folder.write(text, to: name)
            #expect(throws: TraceError.self) { try TraceStore.create(path: path, creation) }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    /// A database of something else is not for us to add tables to, nor to delete.
    @Test(arguments: [TraceStore.Creation.appending, .replacing])
    func otherDatabasesAreNotTouched(creation: TraceStore.Creation) throws {
        try DatabaseQueue(path: path).write {
            try $0.execute(sql: "CREATE TABLE diary (entry TEXT); INSERT INTO diary VALUES ('x')")
        }
        #expect(throws: TraceError.notATrace(path: path, found: "a database without the tables of a trace")) {
            try TraceStore.create(path: path, creation)
        }
        let tables = try DatabaseQueue(path: path).read {
            try String.fetchAll($0, sql: "SELECT name FROM sqlite_schema")
        }
        #expect(tables == ["diary"])
    }

    @Test func whatIsNoTraceIsNotRead() throws {
        func expectRefusal(_ error: TraceError, location: SourceLocation = #_sourceLocation) {
            #expect(throws: error, sourceLocation: location) { try TraceStore.open(path: error.path!) }
            #expect(error.description.hasPrefix(error.path!), sourceLocation: location)
        }
        expectRefusal(.missing(path: folder.path("none.db")))
        expectRefusal(.notATrace(path: folder.url.path, found: "a directory"))
        expectRefusal(.notATrace(path: try folder.write("", to: "empty.db"), found: "an empty file"))
        expectRefusal(
            .notATrace(
                path: try folder.write("hello, I am no database", to: "text.db"), found: "a file of another kind"))
        expectRefusal(.notATrace(path: try folder.write("SQL", to: "short.db"), found: "a file of another kind"))
        expectRefusal(.model(path: TinyModel.gqa.path))
        try DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE diary (entry TEXT)") }
        expectRefusal(.notATrace(path: path, found: "a database without the tables of a trace"))
    }

    @Test func aTraceOfANewerQuipuIsRefused() throws {
        try TraceStore.create(path: path).close()
        try DatabaseQueue(path: path).write { try $0.execute(sql: "PRAGMA user_version = 99") }
        let error = TraceError.newerSchema(path: path, found: 99, supported: Schema.migrations.count)
        #expect(throws: error) { try TraceStore.open(path: path) }
        #expect(throws: error) { try TraceStore.create(path: path, .appending) }
        #expect(
            error.description.contains("version 99") && error.description.contains("up to \(Schema.migrations.count)"))
    }

    @Test func aDamagedTraceIsRefusedInWords() async throws {
        _ = try await Recorded(generate: 1, Capture(.all), in: folder)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: 20_000)
        try handle.close()
        let error = #expect(throws: TraceError.self) {
            let store = try TraceStore.open(path: path)
            for operation in try store.operations(of: store.run(), step: 0) {
                _ = try store.values(of: operation, in: store.run())
            }
        }
        #expect(error?.description.hasPrefix(path) == true)
    }

    // MARK: interruption

    /// Copies the files of a run that goes on: what `kill -9` would leave.
    @Test func aKilledRunLeavesAReadableTrace() async throws {
        let model = try TinyModel.gqa.load()
        let recorder = try await Recorded.recorder(TraceStore.create(path: path), model)
        var session = try Session(model, positions: 16, threads: 1)
        var pass = try session.pass(over: [1, 2, 3], observers: [recorder])
        try recorder.record(tokens: [1, 2, 3], from: 0, source: "prompt")
        try recorder.begin(pass)
        try pass.interpreter.run()
        try recorder.end(pass, prediction: Prediction(logits: pass.logits!), nanoseconds: 1)
        session.advance(past: pass)
        var second = try session.pass(over: [4], observers: [recorder])
        try recorder.begin(second)
        try second.interpreter.run(until: 20)

        let reader = try TraceStore.open(path: path)
        for _ in 0..<500 where try reader.integers("SELECT count(*) FROM pass") != [2] {
            try await Task.sleep(for: .milliseconds(10))
        }
        let copy = folder.path("copy.db")
        for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix) }

        let left = try TraceStore.open(path: copy)
        #expect(try left.texts("PRAGMA integrity_check") == ["ok"])
        #expect(try left.integers("SELECT complete FROM run") == [0])
        #expect(try !left.run().isComplete)
        #expect(try left.operations(of: left.run(), step: 0).count == pass.interpreter.graph.nodes.count)
        #expect(try left.operations(of: left.run(), step: 1).isEmpty)
        // And may be continued by another run.
        _ = try await Recorded(model, prompt: "a", generate: 1, Capture(.stats), in: TemporaryFolder())
        withExtendedLifetime(recorder) {}
    }

    @Test func aRunThatIsNeverFinishedStaysIncomplete() async throws {
        let model = try TinyModel.gqa.load()
        do {
            let recorder = try await Recorded.recorder(TraceStore.create(path: path), model)
            let session = try Session(model, positions: 8, threads: 1)
            var pass = try session.pass(over: [1, 2, 3], observers: [recorder])
            try recorder.begin(pass)
            try pass.interpreter.run()
        }
        func isThere() -> Bool {
            (try? TraceStore.open(path: path).operations(of: TraceStore.open(path: path).run(), step: 0).isEmpty)
                == false
        }
        for _ in 0..<500 where !isThere() { try await Task.sleep(for: .milliseconds(10)) }
        let store = try TraceStore.open(path: path)
        #expect(try store.integers("SELECT complete FROM run") == [0])
        #expect(try store.texts("PRAGMA integrity_check") == ["ok"])
        #expect(try store.integers("SELECT count(*) FROM op")[0]! > 70)
        // The walk did not end: no time, no logits.
        #expect(try store.rows("SELECT wall_ns FROM pass") == [[.null]])
        #expect(try store.integers("SELECT count(*) FROM logit") == [0])
    }
}

extension TraceError {
    fileprivate var path: String? {
        switch self {
        case .exists(let path), .missing(let path), .notATrace(let path, _), .model(let path),
            .newerSchema(let path, _, _),
            .database(let path, _), .noRun(let path), .noPass(let path, _, _):
            path
        default: nil
        }
    }
}
