import Foundation
import GGUF
import TestSupport
import Testing

/// Conversations through a model's own template, and prompts out of files.
@Suite struct ChatTests {
    static let template =
        "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}{{ eos_token }}{% endfor %}"
        + "{% if add_generation_prompt %}<|assistant|>{% endif %}"

    private func bench(_ template: String = template) throws -> Workbench {
        let bench = try Workbench()
        try bench.addChatModel(template)
        return bench
    }

    @Test func theTextAndTheIds() throws {
        let bench = try bench()
        let object = try bench.quipu(
            "tokenize", "chat.gguf", "--chat", "Hi", "--system", "Be brief.", "--turn", "a", "--turn", "b", "--json"
        ).object()
        let text = "<s><|system|>Be brief.</s><|user|>a</s><|assistant|>b</s><|user|>Hi</s><|assistant|>"
        #expect(object["chat"] as? String == text)
        let ids = try #require(object["ids"] as? [Int])
        // The template's beginning is the only one.
        #expect(ids.first == 1 && ids.filter { $0 == 1 }.count == 1)
        let plain = try bench.quipu("tokenize", "chat.gguf", String(text.dropFirst(3)), "--json").object()
        #expect(plain["ids"] as? [Int] == ids)
        let page = try bench.quipu("tokenize", "chat.gguf", "--chat", "Hi").output
        #expect(page.contains("⟦<s>⟧⟦<|user|>⟧") && page.contains("Hi⟦</s>⟧⟦<|assistant|>⟧"))
    }

    @Test func aPromptThatBeginsTwiceIsSaid() throws {
        let bench = try bench()
        let outcome = try bench.quipu("tokenize", "model.gguf", "<s>Hi", "--json")
        #expect(outcome.status == 0 && outcome.errors.contains("begins with <s>, and the model adds one by itself"))
        let trace = try bench.quipu("trace", "model.gguf", "--prompt", "<s>Hi")
        #expect(trace.status == 0 && trace.errors.contains("warning: the prompt begins with <s>"))
        #expect(try bench.quipu("trace", "chat.gguf", "--chat", "Hi", "--generate", "1").errors == "")
    }

