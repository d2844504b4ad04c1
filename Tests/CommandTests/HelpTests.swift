import Foundation
import TestSupport
import Testing

@Suite struct HelpTests {
    static let commands = [
        ["inspect"], ["tokenize"], ["graph"], ["trace"], ["ops"], ["show"], ["sql"], ["quant", "errors"],
        ["quant", "compare"],
        ["quant", "blocks"], ["explain", "weight"], ["explain", "format"], ["explain", "element"],
        ["explain", "operation"],
        ["explain", "logit"], ["verify"], ["quantize"], ["bench"], ["propagate"], ["lens"], ["attention"],
        ["perplexity"], ["compare"], ["step"], ["report"], ["merge"], ["quant", "table"], ["quant", "sensitivity"],
        ["export"], ["diff"], ["gqa", "map"], ["gqa", "what-if"], ["experts", "map"],
        ["experts", "what-if"], ["imatrix"], ["quant", "recommend"], ["patch", "sweep"],
        ["ablate", "sweep"], ["activations"], ["vector", "make"],
    ]

    /// Commands that have to do with no architecture.
    static let others = [["convert"], ["lesson", "code"], ["lesson", "fault"]]

    /// A command that does not end by itself; Tests/Browser tries it.
    static let serving = [["open"]]

    @Test(arguments: commands + others + serving)
    func saysWhatAndHowWithinThePage(command: [String]) throws {
        let help = try Workbench().quipu(command + ["--help"])
        #expect(help.status == 0)
        #expect(help.errors == "")
        #expect(help.lines[0].hasPrefix("OVERVIEW: ") && help.lines[0].count > 30)
        #expect(help.output.contains("USAGE: quipu \(command.joined(separator: " ")) "))
        for line in help.lines { #expect(line.count <= 80, "\(line)") }
    }

    /// An example that does not work as written teaches people that the manual is wrong.
    @Test(arguments: commands + others + [[]])
    func examplesWorkAsWritten(command: [String]) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.addText()
        try bench.addChatModel()
        try bench.addOldModel()
        try bench.folder.write("\"Once upon a time\"\n{\"prompt\": \"The dog\", \"group\": 1}\n", to: "prompts.jsonl")
        try bench.folder.write("\"Mia is happy.\"\n", to: "happy.jsonl")
        try bench.folder.write("\"Mia is sad.\"\n", to: "sad.jsonl")
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("other.gguf"), withDestinationPath: TinyModel.stories.path)
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("mixtral.gguf"), withDestinationPath: TinyModel.mixtral.path)
        if command.first == "patch" {
            for (name, prompt) in [("clean.db", "Mia has the ball."), ("corrupt.db", "Tom has the ball.")] {
                #expect(try bench.quipu("trace", "--prompt", prompt, "--output", name).status == 0)
            }
        }
        let help = try bench.quipu(command + ["--help"])
        let examples = Self.examples(in: help)
        #expect(!examples.isEmpty)
        for example in examples {
            let outcome = try bench.shell(example)
            #expect(outcome.status == 0, "\(example): \(outcome.errors)")
            #expect(outcome.output.count > 10, "\(example)")
        }
    }

    private static func examples(in help: Outcome) -> [String] {
        help.lines.indices.filter { help.lines[$0] == "Example:" }.map { index in
            // A long example is wrapped by the help's width.
            help.lines[(index + 1)...].prefix { $0.hasPrefix("  ") }.joined(separator: " ")
        }
    }

    /// Options that have a default say it; these have none.
    @Test(arguments: commands + others)
    func defaultsAreSaid(command: [String]) throws {
        let without: Set = [
            "--bytes", "--values", "--file", "--layer", "--kind", "--name", "--only", "--prompt", "--reference",
            "--tensor-type",
            "--tensor-type-file", "--output-tensor-type", "--token-embedding-type", "--override-kv", "--imatrix",
            "--include-weights", "--exclude-weights", "--token", "--budget", "--at",
        ]
        let help = try Workbench().quipu(command + ["--help"]).output
        var entries: [String] = []
        for line in help.split(separator: "\n") {
            if line.hasPrefix("  -") { entries.append("") }
            if !entries.isEmpty { entries[entries.count - 1] += line + " " }
        }
        for entry in entries {
            // `-o, --output <output>   …`: the option is the word before its value.
            let words = entry.split(separator: " ").prefix(3)
            guard let value = words.firstIndex(where: { $0.hasPrefix("<") }), value > 0 else { continue }
            guard !without.contains(String(words[value - 1])) else { continue }
            // Of `quant errors`, writing to a trace is an extra; of `export`, the output must be named.
            if [["quant", "errors"], ["export"]].contains(command), words[value - 1] == "--output" { continue }
            #expect(entry.contains("default: "), "\(entry)")
        }
    }

    @Test func listsEveryCommandAndItsVersion() throws {
        let bench = try Workbench()
        let help = try bench.quipu("--help").output
        for command in Self.commands { #expect(help.contains("\n  \(command[0]) "), "\(command)") }
        let changes = try String(contentsOf: Places.package.appending(path: "CHANGELOG.md"), encoding: .utf8)
        let newest = try #require(changes.firstMatch(of: /\n## \[(\d+\.\d+\.\d+)\]/)).1
        #expect(try bench.quipu("--version").output.trimmingCharacters(in: .whitespacesAndNewlines) == newest)
        #expect(try bench.quipu().output == help)
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func shellsCanCompleteCommands(shell: String) throws {
        let script = try Workbench().quipu("--generate-completion-script", shell)
        #expect(script.status == 0)
        #expect(script.output.contains("tokenize") && script.output.contains("capture"))
    }
}
