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

    @Test func thePageSaysWhatHappens() throws {
        let names = Architectures.names.sorted()
        var refusals: [String] = []
        let columns = try names.map { try Self.outcomes(on: $0, &refusals) }
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

    /// `works`, or the number of the words it is refused with.
    private static func outcomes(on architecture: String, _ refusals: inout [String]) throws -> [String] {
        let bench = try Workbench(Places.fixture("tiny-\(architecture).gguf"))
        try bench.folder.write(String(repeating: "Once upon a time there was a dog. ", count: 20), to: "text.txt")
        return try rows.map { row in
            let outcome = try bench.shell(row.line)
            if outcome.status == 0 {
                #expect(outcome.errors.contains("error") == false, "\(row.line): \(outcome.errors)")
                return "works"
            }
            // A refusal is one line of words; anything else is a fault of the program.
            let words = outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(words.hasPrefix("quipu: ") && !words.contains("\n"), "\(row.line) on \(architecture): \(words)")
            let refusal = words.replacing("quipu: ", with: "", maxReplacements: 1)
                .replacing(bench.folder.path("model.gguf"), with: "model.gguf")
            if !refusals.contains(refusal) { refusals.append(refusal) }
            return "refuses (\(refusals.firstIndex(of: refusal)! + 1))"
        }
    }
}
