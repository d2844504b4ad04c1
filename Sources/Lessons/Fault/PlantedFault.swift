import Foundation
import GGUF
import Recording
import Tensors
import Tracing

/// One thing that is changed in a copy of a model, for somebody to find.
public struct PlantedFault: Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// A row of a weight 8 times as large: its blocks' scales, or its numbers where they are not quantised.
        case scale
        /// Rows of `attn_q` of two heads, exchanged.
        case heads
        /// The base of RoPE's angles.
        case rope
    }

    public let kind: Kind
    /// The tensor, or the metadata key.
    public let target: String
    private let metadata: Metadata
    private let tensor: Tensor?

    /// Chooses what is changed: the same for the same model and seed.
    ///
    /// - Throws: `FaultProblem.cannotPlant` if the model has nothing to change so.
    public init(_ kind: Kind, in file: GGUFFile, seed: Int) throws {
        var order = StableOrder("\(kind.rawValue) \(seed)")
        self.kind = kind
        let plain = file.metadata.withoutLayout
        switch kind {
        case .rope:
            let key = Self.prefix(file) + "rope.freq_base"
            guard case .float32(let base)? = plain[key], base > 0 else {
                throw FaultProblem.cannotPlant(kind, file.path)
            }
            let factor: Float = order.next() & 1 == 0 ? 10 : 0.1
            metadata = Metadata(
                plain.entries.map { $0.key == key ? .init(key: key, value: .float32(base * factor)) : $0 })
            (target, tensor) = (key, nil)
        case .heads:
            (target, tensor) = try Self.exchangedHeads(of: file, &order)
            metadata = plain
        case .scale:
            (target, tensor) = try Self.largerRow(of: file, &order)
            metadata = plain
        }
    }

    /// - Throws: `GGUFError` if the path is taken or cannot be written.
    public func write(_ file: GGUFFile, to path: String, overwrite: Bool) throws {
        let tensors = file.tensors.map { info in
            guard info.name == target, let tensor else { return GGUFWriter.TensorEntry(info, of: file) }
            return GGUFWriter.TensorEntry(name: info.name, tensor, dimensionCount: info.dimensionCount)
        }
        try GGUFWriter(metadata: metadata, tensors: tensors, version: max(2, file.version)).write(
            to: path, overwrite: overwrite, checking: file.checkUnchanged)
    }

    private static func prefix(_ file: GGUFFile) -> String {
        (file.metadata.architecture ?? "") + "."
    }

    private static func exchangedHeads(of file: GGUFFile, _ order: inout StableOrder) throws -> (String, Tensor) {
        let tensors = file.tensors.filter { $0.name.hasSuffix(".attn_q.weight") }
        guard let heads = file.metadata[prefix(file) + "attention.head_count"]?.integer, heads > 1,
            let info = order.shuffled(tensors).first(where: { $0.shape.rows % heads == 0 })
        else { throw FaultProblem.cannotPlant(.heads, file.path) }
        let copy = file.values(of: info).copied()
        let bytes = info.byteCount / heads
        let pair = order.shuffled(Array(0..<heads)).prefix(2).map { $0 * bytes..<($0 + 1) * bytes }
        let (first, second) = (self.bytes(copy, pair[0]), self.bytes(copy, pair[1]))
        for (range, content) in [(pair[0], second), (pair[1], first)] {
            copy.buffer.withMutableBytes(in: range) { target in
                for (i, byte) in content.enumerated() { target.storeBytes(of: byte, toByteOffset: i, as: UInt8.self) }
            }
        }
        return (info.name, copy)
    }

    private static func largerRow(of file: GGUFFile, _ order: inout StableOrder) throws -> (String, Tensor) {
        let tensors = file.tensors.filter { WeightName($0.name).layer != nil && $0.shape.rows > 1 }
        for info in order.shuffled(tensors) {
            let row = Int(order.next() % UInt64(info.shape.rows))
            let (count, part) =
                info.type.blockElements == 1
                ? (info.shape.ne0, "column=%,value*=8") : (info.shape.ne0 / info.type.blockElements, "block=%,scale*=8")
            let edits = try (0..<count).map {
                try InterventionRecord.weight("\(info.name)@row=\(row),\(part.replacing("%", with: "\($0)"))")
            }
            // Not every format has a scale that can be changed so.
            if let changed = try? Interventions(edits).changedTensors(of: file)[info.name],
                !isSame(changed, file.values(of: info))
            {
                return (info.name, changed)
            }
        }
        throw FaultProblem.cannotPlant(.scale, file.path)
    }

    /// Whether two tensors of one layout have the same bytes.
    static func isSame(_ a: Tensor, _ b: Tensor) -> Bool {
        a.withBytes { a in
            b.withBytes { b in
                a.withUnsafeBytes { a in
                    b.withUnsafeBytes { b in
                        // This module is not optimised, and a model has gigabytes.
                        a.count == b.count && (a.isEmpty || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0)
                    }
                }
            }
        }
    }

    static func bytes(_ tensor: Tensor, _ range: Range<Int>) -> [UInt8] {
        tensor.withBytes { $0.withUnsafeBytes { Array($0[range]) } }
    }
}

