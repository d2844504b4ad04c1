import ArgumentParser
import Operations
import Presentation

struct ExplainOperationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operation",
        abstract: "What a kind of operation computes: its formula, and the same in words.",
        usage: "quipu explain operation [KIND] [options]",
        discussion: """
            Example:
              quipu explain operation SOFT_MAX
            """)

    @Argument(help: ArgumentHelp("A kind of operation, such as MUL_MAT. (default: all)", valueName: "kind"))
    var kind: String?
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws { try printing.print(try OperationReport(kind: kind)) }
}
