import ComputeGraph
import Foundation
import Operations

extension RecordedOperation {
    /// The operation of this kind; `nil` only of a trace that somebody else wrote.
    public var operation: (any ComputeGraph.Operation.Type)? { OperationCatalog.operation(kind: kind) }

    /// Whether it only names values of its source.
    public var isView: Bool { operation?.isView ?? false }

    /// Whether it changes the memory of the cache instead of making a tensor of its own.
    ///
    /// Only the cache, of F16, is written in place: `SET_ROWS` of a router's groups is a copy in F32.
    public var isWrite: Bool { (operation?.isWrite ?? false) && type == .f16 }

    /// Whether its value is the result of a part, and not a step on the way there.
    public func isResult(of part: NodeRole.Part) -> Bool { role?.result == part }

    /// How many positions, its own included, a position sees, of a softmax whose mask has a window; else `nil`.
    public var window: Int? {
        struct Parameters: Decodable { let window: Int? }
        guard kind == SoftMax.kind else { return nil }
        return try? JSONDecoder().decode(Parameters.self, from: Data(parameters.utf8)).window
    }

    /// Whether its output is the residual stream: the sum that each layer reads and adds to.
    public var isResidual: Bool { role?.result?.isResidual ?? false }
}

extension TraceStore {
    /// The operation that is the result of a part.
    ///
    /// - Parameter layer: `nil` for parts before and after the layers.
    /// - Throws: `TraceError.noRole` if the run has none.
    public func operation(
        _ part: NodeRole.Part, layer: Int?, run: RecordedRun, step: Int
    ) throws -> RecordedOperation {
        let all = try operations(of: run, step: step)
        guard let found = all.last(where: { $0.isResult(of: part) && $0.layer == layer }) else {
            throw TraceError.noRole(path: path, role: part.rawValue, layer: layer)
        }
        return found
    }
}
