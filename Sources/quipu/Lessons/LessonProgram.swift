import EmbeddedModel
import Foundation
import Lessons

/// Commands of this program that lessons run on the learner's model.
enum LessonProgram {
    /// A text that models can be measured on: the embedded model's stories, plain English for any other.
    static let text = (try? EmbeddedModel.path(of: EmbeddedModel.heldOutText)) ?? EmbeddedModel.heldOutText

    /// The words with paths for `MODEL`, `TRACE` and `TEXT`.
    static func filled(_ words: [String], _ model: LessonProgress.Model) -> [String] {
        words.map {
            $0.replacing("MODEL", with: model.path).replacing("TRACE", with: model.trace).replacing("TEXT", with: text)
        }
    }

    /// The learner's model and trace; what queries ask of commands is computed once and kept in `folder`.
    static func subject(_ model: LessonProgress.Model, folder: URL) throws -> Subject {
        var subject = try Subject(trace: model.trace, model: model.path)
        subject.program = { words in try output(words, model, folder: folder) }
        return subject
    }

    /// Kept for as long as the model's bytes, the program and the words are the same: measured times, too, stay what they
    /// were when the learner first saw them.
    private static func output(_ words: [String], _ model: LessonProgress.Model, folder: URL) throws -> Data {
        let built = try FileManager.default.attributesOfItem(atPath: OwnProgram.path)[.modificationDate] as? Date
        let key = (words + [model.sha256, "\(built?.timeIntervalSince1970 ?? 0)"]).joined(separator: "\n")
        let file = folder.appending(path: "output-\(String(key.stableHash, radix: 16)).json")
        if let kept = try? Data(contentsOf: file) { return kept }
        Terminal.complain("quipu: measuring with `quipu \(words[0])` for this lesson, once")
        let outcome = try OwnProgram.run(filled(words, model))
        guard outcome.status == 0 else {
            throw InputError(outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let data = Data(outcome.output.utf8)
        try data.write(to: file, options: .atomic)
        return data
    }
}

extension String {
    /// FNV-1a, the same in every run of the program.
    fileprivate var stableHash: UInt64 {
        utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
