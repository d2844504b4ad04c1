import Foundation
import GGUF
import TestSupport
import Testing

/// `--ids`: a prompt as ids, with a tokenizer or without.
@Suite struct IdsTests {
    static let prompt = "Once upon a time"

    /// The ids of the prompt as `tokenize --json` prints them.
    private func printedIds(_ bench: Workbench) throws -> [Int] {
        try #require(try bench.quipu("tokenize", "model.gguf", Self.prompt, "--json").object()["ids"] as? [Int])
    }

    @Test func idsGiveWhatTheirTextGives() throws {
        let bench = try Workbench()
        let ids = try printedIds(bench)
        let text = try bench.quipu("trace", "model.gguf", "-p", Self.prompt, "-g", "3", "-o", "text.db", "--json")
        let expected = try text.object()
        let numbers = ids.map(String.init)
        for list in [numbers.joined(separator: ","), "\(ids)", "[\n  " + numbers.joined(separator: ",\n  ") + "\n]\n"] {
            let found = try bench.quipu(
                "trace", "model.gguf", "--ids", list, "-g", "3", "-o", "ids.db", "--force", "--json")
            #expect(found.status == 0, "\(found.errors)")
            let outcome = try found.object()
            for key in ["prompt_ids", "generated_ids", "generated_text", "prompt_pieces"] {
                #expect("\(outcome[key] ?? "none")" == "\(expected[key] ?? "missing")", "\(key)")
            }
            #expect(try bench.row("SELECT prompt FROM run", of: "ids.db")["prompt"] as? String == Self.prompt)
        }
    }

    @Test func everyCommandThatTakesAPromptTakesIds() throws {
        let bench = try Workbench()
        let ids = try printedIds(bench).map(String.init).joined(separator: ",")
        let long = (Array(repeating: ids, count: 3)).joined(separator: ",")
        for command in [["propagate", "model.gguf", "--no-shares"], ["gqa", "what-if", "model.gguf", "--pool", "1"]] {
            let outcome = try bench.quipu(command + ["--ids", long, "--json"])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        let step = try bench.quipu("step", "model.gguf", "--ids", ids, input: "n\n")
        #expect(step.status == 0, "\(step.errors)")
        #expect(
            try bench.row("SELECT count(*) AS n FROM token WHERE source = 'prompt'", of: "trace.db")["n"] as? Int == 5)
    }

    @Test func wrongIdsAreNamed() throws {
        let bench = try Workbench()
        for command in [["trace", "model.gguf"], ["propagate", "model.gguf"], ["step", "model.gguf"]] {
            expectComplaint(
                try bench.quipu(command + ["--ids", "1,512"]), "model.gguf: --ids: number 2 is 512",
                "512 tokens, ids 0 to 511")
            expectComplaint(try bench.quipu(command + ["--ids=-1"]), "number 1 is -1")
            for wrong in ["", "1,x", "[1", "1;2", "1.5"] {
                expectComplaint(try bench.quipu(command + ["--ids", wrong]), "--ids", "Usage: ", status: 64)
            }
            expectComplaint(
                try bench.quipu(command + ["--ids", "1", "-p", "x"]), "give --prompt or --ids, not both", "Usage: ",
                status: 64)
        }
        #expect(!bench.exists("trace.db"))
    }

    /// With another tokenizer's name the texts of the list are shown.
    @Test(arguments: ["martian", "bert", "none"]) func aModelWithAnUnknownTokenizerRuns(_ name: String) throws {
        let bench = try Workbench()
        try bench.writeModel { key, value in key == "tokenizer.ggml.model" ? .string(name) : value }
        expectComplaint(try bench.quipu("tokenize", "bad.gguf", "x"), "bad.gguf: tokenizer model \"\(name)\"")
        expectComplaint(
            try bench.quipu("trace", "bad.gguf", "-p", "x"), "bad.gguf: tokenizer model \"\(name)\"", "--ids",
            "quipu inspect")
        #expect(!bench.exists("trace.db"))
        let ids = try printedIds(bench)
        let outcome = try bench.quipu("trace", "bad.gguf", "--ids", "\(ids)", "-g", "3", "--json").object()
        let expected = try bench.quipu("trace", "model.gguf", "--ids", "\(ids)", "-g", "3", "-o", "b.db", "--json")
            .object()
        for key in ["generated_ids", "generated_text", "prompt_pieces"] {
            #expect("\(outcome[key] ?? "none")" == "\(expected[key] ?? "missing")", "\(key)")
        }
        for command in [["lens", "trace.db"], ["explain", "logit", "trace.db"], ["verify", "trace.db"]] {
            #expect(try bench.quipu(command).status == 0)
        }
    }

    /// Without a list of tokens ids stand for themselves.
    @Test func aModelWithoutTokensRuns() throws {
        let bench = try Workbench()
        let file = try GGUFFile(path: bench.folder.path("model.gguf"))
        let entries = file.metadata.entries.filter { !$0.key.hasPrefix("tokenizer.") && $0.key != "llama.vocab_size" }
        try GGUFWriter(
            metadata: Metadata(entries + [.init(key: "llama.vocab_size", value: .uint32(512))]),
            tensors: file.tensors.map { GGUFWriter.TensorEntry($0, of: file) }
        ).write(to: bench.folder.path("bad.gguf"), overwrite: true)
        expectComplaint(
            try bench.quipu("trace", "bad.gguf", "-p", "x"), "bad.gguf: the metadata has no tokenizer.ggml.model",
            "--ids")
        let outcome = try bench.quipu("trace", "bad.gguf", "--ids", "1,403,407", "--json").object()
        #expect(outcome["prompt_pieces"] as? [String] == ["<1>", "<403>", "<407>"])
    }
}
