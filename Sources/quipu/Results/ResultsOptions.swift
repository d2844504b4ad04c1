import ArgumentParser
import ProgramFiles

/// Where long work keeps its rows; commands whose work falls apart have these.
struct ResultsOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: "Keep each row here as it comes, as a line of JSON. (default: nothing is written)", completion: .results)
    var output: String?
    @OptionGroup var keeping: KeepingOptions

    func validate() throws { try keeping.validate(output: output) }

    var target: ResultsTarget {
        ResultsTarget(path: output, opening: keeping.opening, part: keeping.part)
    }
}

/// What is done with a file of results; beside `--output`.
struct KeepingOptions: ParsableArguments {
    @Flag(help: "Go on with the output of a run that was cut off; begin it if there is none.") var resume = false
    @Flag(help: "Replace the output if it is an earlier file of results.") var force = false
    @Option(
        help: ArgumentHelp(
            "Compute this share of the rows alone, such as 2/5; `quipu merge` unites all of them. (default: all)",
            valueName: "i/n"))
    var part: ResultsPart?

    var opening: ResultsFile.Opening { resume ? .resuming : force ? .replacing : .new }

    func validate(output: String?) throws {
        if resume || force || part != nil, output == nil {
            throw ValidationError("--resume, --force and --part go with --output")
        }
        if resume, force {
            throw ValidationError("--resume goes on with a file, --force replaces it; give one of them")
        }
    }
}

extension ResultsPart: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

/// A file of results as a user named it.
struct ResultsTarget {
    /// `nil`: rows are kept nowhere.
    let path: String?
    let opening: ResultsFile.Opening
    let part: ResultsPart?

    /// Whether a path names one where others name a trace: by its ending.
    static func isMeant(by path: String) -> Bool { path.lowercased().hasSuffix(".jsonl") }
}
