import GGUF
import Quantizing
import Recording

/// The result of `convert`.
public struct ConvertReport: Report {
    struct Change: Encodable {
        let type: String
        let nTensors: Int
        let conversion: String
    }

    let file: String
    let format: String
    let output: String
    let sizeBytes: Int
    let nTensors: Int
    /// Derived from shapes.
    let nFf: Int
    let nHeadKv: Int
    /// Given, or assumed.
    let nCtxTrain: Int
    let epsilon: Float
    /// Whether the file has scores; without, their order is the tokens'.
    let hasScores: Bool
    /// What was done to blocks.
    let changes: [Change]

    private let program: String

    private enum CodingKeys: CodingKey {
        case file, format, output, sizeBytes, nTensors, nFf, nHeadKv, nCtxTrain, epsilon, hasScores, changes
    }

    public init(
        _ conversion: LegacyConversion, _ options: LegacyConversion.Options, output: String, sizeBytes: Int,
        program: String
    ) {
        file = conversion.file.path
        format = conversion.file.format.name
        self.output = output
        self.sizeBytes = sizeBytes
        nTensors = conversion.tensors.count
        nFf = conversion.feedForward
        nHeadKv = conversion.kvHeads
        nCtxTrain = options.context
        epsilon = options.epsilon
        hasScores = conversion.file.format.hasScores
        self.program = program
        changes = Dictionary(grouping: conversion.tensors, by: \.record.layout)
            .compactMap { layout, tensors in
                layout.conversion.map { Change(type: layout.name, nTensors: tensors.count, conversion: $0) }
            }
            .sorted { $0.type < $1.type }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold("\(output.onOneLine): \(Numbers.count(nTensors, "tensor")), \(ByteSize(sizeBytes))")]
        lines.append("from \(file.onOneLine), a \(format) file")
        var notes = [
            "From shapes: feed-forward width \(nFf), \(Numbers.count(nHeadKv, "KV head")).",
            "Not in the file, so as asked or assumed: context \(nCtxTrain) (--context), epsilon \(epsilon) (--epsilon).",
        ]
        if !hasScores {
            notes.append("The tokens had no scores: they are written falling with the ids, as LLaMA's are.")
        }
        if changes.isEmpty { notes.append("The values are the same, byte for byte.") }
        for change in changes {
            notes.append("\(Numbers.count(change.nTensors, "tensor")) of \(change.type): \(change.conversion).")
        }
        lines += notes.flatMap { $0.wrapped(to: style.width) }
        lines += ["", style.dim("\(program) inspect \(output.quotedIfNeeded)")]
        return lines.joined(separator: "\n")
    }
}
