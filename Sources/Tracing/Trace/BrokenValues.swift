import ComputeGraph
import GGUF
import Measuring
import Recording

/// Where the first value of a run came from that is no number, and the block of weights that made it.
public struct BrokenValues: Sendable {
    public let operation: RecordedOperation
    /// The first fault of the weights that the operation reads; `nil` if they are numbers, and so the run's grew too large.
    public let weights: ModelVerification.Failure?

    /// - Returns: `nil` if all values are numbers, or no operation was recorded.
    public init?(of run: RecordedRun, in store: TraceStore, file: GGUFFile, workers: Workers) throws {
        guard let operation = try store.firstBroken(of: run) else { return nil }
        self.operation = operation
        var found: ModelVerification.Failure?
        for id in try store.inputs(of: operation).compactMap(\.weightID) where found == nil {
            guard let name = try store.weight(id: id)?.name, let tensor = file.tensor(named: name) else { continue }
            found = ModelVerification.fault(in: tensor, of: file, workers)
        }
        weights = found
    }
}

extension BrokenValues: CustomStringConvertible {
    public var description: String {
        let values = "\(operation.nans) NaN and \(operation.infinities) infinite values"
        let start = "the first are \(values) of '\(operation.name)' (step \(operation.step), seq \(operation.seq))"
        guard let weights, let tensor = weights.tensor, let row = weights.row, let column = weights.column else {
            return start + "; the weights that it reads are numbers."
        }
        let block = weights.block.map { ", block \($0) at byte \(weights.fileOffset ?? 0) of the file" } ?? ""
        return start + "; it reads '\(tensor)', where \(weights.reason) in row \(row), column \(column)\(block)."
    }
}
