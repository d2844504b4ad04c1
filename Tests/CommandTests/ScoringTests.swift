import Foundation
import TestSupport
import Testing

/// `perplexity` and `compare` as a user runs them; the figures themselves are held against llama.cpp's in MeasuringTests.
@Suite struct ScoringTests {
    typealias Object = [String: Any]

    static let micro = ScoringGolden.path("models/micro-world-f16.gguf")
    static let quantized = ScoringGolden.path("models/micro-world-qat-q4_0.gguf")

    private func keys(_ object: Any?) throws -> Set<String> { Set(try #require(object as? Object).keys) }

    // MARK: perplexity

    @Test func perplexityOfTheEmbeddedModel() throws {
        let golden = try #require(try ScoringGolden.load().scored.first)
        let outcome = try Workbench().quipu("perplexity", Self.micro, "--chunks", "8", "--json")
        #expect(outcome.status == 0 && outcome.errors == "")
        let object = try outcome.object()
        let perplexity = try #require(object["perplexity"] as? Double)
        #expect(abs(perplexity - golden.perplexity) < 1e-10)
        #expect(abs(try #require(object["uncertainty"] as? Double) - golden.uncertainty) < 1e-10)
        #expect(object["n_tokens"] as? Int == golden.nTokens && object["model"] as? String == Self.micro)
        let chunks = try #require(object["chunks"] as? [Object])
        #expect(chunks.count == 8)
        #expect(abs(try #require(chunks.last?["running"] as? Double) - perplexity) < 1e-10)
        let text = try #require(object["text"] as? Object)
        #expect((text["name"] as? String)?.hasSuffix("micro-world-held-out.txt") == true)
        #expect(text["n_tokens"] as? Int == golden.textTokens && text["n_chunks"] as? Int == 8)
        #expect(text["chunk_size"] as? Int == 256)
    }

    @Test func aPageSaysWhatTheNumberMeans() throws {
        let outcome = try Workbench().quipu("perplexity", "--chunks", "8")
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("Perplexity: 3.4120 ± 0.1954"))
        #expect(outcome.output.contains("8 chunks of 256 were read; 1,016 tokens scored"))
        #expect(outcome.output.contains("among 3.412 tokens") && outcome.output.contains("1.771 bits per token"))
        #expect(outcome.output.contains("highest 4.711 in chunk 3"))
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func textComesFromAFileOrStandardInput() throws {
        let bench = try Workbench()
        try bench.addText()
        let options = ["--chunk", "64", "--chunks", "2"]
        let file = try bench.quipu(["perplexity", "model.gguf", "--file", "text.txt"] + options)
        #expect(file.status == 0)
        let piped = try bench.shell("quipu perplexity model.gguf --file - --chunk 64 --chunks 2 < text.txt")
        #expect(piped.output == file.output.replacing("text.txt", with: "standard input"))
        // Kernels and threads change nothing.
        let others = ["--kernels", "portable", "--threads", "1"]
        #expect(
            try bench.quipu(["perplexity", "model.gguf", "--file", "text.txt"] + options + others).output
                == file.output)
    }

    @Test func whatIsMissingIsSaid() throws {
        let bench = try Workbench()
        try bench.folder.write("Too short.", to: "short.txt")
        for command in [["perplexity", "model.gguf"], ["compare", "model.gguf", "model.gguf"]] {
            expectComplaint(try bench.quipu(command), "model.gguf", "no text comes with this model", "--file")
            expectComplaint(try bench.quipu(command + ["--file", "none.txt"]), "none.txt: found no such file")
            expectComplaint(
                try bench.quipu(command + ["--file", "short.txt"]), "short.txt: found ", "of one chunk", "--chunk")
            expectComplaint(
                try bench.quipu(command + ["--file", "short.txt", "--chunk", "100000"]), "was trained for",
                "a chunk of 100000 tokens")
        }
        expectComplaint(try bench.quipu("perplexity", "none.gguf"), "none.gguf")
        expectComplaint(try bench.quipu("perplexity", "short.txt"), "short.txt")
        expectComplaint(try bench.quipu("compare", "model.gguf", "none.gguf"), "none.gguf")
        expectComplaint(try bench.quipu("compare", "none.gguf", "model.gguf"), "none.gguf")
    }

    // MARK: compare

    @Test func compareWritesEveryFigure() throws {
        let golden = try #require(try ScoringGolden.load().compared.first)
        let outcome = try Workbench().quipu("compare", Self.micro, Self.quantized, "--chunks", "8", "--json")
        #expect(outcome.status == 0 && outcome.errors == "")
        let object = try outcome.object()
        #expect(object["base"] as? String == Self.micro && object["other"] as? String == Self.quantized)
        #expect(object["n_tokens"] as? Int == golden.nTokens)
        for (name, expected) in [("kld", golden.kld), ("delta_p", golden.deltaP), ("perplexity", golden.perplexity)] {
            let figures = try #require(object[name] as? Object)
            for (key, value) in expected {
                let found = try #require(figures[key] as? Double, "\(name).\(key)")
                #expect(abs(found - value) <= 1e-9 * max(1, abs(value)), "\(name).\(key)")
            }
        }
        #expect(abs(try #require(object["same_top"] as? Double) - golden.sameTop) < 1e-12)
        let kld = try #require(object["kld"] as? Object)
        for name in ["median", "p90", "p99", "p999"] {
            let interval = try #require(kld[name + "_interval"] as? [Double])
            let value = try #require(kld[name] as? Double)
            #expect(interval.count == 2 && interval[0] <= value && value <= interval[1])
        }
    }

    @Test func aPageHasFiguresWithTheirErrors() throws {
        let outcome = try Workbench().quipu("compare", Self.quantized, "--chunks", "8")
        #expect(outcome.status == 0 && outcome.errors == EmbeddedModelTests.note)
        let page = outcome.output
        #expect(page.contains("micro-world-qat-q4_0.gguf") && page.contains("micro-world-f16.gguf"))
        for name in [
            "their ratio", "KL divergence, mean", "median", "99.9 % stay below", "largest", "Same token on top",
        ] {
            #expect(page.contains("\n\(name) "), "\(name)")
        }
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func onlyALimitMakesADifferenceAFailure() throws {
        let bench = try Workbench()
        let command = ["compare", Self.micro, Self.quantized, "--chunks", "2"]
        let plain = try bench.quipu(command)
        let met = try bench.quipu(command + ["--max-kld", "1"])
        #expect(plain.status == 0 && met.status == 0 && met.output == plain.output && met.errors == "")
        let exceeded = try bench.quipu(command + ["--max-kld", "0.001"])
        #expect(exceeded.status == 2 && exceeded.output == plain.output)
        #expect(exceeded.errors.contains("larger than --max-kld 0.001"))
        let same = try bench.quipu("compare", Self.micro, Self.micro, "--chunks", "1", "--max-kld", "0")
        #expect(same.status == 0)
    }

    @Test func otherVocabulariesAreRefusedByName() throws {
        let bench = try Workbench()
        expectComplaint(
            try bench.quipu("compare", Self.micro, "model.gguf"), Self.micro, "model.gguf", "different vocabularies",
            "1024 tokens and 512")
        // As many tokens, one of them another: its text is changed in a copy of the file.
        var bytes = try bench.bytes("model.gguf")
        let old = Data("▁little".utf8)
        let range = try #require(bytes.range(of: old))
        bytes.replaceSubrange(range, with: Data("▁lattle".utf8))
        try bytes.write(to: URL(filePath: bench.folder.path("changed.gguf")))
        try bench.addText()
        expectComplaint(
            try bench.quipu("compare", "model.gguf", "changed.gguf", "--file", "text.txt"), "model.gguf",
            "changed.gguf", "different vocabularies", "' little' in one and ' lattle' in the other")
    }
}

extension Workbench {
    /// Puts a text of thousands of tokens here.
    func addText(_ name: String = "text.txt") throws {
        try FileManager.default.copyItem(atPath: ScoringGolden.text, toPath: folder.path(name))
    }
}
