import Foundation
import TestSupport
import Testing

/// A trace that is cut off stays a trace.
@Suite struct InterruptionTests {
    private func expectReadable(_ bench: Workbench) throws {
        let check = try bench.quipu("sql", "t.db", "PRAGMA integrity_check", "--json")
        #expect(check.output.contains("\"ok\""))
        #expect(check.errors.contains("quipu: note: run 1 of t.db was cut off before its end"))
        let row = try bench.row(
            "SELECT complete, (SELECT count(*) FROM pass WHERE wall_ns IS NOT NULL) AS passes FROM run", of: "t.db")
        #expect(row["complete"] as? Int == 0)
        #expect(try #require(row["passes"] as? Int) > 0)

        let ops = try bench.quipu("ops", "t.db")
        #expect(ops.status == 0 && ops.output.hasPrefix("150 operations of step 0"))
        #expect(ops.errors.contains("cut off"))
        #expect(try bench.quipu("ops", "t.db", "--json").object()["complete"] as? Bool == false)
        #expect(try bench.quipu("show", "t.db", "kq_soft_max-0").status == 0)
    }

    @Test func killed() throws {
        let bench = try Workbench()
        let outcome = try bench.outcome { run, _ in kill(run.process.processIdentifier, SIGKILL) }
        #expect(outcome.status == SIGKILL)
        try expectReadable(bench)
        // Another run can be added to it, and it is whole again then.
        #expect(try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "t.db", "--append").status == 0)
        #expect(try bench.row("SELECT sum(complete) AS n FROM run", of: "t.db")["n"] as? Int == 1)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func stopped(signal: Int32) throws {
        let bench = try Workbench()
        let outcome = try bench.outcome { run, _ in kill(run.process.processIdentifier, signal) }
        #expect(outcome.status == 130)
        #expect(outcome.errors.contains("quipu: stopped. t.db holds what was recorded until then"))
        #expect(!outcome.errors.contains("\u{1B}") && !outcome.output.contains("\u{1B}"))
        try expectReadable(bench)
        // Closed in order: one plain file, also for readers that may not write beside it.
        #expect(!bench.exists("t.db-wal"))
    }

    @Test func aMeasurementIsStopped() throws {
        let bench = try Workbench()
        let run = try bench.start(["bench", "model.gguf", "-r", "1000000"])
        usleep(300_000)
        kill(run.process.processIdentifier, SIGINT)
        let outcome = try run.wait()
        #expect(outcome.status == 130)
        #expect(outcome.output == "" && outcome.errors == "")
    }

    /// The log of a killed run can only be read where SQLite may write; who may not is told so.
    @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
    func killedWhereNobodyMayWrite() throws {
        let bench = try Workbench()
        _ = try bench.outcome { run, _ in kill(run.process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: bench.folder.path("t.db-shm"))
        chmod(bench.folder.url.path, 0o555)
        defer { chmod(bench.folder.url.path, 0o755) }
        let outcome = try bench.quipu("ops", "t.db")
        #expect(outcome.status == 0 || outcome.errors.contains("Copy the files"))
    }
}
