import ArgumentParser
import Foundation
import Lessons
import Presentation
import Recording
import Tensors

/// A lesson line by line: an answer, or one of a few words.
struct LessonLoop {
    private var room: Classroom
    private var lines = LineTerminal(file: Classroom.folder.appending(path: "history"))
    /// The first part of an answer of two, until it is right or the step is left: a choice, or whether it is true.
    private var firstPart: String?
    /// What a command of the learner's wrote last, for questions of kind change.
    private var made: String?
    /// What was typed where a page was to go on: it ends the page.
    private var typed: String?

    init(_ room: Classroom) { self.room = room }

    private static let words = [
        "next", "back", "hint", "skip", "why", "play", "redo", "list", "progress", "again", "check", "start", "guess",
        "quit", "help",
    ]

    private static let help = """
        An answer is checked. Other words: next, back (a step on, or back), hint, skip (shows the whole way, asks again \
        later), why, again (shows the step), play (walks through the trace, from the operation that the step is about), \
        redo, list, quit. `check FILE` hands in a file that you made, or runs a Python file of a code task.

        A line that begins with `quipu`, or with one of its commands, is run. There, MODEL and TRACE stand for the \
        model and the trace that the lesson is about; a command that names no trace reads the lesson's. Arrows go back \
        to earlier lines, Tab completes words, commands and files.

        Where a number is asked for, arithmetic does: \(LessonActions.calculator)
        """

    mutating func run() throws {
        keepTrace()
        try show(try room.stepReport())
        while true {
            guard var line = typed ?? lines.line(prompt, completions: completions) else { return Terminal.write("\n") }
            typed = nil
            // As in a shell; long commands are shown folded like this.
            while line.hasSuffix("\\"), let more = lines.line("… ", completions: completions) {
                line = line.dropLast() + more
            }
            let text = line.trimmingCharacters(in: .whitespaces)
            if ["quit", "exit", "q"].contains(text.lowercased()) { break }
            do {
                try obey(text)
            } catch let error as any InputProblem {
                try show(LessonTextReport(why: "\(error)", isLoop: true))
            }
        }
        Terminal.write("Kept. `quipu lesson start` goes on here.\n")
    }

    private var prompt: String { firstPart.map { "\($0), and the number > " } ?? "> " }

    private mutating func obey(_ text: String) throws {
        switch text.lowercased() {
        case "": break
        case "?", "help": try show(LessonTextReport(why: Self.help, isLoop: true))
        case "next":
            if try room.tutor.passesPrediction() { return try move { (_: inout Tutor) throws(LessonError) in } }
            guard try !room.tutor.isAtTheEnd() else { return try show(LessonRecapReport(room.tutor)) }
            try move { (tutor: inout Tutor) throws(LessonError) in try tutor.next() }
        case "back": try move { (tutor: inout Tutor) throws(LessonError) in try tutor.back() }
        case "hint": try show(try LessonActions.hint(&room))
        case "skip":
            firstPart = nil
            try show(try LessonActions.skip(&room))
        case "why": try show(try LessonActions.why(room))
        case "play":
            try PlayLesson.play(room, try StepOptions.parse(room.style.isColored ? ["--color", "always"] : []))
            try show(try room.stepReport())
        case "again", "goal": try show(try room.stepReport())
        case "list", "progress":
            let report = LessonListReport(
                room.tutor.course, room.tutor.progress, file: Classroom.progressPath, isDetailed: text == "progress")
            try show(report)
        case "redo":
            guard try room.tutor.redo(nil) else { return Terminal.write("Nothing was skipped.\n") }
            try move { (_: inout Tutor) throws(LessonError) in }
        default: try other(text)
        }
    }

    /// A lesson by name, a command, or an answer.
    private mutating func other(_ text: String) throws {
        let words = OwnProgram.words(text) ?? []
        let isCommand = words.count > 1 && Self.commands.contains(words[0])
        switch words.first {
        case "quipu": try command(Array(words.dropFirst()))
        case _ where isCommand: try command(words)
        case "start", "redo":
            guard words.count == 2 else { return Terminal.write("Which lesson? For example: start 3\n") }
            try move { (tutor: inout Tutor) throws(LessonError) in try tutor.start(words[1]) }
        case "check":
            let rest = words.dropFirst().joined(separator: " ")
            if let file = try LessonActions.codeFile(rest, room) {
                return try show(try CodeCheck.check(file, &room))
            }
            try answer(rest)
        case "guess": try guess(words.dropFirst().joined(separator: " "))
        default:
            if try room.tutor.openPrediction() != nil { return try guess(text) }
            try answer(text)
        }
    }

