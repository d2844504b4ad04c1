import ArgumentParser
import LlamaModel
import Presentation

struct GraphCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json, dot
    }

    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "The operations of a forward pass, in order, with llama.cpp's names.",
        usage: "quipu graph [MODEL] [options]",
        discussion: """
            Nothing is run. Graphviz draws the dot format; one layer is about as much as it can.

            Example:
              quipu graph model.gguf --layer 0
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "text, json, or dot for Graphviz.") var format = Format.text
    @Option(help: "Only this layer.") var layer: Int?
    @Option(help: "Tokens of the pass.") var tokens = 5
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if tokens < 1 { throw ValidationError("--tokens takes 1 or more") }
        if printing.json, format == .dot { throw ValidationError("give --json or --format dot") }
    }

    func run() throws {
        let model = try ModelArgument.llama(model)
        let layers = model.configuration.layers
        if let layer, !(0..<layers).contains(layer) {
            throw InputError("\(model.file.path): there is no layer \(layer); the model has layers 0 to \(layers - 1).")
        }
        let session = try Session(model, positions: tokens, threads: 1)
        let pass = try session.pass(over: Array(repeating: 0, count: tokens))
        let report = GraphReport(pass.interpreter.graph, tokens: tokens, layer: layer)
        switch format {
        case .text: try printing.print(report)
        case .json: Terminal.write(try JSONOutput.text(report) + "\n")
        case .dot: Terminal.write(report.dot + "\n")
        }
    }
}
