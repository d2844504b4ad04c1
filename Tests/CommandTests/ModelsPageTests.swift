import Foundation
import LlamaModel
import TestSupport
import Testing

/// docs/models.md: which command works on which architecture, found out by running all of them on the tiny models.
///
/// `QUIPU_KEEP_SCREENS=1` writes the page's table again.
@Suite struct ModelsPageTests {
    /// Rows of the table, in the order in which they run: those below find the files of those above.
    private static let rows: [(command: String, line: String)] = [
        ("inspect", "quipu inspect model.gguf --tensors"),
        ("tokenize", "quipu tokenize model.gguf 'Once upon a time'"),
        ("graph", "quipu graph model.gguf"),
        ("trace", "quipu trace model.gguf -p 'Once upon a time' --generate 2 -o trace.db"),
        ("trace --set", "quipu trace --from trace.db --set 'kq_soft_max-0[:,:,0]=0' -o changed.db"),
        ("ops", "quipu ops trace.db"),
        ("show", "quipu show trace.db 'kq_soft_max-0[:,:,0]'"),
        ("sql", "quipu sql trace.db 'SELECT layer, rms_in, rms_mid, rms_out FROM v_layer'"),
        ("export", "quipu export trace.db 'l_out-*' 'kq_soft_max-*' --output values.npz"),
        ("step", "printf 'n\\nN\\nwhy\\nrwatch top1\\n' | quipu step trace.db"),
        ("diff", "quipu diff trace.db changed.db; test $? -le 2"),
        ("merge", "quipu merge all.db trace.db changed.db"),
        ("report", "quipu report trace.db --output report.html"),
        ("verify", "quipu verify trace.db"),
        ("explain element", "quipu explain element trace.db 'l_out-0[1,1]' --depth 4"),
        ("explain logit", "quipu explain logit trace.db"),
        ("explain weight", "quipu explain weight model.gguf blk.0.attn_output.weight 3 4"),
        ("explain format", "quipu explain format model.gguf Q8_0"),
        ("explain operation", "quipu explain operation"),
        ("lens", "quipu lens trace.db --all"),
        ("attention", "quipu attention trace.db 0.1"),
        ("gqa map", "quipu gqa map model.gguf --trace trace.db"),
        (
            "gqa what-if --pool",
            "quipu gqa what-if model.gguf --pool 1 -p 'Once upon a time there was a dog in the garden'"
        ),
        (
            "gqa what-if --swap",
            "quipu gqa what-if model.gguf --swap 0:1 -p 'Once upon a time there was a dog in the garden'"
        ),
        (
            "gqa what-if --drop",
            "quipu gqa what-if model.gguf --drop 0:1 -p 'Once upon a time there was a dog in the garden'"
        ),
        ("experts map", "quipu experts map trace.db"),
        (
            "experts what-if",
            "quipu experts what-if model.gguf --top 1 -p 'Once upon a time there was a dog in the garden'"
        ),
        ("quantize", "quipu quantize model.gguf small.gguf Q8_0"),
        ("quant errors", "quipu quant errors model.gguf --as Q8_0"),
        ("quant compare", "quipu quant compare model.gguf blk.0.attn_output.weight"),
        ("quant blocks", "quipu quant blocks small.gguf token_embd.weight --row 3 --block 0"),
        ("quant table", "quipu quant table model.gguf --types Q8_0 --file text.txt --chunk 16 --chunks 1"),
        (
            "quant sensitivity",
            "quipu quant sensitivity model.gguf --type Q8_0 --by role --file text.txt --chunk 16 --chunks 1"
        ),
        ("imatrix", "quipu imatrix model.gguf --file text.txt --chunk 16 --chunks 2 -o im.gguf"),
        (
            "quant recommend",
            "quipu quant recommend model.gguf --budget 6bpw --types Q4_0,Q8_0 --file text.txt --chunk 16 --chunks 1 "
                + "--held-out-chunks 1 --imatrix im.gguf"
        ),
        ("patch sweep --over heads", "quipu patch sweep trace.db changed.db"),
        ("patch sweep --over layers", "quipu patch sweep trace.db changed.db --over layers"),
        ("patch sweep --over positions", "quipu patch sweep trace.db changed.db --over positions"),
        ("ablate sweep --over heads", "quipu ablate sweep trace.db --with mean"),
        ("ablate sweep --over experts", "quipu ablate sweep trace.db --over experts"),
        (
            "activations",
            "quipu activations model.gguf --file text.txt --chunk 16 --chunks 2 --at 'l_out-*,Qcur-*' -o shards"
        ),
        (
            "trace --prompts",
            "printf '\"Once upon a time\"\\n\"Once upon a dog\"\\n' > pos.jsonl; quipu trace model.gguf --prompts pos.jsonl "
                + "--track '#5' --metric '#5 - #6' -o many.db"
        ),
        (
            "vector make",
            "printf '\"The dog was there\"\\n\"A time of cats\"\\n' > neg.jsonl; "
                + "quipu vector make pos.jsonl neg.jsonl --model model.gguf -o v.gguf"
        ),
        (
            "trace --control-vector",
            "quipu trace --from many.db --run 2 --control-vector v.gguf --patch 'l_out-0[:,1]=many.db#1[:,2]' -o s.db"
        ),
        ("propagate", "quipu propagate model.gguf --as Q8_0 -p 'Once upon a time there was a dog in the garden'"),
        ("perplexity", "quipu perplexity model.gguf --file text.txt --chunk 16 --chunks 1"),
        ("compare", "quipu compare model.gguf small.gguf --file text.txt --chunk 16 --chunks 1"),
        ("bench", "quipu bench model.gguf --prompt-tokens 8 --decode-tokens 2 --repetitions 1"),
        ("lesson", "quipu lesson start 1 --model model.gguf"),
    ]

