import ArgumentParser
import Foundation
import Recording
import Tensors

@main
struct Quipu: AsyncParsableCommand {
    static let version = "0.1.0"

    /// How the user called the program, for suggestions that can be typed as they are.
    static var calledAs: String {
        let path = CommandLine.arguments.first ?? "quipu"
        return path.count <= 24 ? path : "quipu"
    }

    static let configuration = CommandConfiguration(
        commandName: "quipu",
        abstract: "Step through a llama-family GGUF model: every operation, weight and bit, recorded and explained.",
        discussion: """
            MODEL is a path to a .gguf file; without one, a small embedded model is used. TRACE is a file that `trace` wrote; without one, the last is used.

            Example:
              quipu trace --prompt "Mia has the ball. Who has the ball?"
            """,
        version: version,
        subcommands: [
            InspectCommand.self,
            TokenizeCommand.self,
            GraphCommand.self,
            TraceCommand.self,
            OpsCommand.self,
            ShowCommand.self,
            SQLCommand.self,
            StepCommand.self,
            QuantCommand.self,
            ExplainCommand.self,
            VerifyCommand.self,
            QuantizeCommand.self,
            PropagateCommand.self,
            LensCommand.self,
            AttentionCommand.self,
            BenchCommand.self,
            PerplexityCommand.self,
            CompareCommand.self,
            ReportCommand.self,
            MergeCommand.self,
            LessonCommand.self,
            DiffCommand.self,
            GQACommand.self,
        ])

    /// Errors of the input end in one line and status 1; wrong usage in ArgumentParser's help and status 64; Ctrl-C in
    /// status 130.
    static func main() async {
        Terminal.secureStandardStreams()
        if let complaint = unknownCommand(CommandLine.arguments.dropFirst()) {
            exit(withError: ValidationError(complaint))
        }
        do {
            var command = try parseAsRoot()
            if let stepping = command as? StepCommand {
                // A first Ctrl-C stops what the stepper does, not the stepper.
                try await stepping.run()
            } else if var asynchronous = command as? any AsyncParsableCommand {
                try await Interruption.cancelling { try await asynchronous.run() }
            } else {
                try command.run()
            }
        } catch is CancellationError {
            exit(withError: ExitCode(130))
        } catch let error as any InputProblem {
            Terminal.complain("quipu: \(error)")
            exit(withError: ExitCode(1))
        } catch {
            exit(withError: error)
        }
    }
}

extension ParsableCommand {
    /// What to say if the arguments name no command, with the names like it; `nil` if they do, or are no names.
    fileprivate static func unknownCommand(_ arguments: ArraySlice<String>, of path: String = "") -> String? {
        let choices = configuration.subcommands
        guard let name = arguments.first, !name.hasPrefix("-"), name != "help", !choices.isEmpty,
            configuration.defaultSubcommand == nil
        else { return nil }
        if let found = choices.first(where: { $0.configuration.commandName == name }) {
            return found.unknownCommand(arguments.dropFirst(), of: "\(path)\(name) ")
        }
        let near = nearest(to: name, in: choices.compactMap(\.configuration.commandName)).map { "'\(path)\($0)'" }
        let hint = near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?"
        return "There is no command '\(path)\(name)'.\(hint)"
    }
}

/// Input that a command cannot use, in words.
struct InputError: InputProblem {
    let description: String

    init(_ description: String) { self.description = description }
}
