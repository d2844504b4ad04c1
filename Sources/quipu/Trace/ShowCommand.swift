import ArgumentParser
import Presentation
import Recording

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a recorded tensor: heat map, numbers, statistics.",
        usage: "quipu show [TRACE] TENSOR [options]",
        discussion: """
            TENSOR is a name as `quipu ops` lists it and, in brackets, indices from 0, fastest dimension (ne0) first: \
            kq-0[:,2], ffn_out-5[0:64], Qcur-3[-1]. Where several operations have one name, #k picks one by order, as in \
            Qcur-0#1; without it, the last.

            Example:
              quipu show trace.db 'kq_soft_max-3[:,:,0]'
            """)

    @Argument(
        help: ArgumentHelp("The trace (default: the last one written) and the tensor.", valueName: "trace> <tensor"),
        completion: .trace)
    var arguments: [String]
    @OptionGroup var at: PassOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        _ = try LeadingFile(arguments, file: "trace", rest: "a tensor, such as 'kq_soft_max-0[:,:,0]'")
    }

    func run() throws {
        let parsed = try LeadingFile(arguments, file: "trace", rest: "a tensor")
        let address = try TensorAddress(parsed.rest)
        let store = try LastTrace.open(parsed.file)
        let run = try store.run(id: at.run)
        let operation = try store.operation(address, run: run, step: at.step)
        let ranges = try address.ranges(in: operation.shape)
        let values = try store.values(of: operation, in: run)
        try printing.print(
            ShowReport(
                trace: store.path, operation: operation, inputs: try store.inputs(of: operation), values: values,
                ranges: ranges))
    }
}
