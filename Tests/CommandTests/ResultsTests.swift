import Foundation
import TestSupport
import Testing

/// Long work that is killed and taken up again, on other machines too.
@Suite struct ResultsTests {
    /// Each command that keeps rows, so that it takes a second or so.
    private static let (micro, other) = (ScoringTests.micro, ScoringTests.quantized)
    static let commands: [[String]] = [
        ["perplexity", micro, "--chunk", "64", "--chunks", "12"],
        ["compare", micro, other, "--chunk", "64", "--chunks", "12"],
        ["quant", "sensitivity", micro, "--chunk", "32", "--chunks", "2"],
        ["quant", "table", micro, "--types", "Q8_0,Q6_K,Q4_K_M,Q4_0,Q2_K", "--chunk", "64", "--chunks", "4"],
        ["quant", "errors", micro, "--as", "Q8_0,Q4_0,Q4_K"],
        ["propagate", micro, "--as", "Q4_0", "--prompt", "Mia has the red ball."],
        ["ablate", "sweep", "long.db"],
        ["patch", "sweep", "long.db", "other.db", "--over", "positions", "--positions", "90:100"],
    ]

    /// With what a command reads, beside models.
    private func bench(for command: [String]) throws -> Workbench {
        let bench = try Workbench()
        for (name, first) in [("long.db", 300), ("other.db", 301)] where command.contains(name) {
            let ids = (0..<200).map { String(first + $0 % 90) }.joined(separator: ",")
            let trace = try bench.quipu("trace", Self.micro, "--ids", ids, "--capture", "stats", "-o", name)
            #expect(trace.status == 0, "\(trace.errors)")
        }
        return bench
    }

    /// Without what no two runs share: how fast each version was.
    private func plain(_ text: String) -> String {
        text.replacing(/"tokens_per_second" ?: ?[0-9.e+-]+/, with: "")
    }

    private func lines(_ name: String, _ bench: Workbench) throws -> [String] {
        let text = String(decoding: try bench.bytes(name), as: UTF8.self)
        return plain(text).split(separator: "\n").map(String.init).sorted()
    }

    private func rowCount(_ name: String, _ bench: Workbench) -> Int {
        ((try? bench.bytes(name))?.count { $0 == UInt8(ascii: "\n") } ?? 1) - 1
    }

