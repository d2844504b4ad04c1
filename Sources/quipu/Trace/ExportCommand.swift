import ArgumentParser
import Foundation
import Presentation
import ProgramFiles
import Recording

struct ExportCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write recorded values as arrays for NumPy.",
        usage: "quipu export [TRACE] NAME... --output FILE [options]",
        discussion: """
            NAME is a tensor as in `show` (#k picks one of several of a name; without it, the last), or a pattern: * and ? \
            stand for anything, and fit all tensors that have values of their own, not views. FILE ends in .npz, or in .npy \
            for a single array.

            Arrays are F32, called by NAME, and have ggml's dimensions in reverse order, as NumPy has it: kq_soft_max-3 is \
            [head, query, key]. Dimensions of length 1 at the slow end are left out, but two are kept, and three of ROPE and \
            SOFT_MAX. What was not captured is NaN.

            Example:
              quipu export trace.db 'kq_soft_max-*' 'l_out-3' --output values.npz
            """)

    @Argument(
        help: ArgumentHelp(
            "The trace (default: the last one written) and the tensors or patterns.", valueName: "trace> <name..."),
        completion: .trace)
    var arguments: [String]
    @Option(name: .shortAndLong, help: "The file to write, .npz or .npy.", completion: .file()) var output: String
    @Flag(help: "Replace the output if it is a file of arrays.") var force = false
    @Option(
        parsing: .unconditional,
        help: """
            The pass: 0 is the prompt, 1 and up the generated tokens. Several, as in 0:4 or :, give names step0/NAME.
            """)
    var step = PositionList.first
    @Option(help: "The run, by its id. (default: the newest)") var run: Int?
    @OptionGroup(title: "Output") var printing: OutputOptions

    private var files: (trace: String?, names: [String]) {
        let first = arguments[0]
        let isFile = first.hasSuffix(".db") || first.contains("/") || FileManager.default.fileExists(atPath: first)
        return isFile ? (first, Array(arguments.dropFirst())) : (nil, arguments)
    }

    func validate() throws {
        if files.names.isEmpty {
            throw ValidationError("after the trace \(arguments[0]) come tensors, such as 'kq_soft_max-*'")
        }
    }

    func run() async throws {
        let store = try LastTrace.open(files.trace)
        let run = try store.run(id: run)
        let chosen = try chosenTensors(of: run, in: store)
        let kind = try checkOutput(arrays: chosen.count)
        let file = try ArrayFile(path: output, kind: kind, replaces: force)
        var written: [ExportReport.Array] = []
        defer { Terminal.status("") }
        for (name, tensor) in chosen {
            try Task.checkCancellation()
            Terminal.status("writing \(written.count + 1) of \(chosen.count) arrays")
            let values = try store.values(of: tensor.operation, in: run)
            try file.add(name, shape: tensor.axes, values: values.floats)
            written.append(
                .init(
                    name: name, step: tensor.operation.step, operation: tensor.operation.name, shape: tensor.axes,
                    missing: values.missingCount))
        }
        let size = try file.finish()
        Terminal.status("")
        try printing.print(
            ExportReport(trace: store.path, run: run.id, output: output, sizeBytes: size, arrays: written))
    }

    /// The tensors by what their arrays are called. Of several steps, a pattern need not fit in each.
    private func chosenTensors(of run: RecordedRun, in store: TraceStore) throws -> [(String, NamedOperation)] {
        let names = files.names
        if step.isOne {
            let one = try step.steps(of: run)[0]
            return try store.operations(named: names, of: run, step: one).map { ($0.name, $0) }
        }
        var chosen: [(String, NamedOperation)] = []
        var reason: TraceError?
        for number in try step.steps(of: run) {
            for name in names {
                do {
                    let fitting = try store.operations(named: [name], of: run, step: number)
                    chosen += fitting.map { ("step\(number)/\($0.name)", $0) }
                } catch let error as TraceError {
                    guard case .noValues = error else { throw error }
                    reason = error
                }
            }
        }
        if chosen.isEmpty, let reason { throw reason }
        var taken: Set<String> = []
        return chosen.filter { taken.insert($0.0).inserted }
    }

    /// Before the work, not after it. Only a file of arrays is ever replaced.
    private func checkOutput(arrays: Int) throws -> ArrayFile.Kind {
        guard let kind = ArrayFile.Kind(path: output) else {
            throw InputError("\(output): found another ending, expected .npz, or .npy for a single array.")
        }
        if kind == .npy, arrays != 1 {
            throw InputError("\(output): a .npy file holds one array, and the names fit \(arrays). Write a .npz file.")
        }
        guard PathKind(at: output) != .missing else { return kind }
        guard force else {
            throw InputError("\(output) exists already. Give another --output, or --force to replace it.")
        }
        guard let start = PathKind.start(of: output, bytes: 6),
            start.starts(with: Data("PK".utf8)) || start == Data([0x93]) + Data("NUMPY".utf8)
        else {
            throw InputError(
                "\(output): found something else than a file of arrays, expected one to replace. Nothing was changed.")
        }
        return kind
    }
}
