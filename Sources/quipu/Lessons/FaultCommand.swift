import ArgumentParser
import Foundation
import GGUF
import Lessons
import Presentation
import ProgramFiles

extension PlantedFault.Kind: ExpressibleByArgument {}

struct FaultCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault",
        abstract: "Find the fault: a copy of your model in which one thing was changed.",
        usage: "quipu lesson fault [FILE] [--found NAME] [options]",
        discussion: """
            Writes FILE, your model with one fault: a row of a weight whose scales are 8 times as large, two heads that were \
            exchanged, or another base of RoPE. Trace one prompt with both files, let `quipu diff` say where they part, and \
            look there. `--found` says whether you are right: name the tensor, or the metadata key.

            Example:
              quipu lesson fault puzzle.gguf --kind heads --seed 3
            """)

    @Argument(help: "The file. (default: fault.gguf)", completion: .model) var file = "fault.gguf"
    @Option(help: "What you found: a tensor's name, or a metadata key. (default: none; the file is written)") var found:
        String?
    @Option(help: "What is changed. (default: one of them, by the seed)") var kind: PlantedFault.Kind?
    @Option(help: "Another fault for each. (default: a new one each time)") var seed: Int?
    @Flag(help: "Replace the file if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if found != nil, kind != nil || seed != nil || force {
            throw ValidationError("--found looks at a file that is there: leave out --kind, --seed and --force")
        }
    }

    func run() throws {
        let model = try Classroom(style: printing.style).ownSubject().file
        if let found { return try printing.print(try answer(found, model)) }
        guard force || PathKind(at: file) == .missing else {
            throw InputError("\(file): there is a file of this name. Name another, or give --force to replace it.")
        }
        let seed = seed ?? Int.random(in: 0...999_999)
        let fault = try planted(seed, model)
        try fault.write(model, to: file, overwrite: force)
        let name = file.quotedIfNeeded
        let own = ModelArgument.typed(model.path).map { $0.quotedIfNeeded + " " } ?? ""
        try printing.print(
            LessonNoteReport(
                """
                Written: \(file), your model with one thing changed (seed \(seed)).
                  quipu trace \(own)--prompt "…" --output right.db
                  quipu trace \(name) --prompt "…" --output wrong.db
                  quipu diff right.db wrong.db
                Then: quipu lesson fault \(name) --found NAME
                """, file: file))
    }

    private func planted(_ seed: Int, _ model: GGUFFile) throws -> PlantedFault {
        if let kind { return try PlantedFault(kind, in: model, seed: seed) }
        let kinds = PlantedFault.Kind.allCases
        let first = seed.magnitude % UInt(kinds.count)
        for kind in kinds[Int(first)...] + kinds[..<Int(first)] {
            if let fault = try? PlantedFault(kind, in: model, seed: seed) { return fault }
        }
        return try PlantedFault(kinds[Int(first)], in: model, seed: seed)
    }

    private func answer(_ found: String, _ model: GGUFFile) throws -> LessonFaultReport {
        let search = try FaultSearch(try GGUFFile(path: file), of: model)
        guard !search.changed.isEmpty else {
            throw InputError("\(file): found nothing that differs from \(model.path), expected one fault.")
        }
        return LessonFaultReport(search.verdict(found), answer: found)
    }
}