    private static let page = Places.package.appending(path: "docs/models.md")

    @Test func everyCommandHasARow() {
        for command in HelpTests.commands + [["lesson"]] {
            let name = command.joined(separator: " ")
            #expect(Self.rows.contains { $0.command == name || $0.command.hasPrefix(name + " --") }, "\(name)")
        }
    }

    @Test func thePageSaysWhatHappens() async throws {
        let names = Architectures.names.sorted()
        let found = try await withThrowingTaskGroup(of: (String, [String?]).self) { group in
            for name in names { group.addTask { (name, try Self.refusals(on: name)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        var refusals: [String] = []
        let columns = names.map { name in
            found[name]!.map { refusal in
                guard let refusal else { return "works" }
                if !refusals.contains(refusal) { refusals.append(refusal) }
                return "refuses (\(refusals.firstIndex(of: refusal)! + 1))"
            }
        }
        var lines = [
            "| command | " + names.joined(separator: " | ") + " |", "|---" + names.map { _ in "|---" }.joined() + "|",
        ]
        for (number, row) in Self.rows.enumerated() {
            lines.append("| `\(row.command)` | " + columns.map { $0[number] }.joined(separator: " | ") + " |")
        }
        lines += [""] + refusals.enumerated().map { "\($0 + 1). \($1)" } + [""]
        let table = lines.joined(separator: "\n")
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let (begin, end) = ("<!-- made by ModelsPageTests -->\n", "<!-- end -->")
        let start = try #require(text.range(of: begin)).upperBound
        let stop = try #require(text.range(of: end)).lowerBound
        if ProcessInfo.processInfo.environment["QUIPU_KEEP_SCREENS"] == "1" {
            try Data((text[..<start] + table + text[stop...]).utf8).write(to: Self.page)
        } else {
            #expect(text[start..<stop] == table)
        }
    }

    /// The words that each command is refused with; `nil` for those that work.
    private static func refusals(on architecture: String) throws -> [String?] {
        let bench = try Workbench(Places.fixture("tiny-\(architecture).gguf"))
        try bench.folder.write(String(repeating: "Once upon a time there was a dog. ", count: 20), to: "text.txt")
        return try rows.map { row in
            let outcome = try bench.shell(row.line)
            if outcome.status == 0 {
                #expect(outcome.errors.contains("error") == false, "\(row.line): \(outcome.errors)")
                return nil
            }
            // A refusal is one line of words; anything else is a fault of the program.
            let words = outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(words.hasPrefix("quipu: ") && !words.contains("\n"), "\(row.line) on \(architecture): \(words)")
            return words.replacing("quipu: ", with: "", maxReplacements: 1)
                .replacing(bench.folder.path("model.gguf"), with: "model.gguf")
        }
    }
}
