import ComputeGraph
import GGUF
import LlamaModel
import Quantization
import Quantizing
import Synchronization
import Tensors
import Tokenization

/// A model file held against what every model must be: complete, of one piece, and made of numbers.
///
/// That its header and the offsets of its tensors are sound is a matter of opening it.
public struct ModelVerification: Sendable {
    public struct Failure: Sendable {
        /// `structure`: what a llama needs is missing or does not fit. `weight`: values that are no numbers.
        public let check: String
        public let tensor: String?
        /// Of the first value: row, column, its block, and bytes from the start of the file to the block.
        public let row: Int?
        public let column: Int?
        public let block: Int?
        public let fileOffset: Int?
        public let reason: String
        /// Values that are no numbers.
        public let count: Int
    }

    public private(set) var failures: [Failure] = []
    /// Weights looked at.
    public private(set) var weights = 0
    /// What was not checked, and why.
    public private(set) var skipped: [(what: String, reason: String)] = []

    /// - Parameter progress: called after each tensor with the weights done and to do.
    public init(of file: GGUFFile, workers: Workers, progress: (Int, Int) -> Void = { _, _ in }) throws {
        checkStructure(of: file)
        let total = file.parameterCount
        var done = 0
        for tensor in file.tensors {
            try Task.checkCancellation()
            checkValues(of: tensor, in: file, workers)
            done += tensor.shape.count
            progress(done, total)
        }
    }

    private mutating func checkStructure(of file: GGUFFile) {
        func failure(_ error: any Error) -> Failure {
            Failure(
                check: "structure", tensor: nil, row: nil, column: nil, block: nil, fileOffset: nil, reason: "\(error)",
                count: 1)
        }
        do {
            if let refusal = Llama.refusal(of: file) { throw refusal }
            _ = try Tokenizer(metadata: file.metadata)
        } catch let error as LlamaError where error.isUnsupported {
            skipped.append(("structure", error.lack.last == "." ? String(error.lack.dropLast()) : error.lack))
        } catch {
            failures.append(failure(error))
        }
    }

    private mutating func checkValues(of tensor: TensorInfo, in file: GGUFFile, _ workers: Workers) {
        guard BlockFormats.format(for: tensor.type) != nil else {
            skipped.append((tensor.name, "\(tensor.type) cannot be decoded"))
            return
        }
        weights += tensor.shape.count
        if let fault = Self.fault(in: tensor, of: file, workers) { failures.append(fault) }
    }

    /// The first of a tensor's values that is no number, and how many there are; `nil` if all are numbers, or they cannot be
    /// decoded.
    public static func fault(in tensor: TensorInfo, of file: GGUFFile, _ workers: Workers) -> Failure? {
        guard let format = BlockFormats.format(for: tensor.type) else { return nil }
        let (values, width) = (file.values(of: tensor), tensor.shape.ne0)
        let found = Mutex<(first: Int, count: Int)>((Int.max, 0))
        workers.run(items: tensor.shape.rows, grain: max(1, 65536 / max(1, width))) { rows in
            var decoded = [Float](repeating: 0, count: width)
            for row in rows {
                var span = decoded.mutableSpan
                values.decodeRow(row, by: format, into: &span)
                let wrong = decoded.indices.filter { !decoded[$0].isFinite }
                guard let first = wrong.first else { continue }
                found.withLock { $0 = (min($0.first, row * width + first), $0.count + wrong.count) }
            }
        }
        let (first, count) = found.withLock { $0 }
        guard count > 0 else { return nil }
        let (row, column) = (first / width, first % width)
        let block = try? WeightBlock(row: row, column: column, of: tensor, in: file)
        return Failure(
            check: "weight", tensor: tensor.name, row: row, column: column, block: block?.block,
            fileOffset: block?.fileOffset, reason: reason(block, column: column), count: count)
    }

    /// What is wrong in a block: its scale, its minimum, or a value that stands for itself.
    private static func reason(_ block: WeightBlock?, column: Int) -> String {
        guard let block else { return "a value is no number" }
        let sub = block.description.subBlocks[block.description.elements[column - block.firstColumn].sub]
        if let scale = sub.scale, !scale.isFinite { return "the scale is \(scale)" }
        if let minimum = sub.minimum, !minimum.isFinite { return "the minimum is \(minimum)" }
        return "the value is \(block.description.elements[column - block.firstColumn].value)"
    }
}
