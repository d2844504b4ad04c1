import ArgumentParser
import Foundation
import Recording

/// Names a misspelt option before anything that it makes look wrong.
///
/// ArgumentParser looks for options that it does not know when all else is right. Of `--scael 'l_out-2=0'` it would say that
/// a model is missing, of a column -1 that there are too few numbers.
enum UnknownOption {
    /// Says so and ends the program if an option that the command does not have is why a command line is wrong.
    static func explain(_ error: any Error, in words: some Collection<String>) {
        guard Quipu.exitCode(for: error) == .validationFailure, let problem = problem(in: words) else { return }
        let message = Quipu.fullMessage(for: error)
        let usage = message.firstRange(of: "\nUsage:").map { message[$0.lowerBound...] } ?? ""
        Terminal.complain("Error: \(problem)\(usage)")
        Quipu.exit(withError: ExitCode.validationFailure)
    }

    /// What is wrong with the first word that looks like an option and is none.
    private static func problem(in words: some Collection<String>) -> String? {
        let known = options(of: command(in: words))
        let asked = words.prefix { $0 != "--" }.filter { $0.count > 1 && $0.hasPrefix("-") }
            .map { String($0.prefix { $0 != "=" }) }
        // Letters stand for several options in one word, or for one with its value.
        guard let unknown = asked.first(where: { !known.contains($0.hasPrefix("--") ? $0 : String($0.prefix(2))) })
        else { return nil }
        let near = nearest(to: unknown, in: known.filter { $0.hasPrefix("--") }.sorted(), limit: 1)
        return "Unknown option '\(unknown)'." + (near.first.map { " Did you mean '\($0)'?" } ?? "")
    }

    /// The command that the words lead to.
    private static func command(in words: some Collection<String>) -> any ParsableCommand.Type {
        var command: any ParsableCommand.Type = Quipu.self
        for word in words {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
            command = next
        }
        // Of a group, the one that is meant where none is named.
        return command.configuration.defaultSubcommand ?? command
    }

    /// As its help lists them.
    private static func options(of command: any ParsableCommand.Type) -> Set<String> {
        let help = Quipu.helpMessage(for: command, includeHidden: true)
        return Set(help.matches(of: /(?:^|[\s,(])(--?[A-Za-z][A-Za-z0-9-]*)/).map { String($0.output.1) })
    }
}