    /// Killed as soon as it has kept some rows, twice, it ends as a run that nobody killed.
    @Test(arguments: commands)
    func killedAndTakenUp(command: [String]) throws {
        let bench = try bench(for: command)
        let whole = try bench.quipu(command + ["--json", "--output", "whole.jsonl"])
        try #require(whole.status == 0, "\(whole.errors)")
        // Without a file, the same result.
        #expect(plain(try bench.quipu(command + ["--json"]).output) == plain(whole.output))
        for least in [0, 2] {
            let run = try bench.start(command + ["--json", "--threads", "1", "--output", "cut.jsonl", "--resume"])
            let deadline = Date.now + 60
            while rowCount("cut.jsonl", bench) <= least, run.process.isRunning, Date.now < deadline { usleep(500) }
            kill(run.process.processIdentifier, SIGKILL)
            #expect(try run.wait().status == SIGKILL)
            #expect(rowCount("cut.jsonl", bench) > least)
        }
        let kept = rowCount("cut.jsonl", bench)
        let resumed = try bench.quipu(command + ["--json", "--output", "cut.jsonl", "--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(plain(resumed.output) == plain(whole.output))
        #expect(resumed.errors.contains("cut.jsonl holds \(kept) of \(rowCount("whole.jsonl", bench)) rows"))
        #expect(try lines("cut.jsonl", bench) == lines("whole.jsonl", bench))
        // Nothing is left to do, and the result is the same, speeds and all.
        #expect(try bench.quipu(command + ["--json", "--output", "cut.jsonl", "--resume"]).output == resumed.output)
    }

    @Test(arguments: commands)
    func partsOnOtherMachines(command: [String]) throws {
        let bench = try bench(for: command)
        let whole = try bench.quipu(command + ["--json", "--output", "whole.jsonl"])
        for part in ["1/2", "2/2"] {
            let outcome = try bench.quipu(
                command + ["--json", "--part", part, "--output", "\(part.prefix(1)).jsonl"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try outcome.object()["part"] as? String == part)
        }
        let merged = try bench.quipu("merge", "all.jsonl", "2.jsonl", "1.jsonl", "--json")
        #expect(merged.status == 0, "\(merged.errors)")
        #expect(try merged.object()["rows"] as? Int == rowCount("whole.jsonl", bench))
        #expect(try lines("all.jsonl", bench) == lines("whole.jsonl", bench))
        let shown = try bench.quipu(command + ["--json", "--output", "all.jsonl", "--resume"])
        #expect(plain(shown.output) == plain(whole.output))
    }

    /// What a kill in the middle of a row leaves, and a line that is none.
    @Test func tornAndDamagedLines() throws {
        let bench = try Workbench()
        let command = ["perplexity", Self.micro, "--chunk", "32", "--chunks", "3", "--output", "p.jsonl", "--resume"]
        let whole = try bench.quipu(command)
        let text = String(decoding: try bench.bytes("p.jsonl"), as: UTF8.self)
        for length in [text.count - 1, text.count - 20, 5] {
            try bench.folder.write(String(text.prefix(length)), to: "p.jsonl")
            let outcome = try bench.quipu(command)
            if length == 5 {
                expectComplaint(outcome, "p.jsonl: found something else, expected a file of results", "left as it is")
                #expect(try bench.bytes("p.jsonl").count == 5)
            } else {
                #expect(outcome.output == whole.output && outcome.errors.contains("ended in part of a row"))
                #expect(String(decoding: try bench.bytes("p.jsonl"), as: UTF8.self) == text)
            }
        }
        // Killed before its first line: as if it had never been.
        try bench.folder.write("", to: "p.jsonl")
        #expect(try bench.quipu(command).output == whole.output)
        let rows = text.split(separator: "\n")
        for (bad, words) in [
            (rows[0...1] + ["{}"] + rows[2...], "line 3 is damaged"),
            (rows[0...2] + rows[2...], "'chunk 1' has a row before it"),
            (rows[0...0] + [rows[1].replacing("chunk 0", with: "chunk 7")], "line 2 is damaged: unit 0, 'chunk 7'"),
        ] as [(ArraySlice<Substring>, String)] {
            try bench.folder.write(bad.joined(separator: "\n") + "\n", to: "p.jsonl")
            expectComplaint(try bench.quipu(command), words, "--resume")
        }
    }

    @Test func otherWorkIsRefusedByName() throws {
        let bench = try Workbench()
        try bench.addText()
        try bench.folder.write(String(repeating: "Tom is at the lake. ", count: 60), to: "else.txt")
        let options = ["--chunk", "32", "--output", "p.jsonl"]
        #expect(try bench.quipu(["perplexity", Self.micro, "--chunks", "2"] + options).status == 0)
        let before = try bench.bytes("p.jsonl")
        for (command, words) in [
            (
                ["perplexity", Self.micro, "--chunks", "2"],
                "the file exists. --resume goes on with it, --force replaces it"
            ),
            (["perplexity", Self.micro, "--chunks", "3", "--resume"], "chunks is 2 there, and this run has 3"),
            (["compare", Self.micro, Self.other, "--chunks", "2", "--resume"], "the command is perplexity there"),
            (["perplexity", Self.other, "--chunks", "2", "--resume"], "the model is"),
            (["perplexity", Self.micro, "--chunks", "2", "--resume", "--file", "else.txt"], "text is SHA-256"),
            (
                ["perplexity", Self.micro, "--chunks", "2", "--resume", "--part", "1/2"],
                "found the whole, expected part 1/2"
            ),
        ] {
            expectComplaint(try bench.quipu(command + options), "p.jsonl", words)
            #expect(try bench.bytes("p.jsonl") == before)
        }
        #expect(try bench.quipu(["perplexity", Self.micro, "--chunks", "3", "--force"] + options).status == 0)
        #expect(rowCount("p.jsonl", bench) == 3)
        // Nobody's model or text is replaced.
        for option in ["--force", "--resume"] {
            expectComplaint(
                try bench.quipu("perplexity", Self.micro, "--chunks", "2", "--output", "text.txt", option),
                "text.txt: found something else", "left as it is")
        }
        expectComplaint(
            try bench.quipu("perplexity", Self.micro, "--chunks", "2", "--output", "."), "it is a directory")
        expectComplaint(
            try bench.quipu("perplexity", Self.micro, "--chunks", "2", "--output", "none/p.jsonl"), "none/p.jsonl",
            "No such file")
        for wrong in [
            ["perplexity", "--resume"], ["perplexity", "--part", "1/2"],
            ["perplexity", "--part", "3/2", "--output", "x"],
            ["perplexity", "--resume", "--force", "--output", "x"], ["quant", "errors", "--part", "1/2"],
            ["propagate", "--prompt", "Mia", "--resume", "--output", "x.db"],
        ] {
            #expect(try bench.quipu(wrong).status == 64, "\(wrong)")
        }
    }

    @Test func onlyWholeWorkIsMerged() throws {
        let bench = try Workbench()
        func part(_ part: String, _ name: String, chunks: String = "5") throws {
            let outcome = try bench.quipu(
                "perplexity", Self.micro, "--chunk", "32", "--chunks", chunks, "--part", part, "--output", name)
            try #require(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.output.contains("part \(part) of `perplexity`: "))
        }
        try part("1/3", "1.jsonl")
        try part("2/3", "2.jsonl")
        try part("3/3", "3.jsonl")
        try part("3/3", "other.jsonl", chunks: "6")
        try part("2/2", "half.jsonl")
        #expect(
            try bench.quipu("perplexity", Self.micro, "--chunk", "32", "--chunks", "5", "-o", "w.jsonl").status == 0)
        func merged(_ inputs: String...) throws -> Outcome { try bench.quipu(["merge", "all.jsonl"] + inputs) }
        expectComplaint(try merged("1.jsonl", "3.jsonl"), "part 2/3 is missing")
        expectComplaint(try merged("1.jsonl"), "parts 2/3, 3/3 are missing")
        expectComplaint(try merged("1.jsonl", "2.jsonl", "1.jsonl", "3.jsonl"), "part 1/3 is there twice, in 1.jsonl")
        expectComplaint(
            try merged("1.jsonl", "2.jsonl", "other.jsonl"), "1.jsonl and other.jsonl are not of one work",
            "chunks is 5")
        expectComplaint(try merged("1.jsonl", "half.jsonl"), "half.jsonl: found part 2/2, expected one of 3")
        expectComplaint(try merged("1.jsonl", "w.jsonl"), "w.jsonl: found the results of a whole")
        expectComplaint(try merged("1.jsonl", "model.gguf"), "model.gguf: found something else")
        let text = String(decoding: try bench.bytes("2.jsonl"), as: UTF8.self)
        try bench.folder.write(String(text.dropLast(9)), to: "2.jsonl")
        expectComplaint(try merged("1.jsonl", "2.jsonl", "3.jsonl"), "2.jsonl: found 1 of the 2 rows of part 2/3")
        // Numbers that no work has.
        let first = try String(contentsOfFile: bench.folder.path("1.jsonl"), encoding: .utf8)
        for units in ["-1", "1000000000000"] {
            try bench.folder.write(first.replacing(#/"units":\d+/#, with: "\"units\":\(units)"), to: "odd.jsonl")
            expectComplaint(try merged("odd.jsonl"), "odd.jsonl", "line 1 is damaged: it is of \(units) rows")
        }
        try bench.folder.write(first.replacing("\"1/3\"", with: "\"1/9000000000000000000\""), to: "odd.jsonl")
        expectComplaint(try merged("odd.jsonl"), "odd.jsonl", "line 1 is damaged")
        #expect(!bench.exists("all.jsonl"))
        try bench.folder.write(text, to: "2.jsonl")
        #expect(try merged("1.jsonl", "2.jsonl", "3.jsonl").status == 0)
        expectComplaint(try merged("1.jsonl", "2.jsonl", "3.jsonl"), "all.jsonl: the file exists", "--force")
        #expect(try merged("1.jsonl", "2.jsonl", "3.jsonl", "--force").status == 0)
        #expect(try bench.bytes("all.jsonl") == bench.bytes("w.jsonl"))
        expectComplaint(try bench.quipu("merge", "model.gguf", "1.jsonl", "2.jsonl", "3.jsonl", "--force"), "exists")
    }

    /// Ctrl-C says what is kept; nobody else may write the file meanwhile; and a log gets lines.
    @Test func stoppedWhileALogIsKept() throws {
        let bench = try Workbench()
        let command = [
            "quant", "sensitivity", Self.micro, "--chunks", "6", "--threads", "1", "--kernels", "portable", "-o",
            "s.jsonl",
        ]
        let run = try bench.start(command, environment: ["QUIPU_PROGRESS_SECONDS": "0.05"])
        let deadline = Date.now + 60
        while rowCount("s.jsonl", bench) < 1, Date.now < deadline { usleep(1000) }
        expectComplaint(try bench.quipu(command + ["--resume"]), "s.jsonl: another run is writing it")
        kill(run.process.processIdentifier, SIGINT)
        let outcome = try run.wait()
        #expect(outcome.status == 130 && outcome.output == "")
        let kept = rowCount("s.jsonl", bench)
        let lines = outcome.errors.split(separator: "\n")
        #expect(
            lines.last == "quipu: stopped. s.jsonl holds \(kept) of 30 rows; the same command with --resume goes on")
        let line = /quipu: note: (reading|scoring): [0-9]+ %, [0-9.]+( [kM])? tokens\/s, .* left/
        #expect(lines.count { $0.wholeMatch(of: line) != nil } > 2, "\(outcome.errors)")
        #expect(!outcome.errors.contains("\u{1B}") && !outcome.errors.contains("█"))
    }
}
