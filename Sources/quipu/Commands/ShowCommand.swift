import ArgumentParser
import Presentation
import Recording

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a recorded tensor: heat map, numbers, statistics.",
        discussion: """
            TENSOR is a name and, in brackets, indices from 0 with ne0 first: Qcur-3[12,4], kq-0[:,2], ffn_out-5[0:64].
            Where a name occurs more than once, #k picks one by order; without it, the last.

            Example:
              quipu show trace.db 'kq_soft_max-3[:,:,0]'
            """)

    @Argument(help: ArgumentHelp("The trace (default: the last one written) and the tensor.", valueName: "trace> <tensor"))
    var arguments: [String]
    @OptionGroup var place: PlaceOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...2).contains(arguments.count) { throw ValidationError("give a trace and a tensor, or a tensor") }
    }

    func run() throws {
        let address = try TensorAddress(arguments.last!)
        let store = try LastTrace.open(arguments.count == 2 ? arguments[0] : nil)
        let run = try store.run(id: place.run)
        let operation = try store.operation(address, run: run, step: place.step)
        let ranges = try address.ranges(in: operation.shape)
        let values = try store.values(of: operation, in: run)
        try printing.print(
            ShowReport(
                trace: store.path, operation: operation, inputs: try store.inputs(of: operation), values: values,
                ranges: ranges))
    }
}
