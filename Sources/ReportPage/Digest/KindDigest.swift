import ComputeGraph

/// A kind of operation in its own words.
public struct KindDigest: Encodable, Sendable {
    let kind: String
    let formula: String
    let summary: String
    let isView: Bool
    let isWrite: Bool

    init(_ operation: any Operation.Type) {
        (kind, formula, summary) = (operation.kind, operation.formula, operation.summary)
        (isView, isWrite) = (operation.isView, operation.isWrite)
    }
}
