import ArgumentParser
import Presentation
import Quantization
import Quantizing

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Where a number comes from.",
        discussion: """
            Example:
              quipu explain format Q4_K
            """,
        subcommands: [
            ExplainLogitCommand.self, ExplainElementCommand.self, ExplainWeightCommand.self, ExplainFormatCommand.self,
            ExplainOperationCommand.self,
        ])
}

struct ExplainWeightCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weight",
        abstract: "From file offset and bytes to the value of one weight, every step with its numbers.",
        usage: "quipu explain weight [MODEL] TENSOR ROW COLUMN [options]",
        discussion: """
            Example:
              quipu explain weight model.gguf blk.0.attn_q.weight 3 40
            """)

    @Argument(
        help: ArgumentHelp(
            "The model (default: $QUIPU_MODEL, or the embedded model), the tensor, and row and column from 0.",
            valueName: "model> <tensor> <row> <column"),
        completion: .model)
    var arguments: [String]
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws { _ = try rowAndColumn() }

    func run() throws {
        let (row, column) = try rowAndColumn()
        let file = try ModelArgument.open(arguments.count == 4 ? arguments[0] : nil)
        let info = try ModelArgument.tensor(arguments[arguments.count - 3], in: file)
        let found = try WeightBlock(row: row, column: column, of: info, in: file)
        try printing.print(WeightReport(found, column: column))
    }

    private func rowAndColumn() throws -> (row: Int, column: Int) {
        guard (3...4).contains(arguments.count) else {
            throw ValidationError("give a tensor, a row and a column; before them, perhaps, a model")
        }
        let numbers = arguments.suffix(2).map { Int($0) }
        guard let row = numbers[0], let column = numbers[1], row >= 0, column >= 0 else {
            throw ValidationError(
                "row and column are numbers from 0, not '\(arguments.suffix(2).joined(separator: " "))'")
        }
        return (row, column)
    }
}

struct ExplainFormatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "format",
        abstract:
            "A format on one page: layout, formula, bits per weight, a worked example, and what is said about it.",
        usage: "quipu explain format [MODEL] FORMAT [options]",
        discussion: """
            Every number is computed while you wait, on weights of the model if there is one, otherwise on made-up ones.
            The schemes of textbooks have pages too: \(TeachingSchemes.all.map(\.id).joined(separator: ", ")).

            Example:
              quipu explain format model.gguf Q4_1
            """)

    @Argument(
        help: ArgumentHelp(
            "A model whose weights to show it on (or $QUIPU_MODEL, or none), and a format, such as Q4_1 or int8-affine.",
            valueName: "model> <format"),
        completion: .model)
    var arguments: [String]
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...2).contains(arguments.count) { throw ValidationError("give a format, or a model and a format") }
    }

    func run() throws {
        let path = arguments.count == 2 ? arguments[0] : ModelArgument.preferred
        let weights = try path.map { try SampleWeights(from: try ModelArgument.open($0)) } ?? .madeUp
        if let scheme = TeachingSchemes.named(arguments.last!) {
            return try printing.print(SchemeReport(SchemeExplanation(scheme, on: weights)))
        }
        try printing.print(FormatReport(try FormatExplanation(named: arguments.last!, on: weights)))
    }
}
