import ArgumentParser
import Foundation
import ProgramFiles
import Recording
import Tensors

@main
struct Quipu: AsyncParsableCommand {
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
            ImatrixCommand.self,
            ConvertCommand.self,
            PropagateCommand.self,
            LensCommand.self,
            AttentionCommand.self,
            BenchCommand.self,
            PerplexityCommand.self,
            CompareCommand.self,
            ReportCommand.self,
            OpenCommand.self,
            MergeCommand.self,
            ExportCommand.self,
            LessonCommand.self,
            DiffCommand.self,
            GQACommand.self,
            ExpertsCommand.self,
            ActivationsCommand.self,
            PatchCommand.self,
            AblateCommand.self,
            VectorCommand.self,
        ])

    /// Errors of the input end in one line and status 1; wrong usage in ArgumentParser's help and status 64; Ctrl-C in
    /// status 130.
    static func main() async {
        Terminal.secureStandardStreams()
        Interruption.explainLostMemory()
        do {
            try SystemLimits.check()
            try await DigestMemory.$reporter.withValue({
                Terminal.complain("quipu: note: the model will be hashed again next time. \($0)")
            }) { try await run() }
        } catch is CancellationError {
            exit(withError: ExitCode(130))
        } catch let error as any InputProblem {
            fail("\(error)")
        } catch let error as CocoaError {
            fail("\(FileProblem(error))")
        } catch  where exitCode(for: error) == .failure && !(error is ExitCode) {
            fail("found an error that has no words of its own: \(error). Please report it.")
        } catch {
            if exitCode(for: error) == .validationFailure, !(error is ExitCode) {
                ErrorReport(message(for: error), status: ExitCode.validationFailure.rawValue).printIfAsked()
            }
            exit(withError: error)
        }
    }

    private static func fail(_ message: String) -> Never {
        Terminal.complain("quipu: \(message)")
        ErrorReport(message, status: 1).printIfAsked()
        exit(withError: ExitCode(1))
    }

    private static func run() async throws {
        var command = try parsed()
        if let stepping = command as? StepCommand {
            // A first Ctrl-C stops what the stepper does, not the stepper.
            try await stepping.run()
        } else if var asynchronous = command as? any AsyncParsableCommand {
            guard asynchronous is any StopsInOrder else {
                Interruption.endAtOnce()
                return try await asynchronous.run()
            }
            // Safe: nobody else has the command.
            nonisolated(unsafe) var stopping = asynchronous
            try await Interruption.cancelling { try await stopping.run() }
        } else {
            try command.run()
        }
    }

    private static func parsed() throws -> any ParsableCommand {
        let words = LessonProgram.filled(shell: Array(CommandLine.arguments.dropFirst()))
        do { return try parseAsRoot(words) } catch {
            if let moved = Misspelling.traceAsArgument(in: words[...]), let command = try? parseAsRoot(moved) {
                return command
            }
            Misspelling.explain(error, in: words[...])
            throw error
        }
    }
}

/// Input that a command cannot use, in words.
struct InputError: InputProblem {
    let description: String

    init(_ description: String) { self.description = description }
}
