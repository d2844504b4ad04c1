import ArgumentParser
import Presentation
import Recording
import Tracing

struct ExpertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "experts",
        abstract: "Mixtures of experts: which token went through which, and what reading them cost.",
        usage: "quipu experts [map|what-if] [TRACE] [options]",
        discussion: """
            Example:
              quipu trace mixtral.gguf -p "Once upon" -o moe.db && quipu experts moe.db
            """,
        subcommands: [ExpertsMapCommand.self, ExpertsWhatIfCommand.self], defaultSubcommand: ExpertsMapCommand.self)
}

struct ExpertsMapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Tokens by experts, the load of each, and the bytes that passes read.",
        usage: "quipu experts map [TRACE] [options]",
        discussion: """
            Every trace of a model with experts has what this shows, however little was captured (but not with --capture \
            none): tables expert_choice and router, views v_expert_load, v_router and v_expert_neighbours.

            Example:
              quipu trace mixtral.gguf -p "Once upon" -o moe.db && quipu experts map moe.db --token 0
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(help: "Only this layer. (default: all that have experts)") var layer: Int?
    @Option(
        parsing: .unconditional,
        help: "Spell out the choices for this token: its position, from 0 or from the end, such as -1. (default: none)")
    var token: Int?
    @Option(help: "Only this pass: 0 is the prompt, 1 and up the generated tokens. (default: all)") var step: Int?
    @Option(name: .customLong("run"), help: "The run, by its id. (default: the newest)") var runID: Int?
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let store = try LastTrace.open(trace)
        let run = try store.run(id: runID)
        let tokens = try store.tokens(of: run)
        let traffic = try ExpertTraffic(run, in: store, step: step, layer: layer)
        let position = try token.map { token in
            let position = token < 0 ? tokens.count + token : token
            guard tokens.indices.contains(position) else {
                throw ExpertProblem.noPosition(trace: store.path, position: token, count: tokens.count)
            }
            return position
        }
        try printing.print(
            ExpertsReport(
                trace: store.path, traffic, pieces: tokens.map(\.piece), token: position, isOneLayer: layer != nil))
    }
}
