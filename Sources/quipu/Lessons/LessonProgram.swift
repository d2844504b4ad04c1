import EmbeddedModel
import Foundation
import GGUF
import Lessons
import ProgramFiles

/// Commands of this program that lessons run on the learner's model.
enum LessonProgram {
    /// Files that come with the program: a text that models can be measured on, plain English for any of them; a small
    /// model in two versions, for what takes training and so cannot be done to the learner's; one of another kind; and a
    /// tiny one as files were before GGUF and as they are now.
    private static let files = [
        "TEXT": EmbeddedModel.heldOutText, "MICRO": EmbeddedModel.model, "TRAINED": EmbeddedModel.trainedRounded,
        "EXPERTS": EmbeddedModel.experts, "OLD": EmbeddedModel.beforeGGUF.old, "NEW": EmbeddedModel.beforeGGUF.new,
    ].mapValues { (try? EmbeddedModel.path(of: $0)) ?? $0 }

    /// Where one of these files is.
    ///
    /// - Precondition: there is one of this name.
    static func path(_ name: String) -> String { files[name]! }

    /// The model that a lesson brings because the learner's is of another architecture, or lacks what it is about.
    ///
    /// - Returns: its path; `nil` if the lesson is about the learner's.
    static func model(broughtBy lesson: Lesson, insteadOf own: String) throws -> String? {
        try model(
            lesson.model, needs: lesson.needs, isAboutIt: lesson.isAboutIt, file: lesson.file, insteadOf: own)
    }

    /// - Parameters:
    ///   - word: for a model that comes with the program.
    ///   - needs: see `Lesson.needs`.
    ///   - file: of the lesson or task.
    static func model(
        _ word: String?, needs: [String], isAboutIt: Bool = false, file lesson: String, insteadOf own: String
    ) throws -> String? {
        guard let word else { return nil }
        guard let path = files[word], word != "TEXT" else {
            let known = files.keys.filter { $0 != "TEXT" }.sorted().joined(separator: ", ")
            throw InputError("\(lesson): found model: \(word), expected one of \(known)")
        }
        if isAboutIt { return own == path ? nil : path }
        let file = try GGUFFile(path: own)
        let needs = try needs.isEmpty ? [GGUFFile(path: path).metadata.architecture].compactMap(\.self) : needs
        return needs.allSatisfy(file.has) ? nil : path
    }

    /// What a course of somebody else may not run by itself: whatever writes files. Its lessons' commands run as soon as a
    /// step is shown, so they may only look.
    ///
    /// - Returns: why not; `nil` if it may.
    static func objection(to words: [String]) -> String? {
        let looking: Set = [
            "inspect", "tokenize", "ops", "show", "sql", "quant", "explain", "lens", "attention", "gqa", "experts",
            "perplexity", "compare", "propagate", "bench", "diff", "graph",
        ]
        let isDryRun = words.first == "quantize" && words.contains("--dry-run")
        guard let first = words.first, looking.contains(first) || isDryRun else {
            return "its steps may not run `quipu \(words.first ?? "")` by themselves"
        }
        let writing = words.first { word in
            word.hasPrefix("-o") || ["--output", "--force", "--append"].contains { word.hasPrefix($0) }
        }
        return writing.map { "its steps may not write files (\($0))" }
    }

    /// The words with paths for `MODEL`, `TRACE` and the files that come with the program.
    static func filled(_ words: [String], _ model: LessonProgress.Model) -> [String] {
        let all = files.merging(["MODEL": model.path, "TRACE": model.trace]) { $1 }
        return words.map { all[$0] ?? $0 }
    }

    /// What a learner typed, with paths for the words `MODEL` and `TRACE` where a command takes a file to read: as an
    /// argument, or after one of these options. Never where it writes one, and not in a text.
    ///
    /// - Parameter names: which of the two are words; the other is a file's name.
    static func filled(
        typed words: [String], _ model: LessonProgress.Model, names: [String] = ["MODEL", "TRACE"]
    ) -> [String] {
        let paths = ["MODEL": model.path, "TRACE": model.trace].filter { names.contains($0.key) }
        let reading: Set = ["--model", "--from", "--base", "--trace", "--against", "--json"]
        return words.indices.map { index in
            let before = index > 0 ? words[index - 1] : ""
            let isRead = !before.hasPrefix("-") || reading.contains(before)
            return (isRead ? paths[words[index]] : nil) ?? words[index]
        }
    }

