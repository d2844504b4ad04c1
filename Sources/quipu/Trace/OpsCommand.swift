import ArgumentParser
import Presentation
import Recording
import Tensors

struct OpsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ops",
        abstract: "List the operations of a trace.",
        usage: "quipu ops [TRACE] [options]",
        discussion: """
            Example:
              quipu ops trace.db --layer 3
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(help: "Only this layer.") var layer: Int?
    @Option(help: "Only this kind, such as MUL_MAT.") var kind: String?
    @Option(help: "Only these names; * and ? stand for anything.") var name: String?
    @OptionGroup var at: PassOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let store = try LastTrace.open(trace)
        let run = try store.run(id: at.run)
        let all = try store.operations(of: run, step: at.step)
        let pattern = name.map { Capture(.all, names: [$0]) }
        let operations = all.filter { op in
            (layer == nil || op.layer == layer) && (kind == nil || op.kind == kind?.uppercased())
                && pattern?.keepsValues(of: op.name) ?? true
        }
        if operations.isEmpty { throw noneFits(all, store, run) }
        try printing.print(OpsReport(trace: store.path, run: run, step: at.step, operations: operations))
    }

    private func noneFits(_ all: [RecordedOperation], _ store: TraceStore, _ run: RecordedRun) -> InputError {
        guard !all.isEmpty else {
            return InputError(
                run.isComplete
                    ? "\(store.path): the run recorded no operations (--capture \(run.capture)). Trace again with more."
                    : "\(store.path): the run was cut off before an operation of step \(at.step) was written.")
        }
        let kinds = Set(all.map(\.kind)).sorted().joined(separator: ", ")
        let near = name.map { nearest(to: $0, in: all.map(\.name)) } ?? []
        return InputError(
            "\(store.path): no operation fits."
                + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?")
                + " Layers are 0 to \(all.compactMap(\.layer).max() ?? 0); kinds are \(kinds).")
    }
}
