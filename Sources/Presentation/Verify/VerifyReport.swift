import GGUF
import Measuring
import Recording
import Tracing

/// The result of `verify TRACE`.
public struct VerifyReport: Report {
    struct Failure: Encodable {
        let table: String
        @OrNull var step: Int?
        @OrNull var op: String?
        @OrNull var index: [Int]?
        @OrNull var row: String?
        @OrNull var column: String?
        let recorded: String
        let recomputed: String
        let count: Int

        /// `ffn_out-3[12,4], step 0`
        var location: String {
            let element = index.map { "[\($0.map(String.init).joined(separator: ","))]" } ?? ""
            let parts = [op.map { $0 + element }, step.map { "step \($0)" }, row].compactMap { $0 }
            return parts.isEmpty ? table : parts.joined(separator: ", ")
        }
    }

    struct NotChecked: Encodable {
        /// Operations of which the trace has some values, and none.
        let partial: Int
        let notCaptured: Int
    }

    /// Compared operations by what they were evaluated on.
    struct Evaluated: Encodable {
        /// All inputs as the trace has them.
        let fromTrace: Int
        /// An input, or more, made from the model.
        let fromModel: Int
    }

    let trace: String
    let run: Int
    let model: String
    /// Elements and cells compared.
    let checked: Int
    let checkedValues: Int
    let checkedCells: Int
    /// Whose values are all in the trace.
    let operations: Int
    let evaluated: Evaluated
    let notChecked: NotChecked
    let complete: Bool
    let failed: [Failure]

    public var isSound: Bool { failed.isEmpty }

    public init(_ verification: TraceVerification, of run: RecordedRun, model: String) {
        (trace, self.run, self.model, complete) = (run.trace, run.id, model, run.isComplete)
        checked = verification.checked
        (checkedValues, checkedCells) = (verification.values, verification.cells)
        operations = verification.complete
        evaluated = Evaluated(fromTrace: verification.fromTrace, fromModel: verification.fromModel)
        notChecked = NotChecked(partial: verification.partial, notCaptured: verification.notCaptured)
        failed = verification.failures.map {
            Failure(
                table: $0.table, step: $0.step, op: $0.operation, index: $0.index, row: $0.row, column: $0.column,
                recorded: $0.recorded, recomputed: $0.recomputed, count: $0.count)
        }
    }

    /// The model is not the recorded one: nothing else can be checked.
    public init(otherModel model: String, recorded: String, found: String, run: RecordedRun) {
        (trace, self.run, self.model, complete) = (run.trace, run.id, model, run.isComplete)
        (checked, checkedValues, checkedCells, operations) = (1, 0, 1, 0)
        (evaluated, notChecked) = (Evaluated(fromTrace: 0, fromModel: 0), NotChecked(partial: 0, notCaptured: 0))
        failed = [
            Failure(
                table: "model", step: nil, op: nil, index: nil, row: model, column: "sha256", recorded: recorded,
                recomputed: found, count: 1)
        ]
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold("\(trace), run \(run)") + (complete ? "" : style.warning("  cut off before its end")),
            style.dim("evaluated again from \(model)".cut(to: style.width)), "",
        ]
        if failed.first?.table == "model", checked == 1 {
            return (lines + modelLines(style)).joined(separator: "\n")
        }
        func line(_ name: String, _ count: Int, _ note: String) -> String {
            "  " + Numbers.grouped(count).leftPadded(to: 13) + "  " + name.padded(to: 20) + style.dim(note)
        }
        lines += [
            line(
                "values", checkedValues, "of \(Numbers.count(operations + notChecked.partial, "operation")), bit by bit"
            ),
            line("cells of rows", checkedCells, "statistics, logits, tokens, weights, …"),
            line("failed", failed.count, ""),
        ].map(\.withoutTrailingSpaces)
        lines += [""] + wrapped(inputWords, style)
        let missing = notChecked.partial + notChecked.notCaptured
        if missing > 0 {
            let words =
                "Not checked: the values of \(Numbers.count(notChecked.notCaptured, "operation")) that were not captured"
                + (notChecked.partial > 0 ? ", and parts of \(notChecked.partial) more." : ".")
            lines += wrapped(words, style)
        }
        if failed.isEmpty { return (lines + ["", style.bold("Everything reproduces.")]).joined(separator: "\n") }
        return (lines + ["", style.bold("What does not reproduce"), ""] + failureLines(style)).joined(separator: "\n")
    }

    private var inputWords: String {
        let held = "\(Numbers.count(evaluated.fromTrace, "operation")) evaluated on the inputs that the trace holds"
        return evaluated.fromModel == 0
            ? held + "."
            : "\(held), \(evaluated.fromModel) on inputs made from the model, because the trace lacks them or has them "
                + "damaged."
    }

    private func wrapped(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "")
    }

    private func modelLines(_ style: Style) -> [String] {
        [
            style.warning("The model is not the one that was recorded: its bytes have changed."), "",
            "  SHA-256 recorded  \(failed[0].recorded.prefix(48))…",
            "  found now         \(failed[0].recomputed.prefix(48))…",
            "", "Nothing else was checked. Name the original file with --model, or trace again.",
        ]
    }

    private func failureLines(_ style: Style) -> [String] {
        let limit = 20
        var lines: [String] = []
        for failure in failed.prefix(limit) {
            let column = failure.column.map { "\(failure.table).\($0)" } ?? failure.table
            lines.append(style.accent(failure.location.cut(to: style.width)))
            let more = failure.count > 1 ? ", and \(failure.count - 1) more that differ" : ""
            lines += "\(column): recorded \(failure.recorded), recomputed \(failure.recomputed)\(more)"
                .wrapped(to: style.width - 2, indent: "").map { "  " + $0 }
        }
        if failed.count > limit { lines.append(style.dim("… and \(failed.count - limit) more; --json has all")) }
        return lines
    }
}

