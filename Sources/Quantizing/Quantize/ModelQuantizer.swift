import ComputeGraph
import GGUF
import Quantization
import Synchronization
import Tensors

/// Writes a model's tensors again, as a plan says.
public struct ModelQuantizer: Sendable {
    public let file: GGUFFile
    public let plan: QuantizationPlan
    public let importance: ImportanceMatrix?
    private let overrides: [MetadataOverride]
    private let workers: Workers
    private let progress: @Sendable (_ done: Int, _ total: Int) throws -> Void

    /// Weights between two reports of progress.
    private static let slab = 1 << 22
    /// Weights worth handing to another thread.
    private static let grain = 1 << 14

    /// - Parameters:
    ///   - overrides: metadata to write in place of the model's.
    ///   - progress: called now and then with the weights done and to do; what it throws ends the work.
    public init(
        file: GGUFFile, plan: QuantizationPlan, importance: ImportanceMatrix?, overrides: [MetadataOverride] = [],
        workers: Workers,
        progress: @escaping @Sendable (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) {
        self.file = file
        self.plan = plan
        self.importance = importance
        self.overrides = overrides
        self.workers = workers
        self.progress = progress
    }

    /// Finds what would stop the work half-way: formats that cannot be read or written, importances that are missing.
    ///
    /// - Throws: `QuantizeProblem`.
    public func check(allowsRequantizing: Bool) throws(QuantizeProblem) {
        for entry in plan.entries where !entry.isCopied {
            let tensor = entry.tensor
            guard BlockFormats.format(for: tensor.type) != nil else {
                throw .notDecodable(file: file.path, tensor: tensor.name, type: tensor.type)
            }
            guard BlockFormats.encodableFormat(for: entry.type) != nil else {
                throw .notEncodable(tensor: tensor.name, type: entry.type)
            }
            guard allowsRequantizing || !tensor.type.isQuantized else {
                throw .alreadyQuantized(file: file.path, tensor: tensor.name, type: tensor.type)
            }
            let values = try importance?.values(for: tensor)
            if entry.needsImportance, values == nil {
                throw .needsImportance(tensor: tensor.name, type: entry.type, hasMatrix: importance != nil)
            }
        }
    }

    /// Writes the new file: under a temporary name first, so that it appears when it is complete.
    ///
    /// One tensor at a time is in memory.
    ///
    /// - Throws: `GGUFError` if the path is taken or cannot be written, `QuantizeProblem` if weights are not finite, and
    ///   what `progress` throws. Nothing is left behind then.
    public func write(to path: String, overwrite: Bool) throws {
        let total = plan.entries.reduce(0) { $0 + $1.tensor.shape.count }
        var start = 0
        let tensors = plan.entries.map { entry in
            let done = start
            start += entry.tensor.shape.count
            return GGUFWriter.TensorEntry(name: entry.tensor.name, type: entry.type, shape: entry.tensor.shape) {
                try values(of: entry) { try progress(done + $0, total) }
            }
        }
        try GGUFWriter(metadata: metadata, tensors: tensors).write(
            to: path, overwrite: overwrite, checking: file.checkUnchanged)
    }

    /// The tensors that the plan changes, in memory, by name: `Llama.replacing` runs the model with them.
    ///
    /// - Parameter isMeant: which of them.
    /// - Throws: `QuantizeProblem` if weights are not finite, and what `progress` throws.
    public func changedTensors(
        where isMeant: (QuantizationPlan.Entry) -> Bool = { _ in true }
    ) throws -> [String: Tensor] {
        let changed = plan.entries.filter { !$0.isCopied && isMeant($0) }
        let total = changed.reduce(0) { $0 + $1.tensor.shape.count }
        var (done, tensors) = (0, [String: Tensor]())
        for entry in changed {
            tensors[entry.tensor.name] = try values(of: entry) { try progress(done + $0, total) }
            done += entry.tensor.shape.count
        }
        return tensors
    }

    /// The error that the plan makes of each tensor, in its order; `nil` for tensors that are copied, and for those that
    /// cannot be written without importances.
    ///
    /// - Throws: as `write`.
    public func errors() throws -> [TensorError?] {
        let changed = plan.entries.filter { !$0.isCopied }
        let total = changed.reduce(0) { $0 + $1.tensor.shape.count }
        let quant = QuantErrors(workers: workers)
        var done = 0
        return try plan.entries.map { entry in
            guard !entry.isCopied else { return nil }
            let values = try importance?.values(for: entry.tensor)
            guard values != nil || !entry.needsImportance,
                let format = BlockFormats.encodableFormat(for: entry.type)
            else { return nil }
            let error = try quant.errors(of: entry.tensor, in: file, as: format, importance: values)
            done += entry.tensor.shape.count
            try progress(done, total)
            return error
        }
    }

    // MARK: tensors

    /// - Parameter progress: called with the weights of the tensor that are done.
    private func values(of entry: QuantizationPlan.Entry, progress: (Int) throws -> Void) throws -> Tensor {
        let tensor = entry.tensor
        let source = file.values(of: tensor)
        // What cannot be decoded can only be copied, as it is.
        guard let decoder = BlockFormats.format(for: tensor.type) else { return source }
        let target = entry.isCopied ? nil : Tensor.zeros(entry.type, tensor.shape)
        let encoding = try target.map { target in
            RowConversion.Encoding(
                format: BlockFormats.encodableFormat(for: entry.type)!, target: target,
                importance: try importance?.values(for: tensor))
        }
        let conversion = RowConversion(source: source, decoder: decoder, encoding: encoding)
        let (width, rows) = (tensor.shape.ne0, tensor.shape.rows)
        let slab = max(1, Self.slab / max(1, width))
        for start in stride(from: 0, to: rows, by: slab) {
            let count = min(slab, rows - start)
            workers.run(items: count, grain: max(1, Self.grain / max(1, width))) { range in
                conversion.convert(start + range.lowerBound..<start + range.upperBound)
            }
            if let fault = conversion.fault { throw fault.problem(of: tensor, in: file, as: entry.type) }
            try progress((start + count) * width)
        }
        return target ?? source
    }

    // MARK: metadata

    /// All of the model's keys, in their order, but those of a split file; then what llama.cpp adds, and in its order.
    private var metadata: Metadata {
        var added = [
            Metadata.Entry(key: "general.quantization_version", value: .uint32(2)),
            Metadata.Entry(key: "general.file_type", value: .uint32(fileTypeNumber)),
        ]
        added += overrides.map(\.entry)
        if let importance {
            added.append(.init(key: "quantize.imatrix.file", value: .string(importance.path)))
            if let dataset = importance.datasets.first {
                added.append(.init(key: "quantize.imatrix.dataset", value: .string(dataset)))
            }
            added.append(
                .init(key: "quantize.imatrix.entries_count", value: .uint32(UInt32(importance.values.count))))
            if importance.chunks > 0 {
                added.append(.init(key: "quantize.imatrix.chunks_count", value: .uint32(UInt32(importance.chunks))))
            }
        }
        // The new file is aligned to 32 bytes, whatever the old one was.
        return file.metadata.withoutLayout.setting(added)
    }

    private var fileTypeNumber: UInt32 {
        if let fileType = plan.fileType { return fileType.rawValue }
        if case .uint32(let number)? = file.metadata["general.file_type"] { return number }
        return GGUFFileType.guess(from: file.tensors.map(\.type)).rawValue | GGUFFileType.guessedBit
    }
}

extension GGUFFileType {
    /// The file type named like the type of most tensors, as llama.cpp's loader guesses it.
    static func guess(from types: [TensorType]) -> GGUFFileType {
        var counts: [TensorType: Int] = [:]
        var (most, commonest) = (0, TensorType.f32)
        for type in types {
            counts[type, default: 0] += 1
            if counts[type]! > most { (most, commonest) = (counts[type]!, type) }
        }
        let medium: [TensorType: GGUFFileType] = [.q3_K: .q3_K_M, .q4_K: .q4_K_M, .q5_K: .q5_K_M]
        return medium[commonest] ?? allCases.first { $0.name == commonest.name } ?? .f32
    }
}
