import Foundation
import GGUF
import TestSupport
import Testing

/// Killed, starved and cheated: nothing is lost, and what is wrong is said in a second.
@Suite struct ReliabilityTests {
    /// `scripts/kill_runs.py` does the same by the hundred.
    @Test func killedRunsLoseNothing() throws {
        let bench = try Workbench()
        let script = Places.package.appending(path: "scripts/kill_runs.py").path
        let outcome = try bench.shell(
            "python3 '\(script)' '\(Workbench.binary)' '\(TinyModel.stories.path)' --count 40 --seed 3")
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        #expect(outcome.output.contains("40 runs killed with SIGKILL, 0 failures"))
    }

    @Test(arguments: [
        ["ops", "pipe"], ["inspect", "pipe"], ["verify", "pipe"], ["trace", "model.gguf", "-p", "a", "-o", "pipe"],
        ["trace", "model.gguf", "-p", "a", "-o", "pipe", "--force"],
        ["trace", "model.gguf", "-p", "a", "-o", "pipe", "--append"], ["merge", "pipe", "trace.db"],
        ["merge", "new.db", "pipe"], ["report", "trace.db", "-o", "pipe", "--force"],
        ["export", "trace.db", "kq-0", "-o", "pipe.npz", "--force"],
        ["quantize", "model.gguf", "pipe", "Q8_0", "--force"],
    ])
    func aPipeIsRefusedWithoutWaiting(command: [String]) throws {
        let bench = try Workbench()
        try bench.addTrace()
        for name in ["pipe", "pipe.npz"] { mkfifo(bench.folder.path(name), 0o666) }
        let line = command.map { "'\($0)'" }.joined(separator: " ")
        let outcome = try bench.shell("timeout 20 quipu \(line)")
        #expect(outcome.status == 1, "\(outcome.errors)")
        #expect(outcome.errors.hasPrefix("quipu: ") && outcome.errors.contains("pipe"), "\(outcome.errors)")
        var status = stat()
        #expect(lstat(bench.folder.path("pipe"), &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
    }

    @Test(arguments: ["-n 12"] + (Places.isSanitized ? [] : ["-v 300000"]))
    func tooLittleOfTheSystemIsSaid(limit: String) throws {
        let bench = try Workbench()
        let outcome = try bench.shell("ulimit \(limit); timeout 20 quipu trace model.gguf -p Once")
        expectComplaint(outcome, "the system gives the program too little", "ulimit \(limit.prefix(2))")
    }

    /// The audit takes a fifth of a second: a busy machine lets it end before the signal, and so it is tried until it is met.
    @Test func anAuditIsStopped() throws {
        let bench = try Workbench()
        let quantized = try bench.quipu("quantize", EmbeddedModelTests.original, "k.gguf", "Q4_K_M")
        #expect(quantized.status == 0, "\(quantized.errors)")
        var statuses: [Int32] = []
        while !statuses.contains(130), statuses.count < 100 {
            let run = try bench.start(["quant", "blocks", "k.gguf", "--audit", "--threads", "1"])
            usleep(UInt32(1 + statuses.count % 8) * 10_000)
            kill(run.process.processIdentifier, SIGINT)
            statuses.append(try run.wait().status)
        }
        #expect(statuses.allSatisfy { [0, 130, SIGINT].contains($0) } && statuses.contains(130), "\(statuses)")
    }

    @Test func aModelThatIsShortenedEndsTheRunInWords() throws {
        let bench = try Workbench()
        let outcome = try bench.outcome { _, model in #expect(truncate(model, 20_000) == 0) }
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("became shorter"), "\(outcome.errors)")
        #expect(try bench.row("SELECT complete FROM run", of: "t.db")["complete"] as? Int == 0)
        #expect(try bench.row("PRAGMA integrity_check", of: "t.db")["integrity_check"] as? String == "ok")
    }

    @Test func aModelThatIsWrittenToIsNoticed() throws {
        let bench = try Workbench()
        let outcome = try bench.outcome { _, model in
            let handle = try #require(FileHandle(forWritingAtPath: model))
            try handle.seek(toOffset: 500_000)
            try handle.write(contentsOf: Data([0]))
            try handle.close()
        }
        #expect(outcome.status == 1)
        #expect(
            outcome.errors.contains("big.gguf: found bytes that were written while it was read"), "\(outcome.errors)")
        #expect(try bench.row("SELECT complete FROM run", of: "t.db")["complete"] as? Int == 0)
    }

    // MARK: numbers that are none

    /// A copy of the stories' model with a NaN in the embedding of a token, which is a row of its output as well.
    private func writeBroken(_ bench: Workbench, token: Int) throws {
        let file = try TinyModel.stories.file()
        let tensor = try #require(file.tensor(named: "output.weight") ?? file.tensor(named: "token_embd.weight"))
        try #require(tensor.type == .f32)
        var data = try Data(contentsOf: URL(filePath: TinyModel.stories.path))
        let at = tensor.fileOffset + 4 * (token * tensor.shape.ne0 + 3)
        data.replaceSubrange(at..<at + 4, with: [0, 0, 0xc0, 0x7f])
        try data.write(to: URL(filePath: bench.folder.path("broken.gguf")))
    }

    @Test func aLogitThatIsNoNumberComesLastEverywhere() throws {
        let bench = try Workbench()
        try writeBroken(bench, token: 500)
        let whole = try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "whole.db", "--json").object()
        let outcome = try bench.quipu("trace", "broken.gguf", "-p", "Once", "-o", "t.db", "--json")
        let part = "'output.weight'"
        for words in ["1 logit is not finite", "'result_output' (step 0", part, "row 500, column 3", "quipu verify"] {
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
        }
        func tokens(_ report: [String: Any]) throws -> [Int] {
            try #require(report["top"] as? [[String: Any]]).map { try #require($0["token_id"] as? Int) }
        }
        let expected = try tokens(whole)
        #expect(try tokens(outcome.object()) == expected)
        let first = try bench.row("SELECT token_id FROM logit WHERE rank = 0", of: "t.db")["token_id"] as? Int
        #expect(first == expected[0])
        let lens = try bench.quipu("lens", "t.db", "--json").output
        #expect(lens.contains("\"token_id\" : \(expected[0])"))
        let sampled = try bench.quipu(
            "trace", "broken.gguf", "-p", "Once", "-g", "8", "--temperature", "1", "-o", "s.db", "--json")
        #expect(!(try #require(sampled.object()["generated_ids"] as? [Int])).contains(500))
        // The largest error of the logits is not 0, but none.
        let diff = try bench.quipu("diff", "whole.db", "t.db", "--json").output
        #expect(diff.contains("\"max_abs\" : \"nan\""))
    }
}