/// The result of `verify MODEL`.
public struct VerifyModelReport: Report {
    struct Failure: Encodable {
        let check: String
        @OrNull var tensor: String?
        @OrNull var row: Int?
        @OrNull var column: Int?
        @OrNull var block: Int?
        @OrNull var fileOffset: Int?
        let reason: String
        let count: Int
    }

    struct Skipped: Encodable {
        let what: String
        let reason: String
    }

    let file: String
    /// Weights looked at.
    let checked: Int
    let tensors: Int
    let failed: [Failure]
    let skipped: [Skipped]

    public var isSound: Bool { failed.isEmpty }

    public init(_ verification: ModelVerification, of file: GGUFFile) {
        (self.file, checked, tensors) = (file.path, verification.weights, file.tensors.count)
        failed = verification.failures.map {
            Failure(
                check: $0.check, tensor: $0.tensor, row: $0.row, column: $0.column, block: $0.block,
                fileOffset: $0.fileOffset, reason: $0.reason, count: $0.count)
        }
        skipped = verification.skipped.map { Skipped(what: $0.what, reason: $0.reason) }
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold(file), "",
            "  header      every key, and \(Numbers.count(tensors, "tensor")) within the file",
            "  structure   "
                + (skipped.contains { $0.what == "structure" }
                    ? "not checked" : failed.contains { $0.check == "structure" } ? "faulty" : "a llama, complete"),
            "  weights     \(Numbers.grouped(checked)), scales and minima with them",
        ]
        for entry in skipped { lines += wrapped("Not checked: \(entry.what): \(entry.reason).", style) }
        guard !failed.isEmpty else {
            return (lines + ["", style.bold("Nothing is wrong with it.")]).joined(separator: "\n")
        }
        lines += ["", style.bold("What is wrong"), ""]
        for failure in failed.prefix(20) {
            guard let tensor = failure.tensor else {
                lines += wrapped(failure.reason, style)
                continue
            }
            lines += [
                style.accent(tensor),
                "  \(Numbers.count(failure.count, "value")) not finite; the first in row \(failure.row ?? 0), "
                    + "column \(failure.column ?? 0)",
                "  \(failure.reason)" + (failure.fileOffset.map { ", block \(failure.block!) at byte \($0)" } ?? ""),
            ]
        }
        if failed.count > 20 { lines.append(style.dim("… and \(failed.count - 20) more; --json has all")) }
        return lines.joined(separator: "\n")
    }

    private func wrapped(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width)
    }
}