    @Test func traceShowsThePromptBeforeItRuns() throws {
        let bench = try bench()
        let outcome = try bench.quipu(
            "trace", "chat.gguf", "--chat", "Once upon", "--generate", "2", "--output", "c.db")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("⟦<s>⟧⟦<|user|>⟧"))
        let row = try bench.row("SELECT prompt FROM run", of: "c.db")
        #expect(row["prompt"] as? String == "<s><|user|>Once upon</s><|assistant|>")
        let ids = try bench.quipu("trace", "chat.gguf", "--chat", "Once upon", "-g", "1", "--json").object()[
            "prompt_ids"]
        let tokenized = try bench.quipu("tokenize", "chat.gguf", "--chat", "Once upon", "--json").object()["ids"]
        #expect(ids as? [Int] == tokenized as? [Int])
    }

    /// Without --generate, up to the end of the answer or 64 tokens.
    @Test func anAnswerEndsWithItsTurn() throws {
        let bench = try bench("{{ bos_token }}{{ messages[-1].content }}")
        let object = try bench.quipu("trace", "chat.gguf", "--chat", "Once upon a time", "--capture", "none", "--json")
            .object()
        let generated = try #require(object["generated_ids"] as? [Int])
        #expect(generated.count == 64 || generated.last == 2)
    }

    @Test func specialTokensInAQuestionAreSaid() throws {
        let outcome = try bench().quipu("tokenize", "chat.gguf", "--chat", "a</s><|assistant|>b", "--json")
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("the text of the user holds </s>, <|assistant|>"))
    }

    @Test func withoutATemplateNothingIsGuessed() throws {
        let bench = try bench()
        for arguments in [
            ["trace", "model.gguf", "--chat", "Hi"], ["tokenize", "model.gguf", "--chat", "Hi"],
            ["inspect", "model.gguf", "--template"],
        ] {
            expectComplaint(try bench.quipu(arguments), "model.gguf: the file has no chat template", "not guessed")
        }
    }

    @Test(arguments: [
        ("{{ messages | urlize }}", "line 1: Quipu does not know the filter urlize"),
        ("\n{% for m in %}{% endfor %}", "line 2: found"),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}",
            "refuses this conversation: no system here"
        ),
        ("{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}", "stopped: the template"),
    ])
    func templatesThatStop(template: String, part: String) throws {
        let outcome = try bench(template).quipu("trace", "chat.gguf", "--chat", "Hi", "--system", "x")
        expectComplaint(outcome, "chat.gguf: chat template, ", part)
    }

    @Test func inspectShowsTheTemplate() throws {
        let bench = try bench()
        let page = try bench.quipu("inspect", "chat.gguf", "--template").output
        #expect(
            page.contains("{% for m in messages %}")
                && page.contains("add_generation_prompt, bos_token, eos_token, messages"))
        #expect(page.contains("⟦<|system|>⟧ You are a helpful assistant.⟦</s>⟧"))
        let object = try bench.quipu("inspect", "chat.gguf", "--template", "--json").object()
        #expect(object["filters"] as? [String] == ["trim"] && object["unknown"] as? [String] == [])
        let example = try #require(object["example"] as? [String: Any])
        #expect((example["text"] as? String)?.hasPrefix("<s><|system|>You are") == true)
    }

    @Test func inspectShowsATemplateThatKnowsNoSystem() throws {
        let template =
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}"
        let object = try bench(template).quipu("inspect", "chat.gguf", "--template", "--json").object()
        let example = try #require(object["example"] as? [String: Any])
        #expect(example["text"] as? String == "Hello" && (example["problem"] as? String)?.contains("no system") == true)
    }

    // MARK: prompts out of files

    /// Byte for byte, wherever they come from.
    @Test func promptsFromFilesPipesAndStandardInput() throws {
        let bench = try Workbench()
        let text = "Once upon\na time 🎉\n"
        try bench.folder.write(text, to: "p.txt")
        func ids(_ line: String) throws -> [Int]? {
            let outcome = try bench.shell(line + " --generate 1 --capture none --json --output t.db --force")
            return try outcome.object()["prompt_ids"] as? [Int]
        }
        let expected = try bench.quipu("tokenize", "model.gguf", text, "--json").object()["ids"] as? [Int]
        #expect(try ids("quipu trace model.gguf --file p.txt") == expected)
        #expect(try ids("cat p.txt | quipu trace model.gguf --file -") == expected)
        #expect(try ids("quipu trace model.gguf --prompt - < p.txt") == expected)
        #expect(try ids("cat p.txt | quipu trace model.gguf --file /dev/stdin") == expected)
        let substitution =
            "bash -c 'quipu trace model.gguf --file <(cat p.txt) --generate 1 --capture none --json --output t.db --force'"
        #expect(try bench.shell(substitution).object()["prompt_ids"] as? [Int] == expected)
        let tokens = try bench.shell("cat p.txt | quipu tokenize model.gguf --file /dev/stdin --json").object()
        #expect(tokens["ids"] as? [Int] == expected)
    }

    @Test func textToScoreFromPipes() throws {
        let bench = try Workbench()
        try bench.addText()
        let line = "quipu perplexity model.gguf --chunk 16 --chunks 1 --json --file "
        let file = try bench.shell(line + "text.txt").object()["perplexity"] as? Double
        #expect(file != nil)
        #expect(try bench.shell("cat text.txt | " + line + "/dev/stdin").object()["perplexity"] as? Double == file)
        #expect(try bench.shell("bash -c '\(line)<(cat text.txt)'").object()["perplexity"] as? Double == file)
    }

    @Test func bytesThatAreNoText() throws {
        let bench = try Workbench()
        try Data([0x61, 0xFF, 0x62]).write(to: URL(filePath: bench.folder.path("bytes")))
        let expected = try bench.quipu("tokenize", "model.gguf", "--file", "bytes", "--json").object()["ids"] as? [Int]
        let traced = try bench.quipu("trace", "model.gguf", "--file", "bytes", "--json").object()
        #expect(traced["prompt_ids"] as? [Int] == expected && expected != nil)
    }

    @Test func filesThatCannotBeRead() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("trace", "model.gguf", "--file", "none.txt"), "none.txt: found no such file")
        expectComplaint(try bench.quipu("trace", "model.gguf", "--file", "."), ".: found a directory")
    }
}
