import Recording
import Tensors

/// An operation of a run as watch expressions ask about it.
struct OperationSubject: WatchSubject {
    let operation: RecordedOperation
    let walk: TraceWalk
    let model: StepModel

    var kind: String { operation.kind }
    var name: String { operation.name }

    func number(_ statistic: WatchExpression.Statistic, ofResidual: Bool) -> Double? {
        if ofResidual, !operation.isResidual { return nil }
        switch statistic {
        case .rms: return operation.rms
        case .min: return operation.minimum
        case .max: return operation.maximum
        case .mean: return operation.mean
        case .std: return operation.std
        case .sum: return operation.sum
        case .zeros: return Double(operation.zeros)
        case .nan: return Double(operation.nans)
        case .inf: return Double(operation.infinities)
        case .n: return Double(operation.count)
        case .ns: return Double(operation.nanoseconds)
        case .flops: return Double(operation.flops)
        case .bytes: return Double(operation.bytesRead + operation.bytesWritten)
        case .layer: return operation.layer.map { Double($0) }
        case .seq: return Double(operation.seq)
        case .pass: return Double(operation.step)
        }
    }

    func largest(ofResidual: Bool) -> Double? {
        if ofResidual, !operation.isResidual { return nil }
        guard let low = operation.minimum, let high = operation.maximum else { return nil }
        return max(abs(low), abs(high))
    }

    func element(name wanted: String?, _ indices: [Int]) throws -> Double? {
        guard wanted.map({ $0 == operation.name || $0 == operation.stem }) ?? operation.isResidual else { return nil }
        guard let index = try elementIndex(indices, isResidual: wanted == nil) else { return nil }
        if let values = try? walk.values(of: operation) { return values[index].map { Double($0) } }
        guard wanted == nil, index.i1 == operation.shape.ne1 - 1 else { return nil }
        // Not captured: the model knows.
        return Double(try model.residual(of: operation)[index.i0])
    }

    /// - Returns: `nil` if this tensor has no such element, but one of another shape may.
    private func elementIndex(_ asked: [Int], isResidual: Bool) throws -> ElementIndex? {
        var indices = asked
        let shape = operation.shape
        if isResidual {
            // The last layer of a pass goes on with the last token alone.
            if indices.count == 2, shape.ne1 < operation.tokens {
                let token = indices[1] < 0 ? operation.tokens + indices[1] : indices[1]
                if token == operation.tokens - 1 { indices[1] = 0 } else { return nil }
            }
            if indices.count == 1 { indices.append(shape.ne1 - 1) }
        }
        if indices.count < shape.significant.count, indices.count == operation.tokenDimension { indices.append(-1) }
        guard indices.count >= shape.significant.count else { return nil }
        var element = [0, 0, 0, 0]
        for (dimension, index) in indices.enumerated() {
            let resolved = index < 0 ? shape[dimension] + index : index
            guard (0..<shape[dimension]).contains(resolved) else {
                if !isResidual { return nil }
                throw StepProblem.noElement(
                    "resid[\(asked.map(String.init).joined(separator: ","))]", dimension: dimension, shape: shape)
            }
            element[dimension] = resolved
        }
        return ElementIndex(element[0], element[1], element[2], element[3])
    }

    func topToken() throws -> String? { try topToken(of: operation) }

    func topTokenBefore() throws -> String? {
        try walk.operations(step: operation.step)[..<operation.seq].last(where: \.isResidual).flatMap(topToken(of:))
    }

    private func topToken(of operation: RecordedOperation) throws -> String? {
        guard operation.isResidual else { return nil }
        return try model.topToken(at: operation) {
            let last = operation.shape.ne1 - 1
            if let values = try? walk.values(of: operation) {
                let column = (0..<operation.shape.ne0).compactMap { values[ElementIndex($0, last)] }
                if column.count == operation.shape.ne0 { return column }
            }
            return try model.residual(of: operation)
        }
    }
}
