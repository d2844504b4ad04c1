import Measuring
import Quantizing
import Recording

extension TensorError {
    /// As table `quant_error` has it.
    public func record(reference: String) -> QuantErrorRecord {
        QuantErrorRecord(
            weight: name, type: type.name, reference: reference, count: statistics.count, mse: statistics.mse,
            maximum: Double(statistics.maximum), meanAbsolute: statistics.meanAbsolute, p95: statistics.p95,
            relativeRMSE: statistics.relativeRMSE, sqnr: statistics.sqnr, cosine: statistics.cosine,
            referenceMeanSquare: statistics.referenceMeanSquare)
    }
}

extension WeightBlock {
    /// The block as a trace file keeps it.
    ///
    /// - Parameter before: the same weights in a reference.
    public func record(before: [Float]?) -> QuantBlockRecord {
        let errors = before.map { zip($0, description.elements).map { Double($1.value) - Double($0) } }
        let (scales, hasSubBlocks) = (description.scales, description.subBlocks.count > 1)
        return QuantBlockRecord(
            weight: tensor.name, row: row, block: block, fileOffset: fileOffset, scale: scales.scale,
            minimum: scales.minimum, subScales: hasSubBlocks ? scales.subScales : [],
            subMinima: hasSubBlocks ? scales.subMinima : [], codes: description.elements.map(\.code),
            mse: errors.map { $0.reduce(0) { $0 + $1 * $1 } / Double($0.count) },
            maximum: errors.map { $0.reduce(0) { max($0, $1.magnitude) } },
            isZeroExact: !description.zeroExact.contains(false), saturated: description.saturated.count,
            codesUsed: description.codesUsed)
    }
}

extension ErrorPropagation.Runs {
    /// All errors as a trace has them.
    public var records: [OpErrorRecord] {
        operations.flatMap { operation in
            let modes = [("accumulated", operation.accumulated), ("local", operation.local ?? [:])]
            return modes.flatMap { mode, errors in
                ErrorCause.allCases.compactMap { cause in
                    errors[cause].map {
                        OpErrorRecord(
                            seq: operation.seq, mode: mode, cause: cause.rawValue, count: $0.count, mse: $0.mse,
                            maximum: Double($0.maximum), sqnr: $0.sqnr, cosine: $0.cosine)
                    }
                }
            }
        }
    }
}
