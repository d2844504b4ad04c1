import Foundation
import TestSupport
import Testing

/// Whole pages of a fixed prompt on the embedded model, kept as text: what a user sees changes on purpose only.
///
/// After a change that is meant, `QUIPU_KEEP_SCREENS=1` writes them again.
@Suite struct ScreenTests {
    @Test(arguments: [
        ("explain-logit", ["explain", "logit", "trace.db"]),
        ("explain-logit-against", ["explain", "logit", "trace.db", "--token", " Tom", "--against", " Gus"]),
        ("explain-element-product", ["explain", "element", "trace.db", "ffn_out-1[5,2]", "--depth", "3"]),
        ("explain-element-softmax", ["explain", "element", "trace.db", "kq_soft_max-2[3,5,6]"]),
        ("explain-element-rope", ["explain", "element", "trace.db", "Qcur-2[3,6,5]"]),
        ("verify", ["verify", "trace.db"]),
        ("lens", ["lens", "trace.db"]),
        ("lens-grid", ["lens", "trace.db", "--all"]),
        ("attention", ["attention", "trace.db"]),
        ("attention-head", ["attention", "trace.db", "2.3"]),
        ("gqa", ["gqa", "model.gguf", "--trace", "trace.db"]),
        ("gqa-what-if", ["gqa", "what-if", "model.gguf", "--pool", "1", "-p", "Tom has a red ball. Who has it?"]),
        ("propagate", ["propagate", "model.gguf", "--as", "Q4_0", "-p", "Tom has a red ball."]),
        ("diff", ["diff", "trace.db", "changed.db"]),
    ])
    func pageIsTheKeptOne(name: String, arguments: [String]) throws {
        let bench = try Workbench(Places.package.appending(path: "models/micro-world-f16.gguf").path)
        try bench.quipu("trace", "model.gguf", "-p", "Tom has a red ball.", "--generate", "2", "-o", "trace.db")
        if arguments.contains("changed.db") {
            try bench.quipu("trace", "--from", "trace.db", "--set", "kqv_out-2=0", "-o", "changed.db")
        }
        let outcome = try bench.quipu(arguments)
        #expect(outcome.status == (name == "diff" ? 2 : 0), "\(outcome.errors)")
        let page = outcome.output.replacing(bench.folder.url.path, with: "…")
        let file = URL(filePath: Places.fixture("screens/\(name).txt"))
        if ProcessInfo.processInfo.environment["QUIPU_KEEP_SCREENS"] == "1" {
            try Data(page.utf8).write(to: file)
        }
        let kept = try String(contentsOf: file, encoding: .utf8)
        #expect(page == kept)
    }
}
