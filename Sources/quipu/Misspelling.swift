import ArgumentParser
import Recording
import Tensors

/// Names a misspelt command or option before anything that it makes look wrong.
///
/// ArgumentParser looks for options that it does not know when all else is right: of `tarce --prompt x` it would say that
/// there is no `--prompt`, of `--scael 'l_out-2=0'` that a model is missing, of a column -1 that there are too few numbers.
enum Misspelling {
    /// Says so and ends the program if a misspelt word is why a command line is wrong.
    static func explain(_ error: any Error, in words: ArraySlice<String>) {
        guard Quipu.exitCode(for: error) == .validationFailure, let problem = problem(in: words) else { return }
        let message = Quipu.fullMessage(for: error)
        let usage = message.firstRange(of: "\nUsage:").map { message[$0.lowerBound...] } ?? ""
        Terminal.complain("Error: \(problem)\(usage)")
        ErrorReport(problem, status: ExitCode.validationFailure.rawValue).printIfAsked()
        Quipu.exit(withError: ExitCode.validationFailure)
    }

    /// The words with `--trace FILE` as the first argument of the command, where commands have their trace; `nil` without it.
    static func traceAsArgument(in words: ArraySlice<String>) -> [String]? {
        var words = Array(words)
        guard let option = words.firstIndex(where: { $0 == "--trace" || $0.hasPrefix("--trace=") }) else { return nil }
        let file: String
        if words[option] == "--trace" {
            guard option + 1 < words.count else { return nil }
            file = words.remove(at: option + 1)
        } else {
            file = String(words[option].dropFirst("--trace=".count))
        }
        words.remove(at: option)
        var (command, place): (any ParsableCommand.Type, _) = (Quipu.self, 0)
        while place < words.count,
            let next = command.configuration.subcommands.first(where: { $0._commandName == words[place] })
        {
            (command, place) = (next, place + 1)
        }
        words.insert(file, at: place)
        return words
    }

    private static func problem(in words: ArraySlice<String>) -> String? {
        var (command, rest): (any ParsableCommand.Type, _) = (Quipu.self, words)
        while let next = command.configuration.subcommands.first(where: { $0._commandName == rest.first }) {
            (command, rest) = (next, rest.dropFirst())
        }
        let commands = command.configuration.subcommands.map { $0._commandName }
        let usual = command.configuration.defaultSubcommand
        if !commands.isEmpty, let word = rest.first, !word.hasPrefix("-"), word != "help" {
            // It may be an argument of the usual command, if it looks like no other's name.
            if usual == nil || !nearest(to: word, in: commands, limit: 1).isEmpty {
                return unknown("command", word, among: commands)
            }
        }
        command = usual ?? command
        return unknownOption(in: rest, of: command)
    }

    /// The first word that looks like an option of the command and is none.
    private static func unknownOption(in words: ArraySlice<String>, of command: any ParsableCommand.Type) -> String? {
        let help = Quipu.helpMessage(for: command, includeHidden: true)
        let known = Set(help.matches(of: /(?:^|[\s,(])(--?[A-Za-z][A-Za-z0-9-]*)/).map { String($0.output.1) })
        // A number after an option is its value, which ArgumentParser asks for with =.
        let asked = zip([""] + words, words.prefix { $0 != "--" })
            .filter { $1.count > 1 && $1.hasPrefix("-") && !($0.hasPrefix("-") && Double($1) != nil) }
            .map { String($1.prefix { $0 != "=" }) }
        // Letters stand for several options in one word, or for one with its value.
        return asked.first { !known.contains($0.hasPrefix("--") ? $0 : String($0.prefix(2))) }
            .map { unknown("option", $0, among: known.filter { $0.hasPrefix("--") }.sorted()) }
    }

    private static func unknown(_ what: String, _ word: String, among known: [String]) -> String {
        let near = nearest(to: word, in: known, limit: 1)
        return "Unknown \(what) '\(word)'." + (near.first.map { " Did you mean '\($0)'?" } ?? "")
    }
}
