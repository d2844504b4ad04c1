import ArgumentParser

/// The pass of a trace.
struct PassOptions: ParsableArguments {
    @Option(help: "The pass: 0 is the prompt, 1 and up the generated tokens.") var step = 0
    @Option(help: "The run, by its id. (default: the newest)") var run: Int?
}