    private mutating func answer(_ text: String) throws {
        if try room.tutor.step().question == nil {
            return Terminal.write("This step asks nothing. `next` goes on, `help` tells all words.\n")
        }
        if CodeLanguage(path: text) != nil {
            return Terminal.write("`check \(text)` runs a file of a code task; an answer does not.\n")
        }
        // A word that is a first part stands in place of the one before; a number is what was asked for.
        let isNumber = Double(text) != nil
        let isNew = try firstPart == nil || !isNumber && LessonActions.askedAfter(text.firstWord, room) != nil
        let whole = isNew ? text : "\(firstPart!) \(text)"
        if let number = try LessonActions.askedAfter(whole, room) {
            firstPart = whole
            return try show(LessonTextReport(why: "And the number: \(number)", isLoop: true))
        }
        let report = try LessonActions.check(whole.isEmpty ? made ?? "" : whole, &room)
        let isRead = report.outcome != .unreadable
        if report.outcome == .right || isRead && firstPart.flatMap(Double.init) != nil { firstPart = nil }
        try show(report)
    }

    private mutating func guess(_ text: String) throws {
        try room.tutor.guess(text)
        try move { (_: inout Tutor) throws(LessonError) in }
    }

    // MARK: commands

    /// What can be typed without `quipu`.
    private static let commands = Set(Quipu.configuration.subcommands.compactMap { $0.configuration.commandName })
        .subtracting(["lesson", "step"])

    private mutating func command(_ words: [String]) throws {
        let line = LessonProgram.filled(typed: words, room.model)
        let outcome = try OwnProgram.run(line + (room.style.isColored ? ["--color", "always"] : []))
        if let last = LastTrace.path, last != room.model.trace {
            keepTrace()
            // Its own advice would read the lesson's trace here.
            let said = outcome.output.firstRange(of: TraceReport.next).map { outcome.output[..<$0.lowerBound] }
            let name = line.first { URL(filePath: $0).standardizedFileURL.path == last } ?? last
            let advice = "Commands that name no trace read the lesson's. Yours: `ops \(name)`, `diff \(name)`.\n"
            show((said ?? outcome.output[...]) + outcome.errors + advice)
        } else {
            show(outcome.output + outcome.errors)
        }
        if let option = ["--output", "-o"].compactMap({ line.firstIndex(of: $0) }).first, option + 1 < line.count {
            made = line[option + 1]
        } else if line.first == "quantize", outcome.status == 0 {
            made = line.first { $0.hasSuffix(".gguf") && $0 != room.model.path }
        }
    }

    /// The trace that commands read when none is named stays the lesson's, whatever the learner records.
    private func keepTrace() {
        if LastTrace.path != room.model.trace { LastTrace.remember(room.model.trace) }
    }

    private func completions(_ before: String) -> [String] {
        let words = before.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        if words.count <= 1 { return Self.words + Self.commands.sorted() + ["quipu"] }
        if words.count == 2, words[0] == "quipu" { return Self.commands.sorted() }
        let folder = words.last?.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        let start = folder.map { $0.isEmpty ? "" : $0 + "/" } ?? ""
        let files = (try? FileManager.default.contentsOfDirectory(atPath: start.isEmpty ? "." : start)) ?? []
        return ["MODEL", "TRACE"] + files.filter { !$0.hasPrefix(".") }.map { start + $0 } + tensors(words)
    }

    /// Names that a command on the lesson's model or trace may take.
    private func tensors(_ words: [String]) -> [String] {
        guard let word = words.last, !word.isEmpty else { return [] }
        if words.contains("MODEL") { return room.tutor.subject.file.tensors.map(\.name) }
        let store = try? TraceStore.open(path: room.model.trace)
        return (try? store.map { try $0.operations(of: $0.run(), step: 0).map(\.name) }) ?? []
    }

    private mutating func move(
        _ body: (inout Tutor) throws(LessonError) -> Void
    ) throws {
        try body(&room.tutor)
        try room.save()
        keepTrace()
        (made, firstPart) = (nil, nil)
        try show(try room.stepReport())
    }

    // MARK: showing

    private mutating func show(_ report: some Report) throws {
        show("\n" + room.style.shown(report.page(room.style)) + "\n\n")
    }

    /// A screen at a time: nothing is scrolled off before it was read.
    private mutating func show(_ text: String) {
        let screens = LessonScreens(text, width: Terminal.width, rows: max(8, Terminal.size.rows - 2)).screens
        for (index, screen) in screens.enumerated() {
            Terminal.write(screen)
            guard index + 1 < screens.count else { break }
            guard let line = lines.line("-- Enter: more -- ", completions: completions) else { break }
            if !line.allSatisfy(\.isWhitespace) {
                typed = line
                break
            }
        }
    }
}

extension String {
    fileprivate var firstWord: String { split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "" }
}
