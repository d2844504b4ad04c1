import Foundation
import TestSupport
import Testing

/// Pages of a trace that the program wrote before operations had roles, against those of the same run recorded now.
@Suite struct OldTraceTests {
    @Test(arguments: [
        "quipu ops trace.db --json", "quipu explain logit trace.db --model model.gguf",
        "quipu explain element trace.db 'kq_soft_max-0[1,1,0]' --model model.gguf --depth 3",
        "quipu lens trace.db --model model.gguf --all", "quipu attention trace.db 0.1 --model model.gguf",
        "quipu gqa map model.gguf --trace trace.db",
        // In a state of its own: the stepper would begin where it was left.
        "(yes n | head -60; echo 'goto kq_soft_max-0'; echo inputs; echo users; echo 'rwatch top1') "
            + "| XDG_STATE_HOME=$(mktemp -d -p $PWD) quipu step trace.db --model model.gguf",
        "quipu report trace.db --model model.gguf --output page.html && sed -n '/id=\"data\"/p' page.html",
    ])
    func pagesAreTheSame(line: String) throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let now = try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--generate", "1", "-o", "trace.db")
        #expect(now.status == 0, "\(now.errors)")
        let new = try bench.shell(line)
        try FileManager.default.removeItem(atPath: bench.folder.path("trace.db"))
        try FileManager.default.copyItem(
            atPath: Places.fixture("traces/version-6.db"), toPath: bench.folder.path("trace.db"))
        let old = try bench.shell(line.replacing("--output page.html", with: "--output page.html --force"))
        #expect(new.status == 0 && old.status == 0, "\(new.errors) \(old.errors)")
        #expect(new.output.count > 100)
        #expect(Self.timeless(old.output) == Self.timeless(new.output))
    }

    /// Without what differs from run to run: times, a size that their digits change, and what the run and its file are called.
    private static func timeless(_ page: String) -> [String] {
        page.split(separator: "\n").filter { !$0.contains("GB/s") && !$0.contains("no bytes move") }.map { line in
            String(line).replacing(
                /"(ns|wall_ns|size_bytes|created_at|uuid|engine_version|path|kernels|threads)"\s*:\s*(\[[^\]]*\]|"[^"]*"|[^,}]*)/,
                with: ""
            ).replacing(/\([0-9.]+ KiB\)/, with: "")
        }
    }
}