    /// Likewise of a shell's line, where lessons were begun and no file has that name: lessons print such lines.
    static func filled(shell words: [String]) -> [String] {
        let named = ["MODEL", "TRACE"].filter { words.contains($0) && !FileManager.default.fileExists(atPath: $0) }
        guard !named.isEmpty, words.first != "lesson",
            let model = try? LessonProgress.read(Classroom.progressPath).model
        else { return words }
        return filled(typed: words, model, names: named)
    }

    /// The learner's model and trace; what queries ask of commands is computed once and kept in `folder`.
    ///
    /// - Parameter isOwn: whether the lessons are the program's own, or may only look.
    static func subject(_ model: LessonProgress.Model, folder: URL, isOwn: Bool = true) throws -> Subject {
        var subject = try Subject(trace: model.trace, model: model.path)
        subject.sha256 = model.sha256
        subject.program = { words in
            if !isOwn, let fault = objection(to: words) {
                throw InputError("this course is not the program's own, and \(fault)")
            }
            let outcome = try run(words, model, folder: folder) {
                Terminal.complain("quipu: measuring with `quipu \(words[0])` for this lesson, once")
            }
            guard outcome.status == 0 else {
                throw InputError(outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            return Data(outcome.output.utf8)
        }
        return subject
    }

    /// Runs a command, unless what it printed is kept: for as long as model, trace, program and words are the same. So
    /// measured times, too, stay what they were when the learner first saw them.
    ///
    /// - Parameter announce: called before it is run.
    static func run(
        _ words: [String], _ model: LessonProgress.Model, folder: URL, announce: () -> Void = {}
    ) throws -> OwnProgram.Outcome {
        let built =
            try FileManager.default.attributesOfItem(atPath: ProgramFolder.program.path)[.modificationDate] as? Date
        let key = words + [model.sha256, model.trace, "\(built?.timeIntervalSince1970 ?? 0)"] + words.compactMap(stamp)
        let file = folder.appending(path: "output-\(String(key.joined(separator: "\n").stableHash, radix: 16))")
        if let kept = try? String(contentsOf: file, encoding: .utf8) {
            return OwnProgram.Outcome(status: 0, output: kept, errors: "")
        }
        announce()
        let outcome = try OwnProgram.run(filled(words, model))
        if outcome.status == 0 {
            try Folders.write(Data(outcome.output.utf8), to: file, advice: UserFolders.stateAdvice)
        }
        return outcome
    }
}

extension LessonProgram {
    /// Of a word that is a file, which one: a learner may make it again under the same name.
    private static func stamp(_ word: String) -> String? {
        guard word.contains("/"), let attributes = try? FileManager.default.attributesOfItem(atPath: word) else {
            return nil
        }
        let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
        return "\(attributes[.size] ?? 0) \(changed)"
    }
}

extension String {
    /// FNV-1a, the same in every run of the program.
    fileprivate var stableHash: UInt64 {
        utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}

extension GGUFFile {
    /// Whether it has what a lesson needs: see `Lesson.needs`.
    fileprivate func has(_ need: String) -> Bool {
        if need.hasPrefix("!") { return !has(String(need.dropFirst())) }
        let architecture = metadata.architecture ?? ""
        // A file may state any number of blocks.
        let stated = metadata["\(architecture).block_count"]?.integer ?? 0
        let blocks = min(max(0, stated), tensors.count + 1)
        return need.split(separator: "|").map(String.init).contains { name in
            let names = name.contains("*") ? (0..<blocks).map { name.replacing("*", with: "\($0)") } : [name]
            return names.allSatisfy {
                $0 == architecture || tensor(named: $0) != nil || metadata["\(architecture).\($0)"] != nil
            }
        }
    }
}
