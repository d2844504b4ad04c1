import Foundation
import TestSupport
import Testing

/// What `trace` writes and prints.
@Suite struct TraceTests {
    @Test func thePageLeadsOn() throws {
        let bench = try Workbench()
        let outcome = try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "4")
        let generated = try bench.row("SELECT group_concat(piece, '') AS text FROM token", of: "trace.db")
        #expect(outcome.output.hasPrefix("\(try #require(generated["text"] as? String))\n\n1  The prompt"))
        let commands = Self.commands(in: outcome)
        #expect(commands.count == 4)
        for command in commands {
            let next = try bench.shell(command)
            #expect(next.status == 0 && next.output.count > 100, "\(command): \(next.errors)")
        }
    }

    /// The commands that a page names work on the trace that it is about.
    @Test(arguments: ["none", "stats", "last", "all", "all --only ffn_out-0"])
    func everyCaptureNamesCommandsThatWork(capture: String) throws {
        let bench = try Workbench()
        let outcome = try bench.shell("quipu trace model.gguf -p 'Once upon' --capture \(capture)")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let commands = Self.commands(in: outcome)
        #expect(!commands.isEmpty)
        for command in commands { #expect(try bench.shell(command).status == 0, "\(command)") }
    }

    /// What a page proposes to type next.
    private static func commands(in outcome: Outcome) -> [String] {
        outcome.lines.filter { $0.hasPrefix("    quipu ") }.map { String($0.dropFirst(4)) }
    }

    /// A prompt, and one token after it, that fill the cache: it has room for 512 positions or what is asked for.
    @Test(arguments: [511, 512, 513, 700])
    func theLastTokenFillsTheCache(prompt: Int) throws {
        let bench = try Workbench()
        let longer = ["quantize", "model.gguf", "long.gguf", "F16", "--override-kv", "llama.context_length=int:1024"]
        #expect(try bench.quipu(longer + ["--allow-requantize"]).status == 0)
        let ids = (0..<prompt).map { "\(3 + $0 % 200)" }.joined(separator: ",")
        let outcome = try bench.quipu(
            "trace", "long.gguf", "--ids", ids, "--generate", "2", "--capture", "stats", "-o", "t.db")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try bench.row("SELECT count(*) AS n FROM token", of: "t.db")["n"] as? Int == prompt + 2)
        #expect(try bench.quipu("verify", "t.db").status == 0)
    }

    @Test func namesAreNeverTakenTwice() throws {
        let bench = try Workbench()
        for name in ["trace.db", "trace-2.db", "trace-3.db"] {
            #expect(try bench.quipu("trace", "model.gguf", "-p", "Once").output.contains("Written: \(name) "))
            #expect(bench.exists(name))
        }
        let before = try bench.bytes("trace.db")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "trace.db"), "trace.db exists", "--force",
            "--append")
        #expect(try bench.bytes("trace.db") == before)
    }

    @Test(arguments: ["--force", "--append"])
    func whatIsNoTraceIsNeverTouched(option: String) throws {
        let bench = try Workbench()
        try bench.folder.write("a letter", to: "letter.txt")
        try FileManager.default.createDirectory(atPath: bench.folder.path("folder"), withIntermediateDirectories: true)
        // A database of someone else: a real one, made from a trace by renaming its tables away.
        try bench.addTrace("other.db")
        var bytes = try bench.bytes("other.db")
        for (offset, _) in bytes.indices(of: Data("CREATE TABLE run".utf8)) { bytes[offset + 13] = UInt8(ascii: "q") }
        for (offset, _) in bytes.indices(of: Data("tablerunrun".utf8)) { bytes[offset + 5] = UInt8(ascii: "q") }
        try bytes.write(to: URL(filePath: bench.folder.path("other.db")))

        for name in ["letter.txt", "model.gguf", "other.db"] {
            let before = try bench.bytes(name)
            expectComplaint(try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", name, option), name)
            #expect(try bench.bytes(name) == before, "\(name)")
        }
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "folder", option), "found a directory")
    }

    @Test func forceReplacesAndAppendAdds() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "model.gguf", "-p", "One day", "-o", "trace.db", "--append")
        #expect(
            try bench.row("SELECT count(*) AS n, count(DISTINCT model_id) AS models FROM run", of: "trace.db")
                as? [String: Int]
                == ["n": 2, "models": 1])
        #expect(try bench.quipu("ops", "trace.db").output.contains("run 2"))
        #expect(try bench.quipu("show", "trace.db", "kq-0", "--run", "1", "--step", "3").status == 0)
        try bench.quipu("trace", "model.gguf", "-p", "One day", "-o", "trace.db", "--force")
        #expect(try bench.row("SELECT count(*) AS n FROM run", of: "trace.db")["n"] as? Int == 1)
        #expect(try bench.row("PRAGMA integrity_check", of: "trace.db")["integrity_check"] as? String == "ok")
    }

    @Test func outputsThatCannotBeMade() throws {
        let bench = try Workbench()
        func trace(_ output: String) throws -> Outcome {
            try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", output)
        }
        expectComplaint(try trace("nowhere/t.db"), "nowhere/t.db cannot be written", "there is no folder")
        expectComplaint(try trace("model.gguf/t.db"), "model.gguf/t.db cannot be written", "is no folder")
        expectComplaint(try trace("/proc/t.db"), "/proc/t.db cannot be written")
    }

    @Test func sizesAreRefusedBeforeAnythingIsWritten() throws {
        let bench = try Workbench()
        let trace = ["trace", "model.gguf", "-p", "Once upon a time", "--max-size", "20K"]
        expectComplaint(try bench.quipu(trace), "would take about", "--max-size 20.0 KiB", "--capture stats")
        let estimate = try bench.quipu(trace + ["--estimate"])
        #expect(estimate.status == 0 && estimate.output.contains("nothing was run"))
        #expect(!bench.exists("trace.db"))
        #expect(try bench.quipu("trace", "model.gguf", "-p", "Once", "--max-size", "0.5g").status == 0)
    }

    @Test func promptsThatCannotRun() throws {
        let bench = try Workbench(TinyModel.biases.path)
        expectComplaint(try bench.quipu("trace", "model.gguf", "-p", ""), "the prompt has no tokens")
        let long = String(repeating: "word ", count: 300)
        expectComplaint(try bench.quipu("trace", "model.gguf", "-p", long), "positions", "trained for 512", "shorten")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "x", "-g", "1000000000"), "positions", "fewer tokens")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "x", "--only", "ffn_oot-0"), "ffn_oot-0",
            "Did you mean ffn_out-0")
        #expect(!bench.exists("trace.db"))
        // A model with a BOS token runs an empty prompt.
        #expect(try Workbench().quipu("trace", "model.gguf", "-p", "").output.contains("1 token\n"))
    }

    @Test func textStreamsWholeCharacters() throws {
        let bench = try Workbench()
        let prompt = "naïve 🎉 日本語 \u{1F468}\u{200D}\u{1F469}"
        let outcome = try bench.quipu(
            "trace", "model.gguf", "-p", prompt, "-g", "6", "--temperature", "5", "--top-k", "0")
        #expect(outcome.output.hasPrefix("<s> \(prompt)"))
        // Control characters of a prompt or a model do not reach the terminal.
        let escape = try bench.quipu("trace", "model.gguf", "-p", "a\u{1B}[2Jb\nc", "-g", "0")
        #expect(escape.output.hasPrefix("<s> a␛[2Jb\nc\n"))
    }

    @Test func zeroTokensAreGenerated() throws {
        let object = try Workbench().quipu("trace", "model.gguf", "-p", "Once", "-g", "0", "--json").object()
        #expect(object["generated_ids"] as? [Int] == [])
        #expect(object["generated_text"] as? String == "")
        #expect(object["n_passes"] as? Int == 1)
    }

    @Test func samplingIsReproducible() throws {
        let bench = try Workbench()
        func ids(_ seed: String) throws -> [Int]? {
            try bench.quipu(
                "trace", "model.gguf", "-p", "Once", "-g", "12", "--temperature", "4", "--min-p", "0", "--top-p", "1",
                "--seed", seed, "--capture", "none", "--json"
            ).object()["generated_ids"] as? [Int]
        }
        let first = try ids("1")
        #expect(first?.count == 12)
        #expect(try ids("1") == first)
        #expect(try ids("2") != first)
        let greedy = try bench.quipu("trace", "model.gguf", "-p", "Once", "-g", "12", "--json").object()
        #expect(greedy["generated_ids"] as? [Int] != first)
    }

    /// An end-of-text token that the model is made to like best.
    @Test func generationStopsAtTheEndUnlessTold() throws {
        let bench = try Workbench()
        let greedy = try bench.quipu("trace", "model.gguf", "-p", "Once", "-g", "3", "--json").object()
        let second = UInt32(try #require(greedy["generated_ids"] as? [Int])[1])
        try bench.writeModel { key, value in key == "tokenizer.ggml.eos_token_id" ? .uint32(second) : value }
        func count(_ options: String...) throws -> Int? {
            let run = try bench.quipu(["trace", "bad.gguf", "-p", "Once", "-g", "3", "--json"] + options)
            return (try run.object()["generated_ids"] as? [Int])?.count
        }
        #expect(try count() == 2)
        #expect(try count("--ignore-eos") == 3)
    }

    @Test func threadsDoNotChangeABit() throws {
        let bench = try Workbench()
        for threads in ["1", "2", "3"] {
            try bench.quipu(
                "trace", "model.gguf", "-p", "Once upon a time", "-g", "3", "-t", threads, "-o", "\(threads).db")
        }
        func blobs(_ name: String) throws -> Data {
            Data(
                try bench.quipu("sql", "\(name).db", "SELECT op_id, chunk, data FROM tensor ORDER BY 1, 2", "--json")
                    .output.utf8)
        }
        let one = try blobs("1")
        #expect(one.count > 100_000)
        #expect(try blobs("2") == one)
        #expect(try blobs("3") == one)
    }
}

extension Data {
    /// Where a pattern begins.
    fileprivate func indices(of pattern: Data) -> [(Int, Int)] {
        var (found, start) = ([(Int, Int)](), startIndex)
        while let range = range(of: pattern, in: start..<endIndex) {
            found.append((range.lowerBound, range.upperBound))
            start = range.upperBound
        }
        return found
    }
}
