import Foundation
import TestSupport
import Testing

@Suite struct TokenizeTests {
    private func ids(_ outcome: Outcome) throws -> [Int] { try #require(try outcome.object()["ids"] as? [Int]) }

    @Test func textFromAnArgumentAFileAndStandardInput() throws {
        let bench = try Workbench()
        let text = "Once upon\na time 🎉"
        try bench.folder.write(text, to: "text.txt")
        let expected = try ids(bench.quipu("tokenize", "model.gguf", text, "--json"))
        #expect(expected.count > 5)
        #expect(try ids(bench.quipu("tokenize", "model.gguf", "--file", "text.txt", "--json")) == expected)
        #expect(try ids(bench.quipu("tokenize", "model.gguf", "--file", "-", "--json", input: text)) == expected)
        let modelFromEnvironment = try bench.quipu(
            "tokenize", "--file", "text.txt", "--json", environment: ["QUIPU_MODEL": "model.gguf"])
        #expect(try ids(modelFromEnvironment) == expected)
    }

    @Test func textsThatCannotBeRead() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("tokenize", "model.gguf", "--file", "none.txt"), "none.txt: found no such file")
        expectComplaint(try bench.quipu("tokenize", "model.gguf", "--file", "."), ".: found a directory")
    }

    @Test func specialTokensOnDemand() throws {
        let bench = try Workbench()
        #expect(try ids(bench.quipu("tokenize", "model.gguf", "a", "--json")).first == 1)
        #expect(try ids(bench.quipu("tokenize", "model.gguf", "a", "--json", "--no-add-special")).first != 1)
        let parsed = try ids(bench.quipu("tokenize", "model.gguf", "</s>", "--json", "--no-add-special"))
        #expect(parsed == [2])
        #expect(
            try ids(bench.quipu("tokenize", "model.gguf", "</s>", "--json", "--no-add-special", "--no-parse-special"))
                .count > 1)
        #expect(try ids(bench.quipu("tokenize", "model.gguf", "", "--json", "--no-add-special")) == [])
        #expect(try bench.quipu("tokenize", "model.gguf", "", "--no-add-special").output == "0 tokens\n")
    }

    @Test func idsAreLookedUp() throws {
        let bench = try Workbench()
        let there = try bench.quipu("tokenize", "model.gguf", "Once upon a time", "--json").object()
        let list = try #require(there["ids"] as? [Int]).map(String.init).joined(separator: ", ")
        let back = try bench.quipu("tokenize", "model.gguf", "--ids", list, "--json").object()
        #expect(back["ids"] as? [Int] == there["ids"] as? [Int])
        #expect(back["pieces"] as? [String] == there["pieces"] as? [String])
        #expect((back["text"] as? String)?.hasSuffix("Once upon a time") == true)
        #expect((back["kinds"] as? [String])?.prefix(2) == ["control", "normal"])
        #expect(try bench.quipu("tokenize", "model.gguf", "--ids", "1").output.contains("control"))
        expectComplaint(
            try bench.quipu("tokenize", "model.gguf", "--ids", "1,512"), "number 2 is 512", "ids 0 to 511")
        for wrong in [
            ["--ids", "x"], ["--ids", "1", "--steps"], ["--ids", "1", "--file", "x"], ["text", "--ids", "1"],
        ] {
            #expect(try bench.quipu(["tokenize", "model.gguf"] + wrong).status == 64)
        }
    }

    @Test func stepsLeadToTheIds() throws {
        let bench = try Workbench(TinyModel.biases.path)
        let object = try bench.quipu("tokenize", "model.gguf", "Once upon", "--steps", "--json").object()
        let steps = try #require(object["steps"] as? [[String: Any]])
        #expect(steps.flatMap { $0["ids"] as? [Int] ?? [] } == object["ids"] as? [Int])
        let page = try bench.quipu("tokenize", "model.gguf", "Once upon", "--steps").output
        #expect(page.contains("Ġ stands for a space") && page.contains(", the lowest left"))
    }

    /// Bytes that are no text, and control characters, end up in ids and as pictures.
    @Test func bytesThatAreNoText() throws {
        let bench = try Workbench()
        try Data([0x61, 0xFF, 0x1B, 0x5B, 0x32, 0x4A, 0xF0, 0x9F]).write(to: URL(filePath: bench.folder.path("bytes")))
        for options in [[], ["--steps"]] {
            let outcome = try bench.quipu(["tokenize", "model.gguf", "--file", "bytes"] + options)
            #expect(outcome.status == 0)
            #expect(outcome.output.contains("‹<0xFF>›") && outcome.output.contains("‹<0xF0>›"))
            #expect(!outcome.output.contains("\u{1B}"))
        }
    }
}
