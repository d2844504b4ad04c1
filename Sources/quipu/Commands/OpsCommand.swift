import ArgumentParser
import Presentation
import Recording

struct OpsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ops",
        abstract: "List the operations of a trace.",
        discussion: """
            Example:
              quipu ops trace.db --layer 3
            """)

    @Argument(help: LastTrace.help) var trace: String?
    @Option(help: "Only this layer.") var layer: Int?
    @Option(help: "Only this kind, such as MUL_MAT.") var kind: String?
    @Option(help: "Only these names; * and ? stand for anything.") var name: String?
    @OptionGroup var place: PlaceOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let store = try LastTrace.open(trace)
        let run = try store.run(id: place.run)
        let all = try store.operations(of: run, step: place.step)
        let pattern = name.map { Capture(.all, names: [$0]) }
        let operations = all.filter { op in
            (layer == nil || op.layer == layer) && (kind == nil || op.kind == kind?.uppercased())
                && pattern?.keepsValues(of: op.name) ?? true
        }
        guard !operations.isEmpty else {
            let kinds = Set(all.map(\.kind)).sorted().joined(separator: ", ")
            throw InputError(
                all.isEmpty
                    ? "\(store.path): no operations were recorded (--capture \(run.capture))"
                    : "no operation fits; kinds are \(kinds), layers \(all.compactMap(\.layer).min() ?? 0) to \(all.compactMap(\.layer).max() ?? 0)"
            )
        }
        try printing.print(OpsReport(trace: store.path, run: run, step: place.step, operations: operations))
    }
}