/// Where a file differs from the model that it was made from.
public struct FaultSearch: Sendable {
    /// Tensors whose bytes differ, and metadata keys whose values do.
    public let changed: [String]
    private let known: [String]
    private let file: GGUFFile
    private let model: GGUFFile

    /// - Throws: `FaultProblem.otherModel` if the file has other tensors.
    public init(_ file: GGUFFile, of model: GGUFFile) throws(FaultProblem) {
        guard file.tensors.map(\.name) == model.tensors.map(\.name),
            zip(file.tensors, model.tensors).allSatisfy({ $0.type == $1.type && $0.shape == $1.shape })
        else { throw .otherModel(file.path, model.path) }
        (self.file, self.model) = (file, model)
        let tensors = zip(file.tensors, model.tensors).filter { mine, theirs in
            !PlantedFault.isSame(file.values(of: mine), model.values(of: theirs))
        }
        let keys = model.metadata.withoutLayout.entries.map(\.key)
        changed = tensors.map(\.0.name) + keys.filter { file.metadata[$0] != model.metadata[$0] }
        known = file.tensors.map(\.name) + keys
    }

    public enum Verdict: Sendable, Equatable {
        case right(String)
        /// It is as it was.
        case unchanged(String)
        case unknown(suggestions: [String])
    }

    /// - Parameter answer: a tensor's name or a metadata key; `.weight` and the architecture may be left out.
    public func verdict(_ answer: String) -> Verdict {
        let architecture = model.metadata.architecture ?? ""
        let wanted = answer.trimmingCharacters(in: CharacterSet(charactersIn: " `'\""))
        let meant = [wanted, wanted + ".weight", "\(architecture).\(wanted)"]
        guard let name = meant.first(where: known.contains) else {
            return .unknown(suggestions: meant.map { nearest(to: $0, in: known) }.first { !$0.isEmpty } ?? [])
        }
        return changed.contains(name) ? .right(what(name)) : .unchanged(name)
    }

    /// What was done to it, from the bytes of both files.
    private func what(_ name: String) -> String {
        guard let mine = file.tensor(named: name), let theirs = model.tensor(named: name) else {
            let values = [model, file].map { $0.metadata[name]?.number.map { "\($0)" } ?? "?" }
            return "`\(name)` was \(values[0]) and is \(values[1]): every rotation has other angles."
        }
        let bytes = mine.byteCount / mine.shape.rows
        func row(_ file: GGUFFile, _ info: TensorInfo, _ r: Int) -> [UInt8] {
            PlantedFault.bytes(file.values(of: info), r * bytes..<(r + 1) * bytes)
        }
        let rows = (0..<mine.shape.rows).filter { row(file, mine, $0) != row(model, theirs, $0) }
        guard rows.count > 1, let first = rows.first, let last = rows.last else {
            let what = mine.type.blockElements == 1 ? "numbers" : "scales"
            return "The \(what) of row \(rows.first ?? 0) of `\(name)` are 8 times as large."
        }
        // Both parts have as many rows.
        let second = rows[rows.count / 2]
        return
            "Rows \(first) to \(rows[rows.count / 2 - 1]) and \(second) to \(last) of `\(name)` are exchanged: two heads ask "
            + "each other's questions, and their answers are read where the other's are expected."
    }
}

public enum FaultProblem: InputProblem, Equatable, CustomStringConvertible {
    case cannotPlant(PlantedFault.Kind, String)
    case otherModel(String, String)

    public var description: String {
        switch self {
        case .cannotPlant(let kind, let path):
            "\(path): found nothing in it that a fault of kind \(kind.rawValue) can be planted in. Try another kind."
        case .otherModel(let path, let model):
            "\(path): found other tensors than those of \(model), expected a file that `quipu lesson fault` made of it."
        }
    }
}
