import ComputeGraph
import Quantizing
import Tensors

/// Where error comes from in the real run of a quantised model.
public enum ErrorCause: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    /// Quantised weights, F32 activations.
    case weights
    /// F32 weights, activations rounded as the products round them.
    case activations
    /// The real run.
    case both
}

/// The error of one operation.
public struct OperationError: Sendable, Codable {
    public let seq: Int
    public let name: String
    public let kind: String
    public let role: NodeRole
    public let layer: Int?
    /// Of the quantised weight that it reads; `nil` if it reads none.
    public let weightType: TensorType?
    /// Of this operation alone, given the reference's inputs; `nil` if it reads no weight: then it adds none.
    public let local: [ErrorCause: ErrorStatistics]?
    /// Of its output in each run against the reference's.
    public let accumulated: [ErrorCause: ErrorStatistics]
    /// Of the last position's part of the output in the real run: relative rmse. `nil` where it is no single column.
    public let lastPosition: Double?
    /// In the real run, of that of its inputs with the most: relative rmse.
    public let worstInput: Double

    /// What the operation adds to the worst of its inputs, in relative rmse.
    public var jump: Double { accumulated[.both]!.relativeRMSE - worstInput }
}
