import ComputeGraph
import LlamaModel
import Measuring
import Operations
import Quantizing
import Tensors

/// The result of `propagate`: where error enters, how it grows through depth, what it does to the prediction.
public struct PropagateReport: Report {
    struct Error: Encodable {
        let mse: Double
        let rmse: Double
        /// Of the reference's rms.
        let relRmse: Double
        let maxAbs: Double
        /// `inf` without error.
        let sqnrDb: Double
        let cosine: Double

        init(_ statistics: ErrorStatistics) {
            mse = statistics.mse
            rmse = statistics.rmse
            relRmse = statistics.relativeRMSE
            maxAbs = Double(statistics.maximum)
            sqnrDb = statistics.sqnr
            cosine = statistics.cosine
        }
    }

    /// By cause.
    struct Errors: Encodable {
        let weights: Error
        let activations: Error
        let both: Error

        init(_ errors: [ErrorCause: ErrorStatistics]) {
            weights = Error(errors[.weights]!)
            activations = Error(errors[.activations]!)
            both = Error(errors[.both]!)
        }
    }

    struct Operation: Encodable {
        let seq: Int
        let name: String
        let kind: String
        /// What its value is in the network.
        let role: String
        @OrNull var layer: Int?
        /// Of the weight it reads.
        @OrNull var weightType: String?
        /// null for operations that read no weight: they add no error of their own.
        @OrNull var local: Errors?
        let accumulated: Errors
        /// Relative rmse of the worst of its inputs in the real run.
        let worstInput: Double
        /// Relative rmse of the last position's values in the real run; null where they are no single column.
        @OrNull var lastPosition: Double?
        /// The part that it is the result of.
        let part: NodeRole.Part?

        private enum CodingKeys: CodingKey {
            case seq, name, kind, role, layer, weightType, local, accumulated, worstInput, lastPosition
        }

        init(_ operation: OperationError) {
            seq = operation.seq
            name = operation.name
            kind = operation.kind
            role = operation.role.rawValue
            part = operation.role.result
            accumulated = Errors(operation.accumulated)
            worstInput = operation.worstInput
            lastPosition = operation.lastPosition
            layer = operation.layer
            weightType = operation.weightType?.name
            local = operation.local.map(Errors.init)
        }

        var jump: Double { accumulated.both.relRmse - worstInput }
    }

    struct Cause: Encodable {
        /// Nats, of each position.
        let kld: [Double]
        let kldMean: Double
        let kldMax: Double
        let kldLast: Double
        /// Share of positions whose most probable token is the reference's.
        let sameTop: Double
        /// Of all logits.
        let logits: Error
    }

    struct Causes: Encodable {
        let weights: Cause
        let activations: Cause
        let both: Cause
    }

    struct Share: Encodable {
        /// `embedding`, `layer` or `output`.
        let part: String
        @OrNull var layer: Int?
        /// Mean, in nats, with nothing but this part quantised.
        let kld: Double
        /// Of the sum of all.
        let share: Double

        init(_ share: PartShare) {
            kld = share.kld
            self.share = share.share
            switch share.part {
            case .embedding: part = "embedding"
            case .output: part = "output"
            case .layer(let index):
                part = "layer"
                layer = index
            }
        }

        var label: String { layer.map(String.init) ?? part }
    }

    let model: String
    let reference: String
    /// What the model was quantised to for this; null if it was taken as it is.
    @OrNull var quantizedAs: String?
    let promptIds: [Int]
    let causes: Causes
    let ops: [Operation]
    /// null with --no-shares.
    @OrNull var shares: [Share]?

    let limit: Int
    let pieces: [String]
    private let formats: String

    private enum CodingKeys: CodingKey { case model, reference, quantizedAs, promptIds, causes, ops, shares }

    /// - Parameters:
    ///   - reference: the path of the file of higher precision; `nil`: the model's own weights.
    ///   - type: what the model was quantised to.
    ///   - limit: operations to list on the page; the document has all.
    public init(
        _ found: ErrorPropagation.Runs, of tokens: [Int], model: Llama, reference: String?, type: String?,
        shares: [PartShare]?, limit: Int
    ) {
        let logits = found.operations.last { $0.role.result == .logits }!.accumulated
        func cause(_ cause: ErrorCause) -> Cause {
            let divergence = found.divergence[cause]!
            return Cause(
                kld: divergence.kld, kldMean: divergence.mean, kldMax: divergence.maximum, kldLast: divergence.last,
                sameTop: divergence.sameTopShare, logits: Error(logits[cause]!))
        }
        self.model = model.file.path
        self.reference = reference ?? "self"
        self.limit = limit
        promptIds = tokens
        pieces = tokens.map(model.vocabulary.displayPiece)
        causes = Causes(weights: cause(.weights), activations: cause(.activations), both: cause(.both))
        ops = found.operations.map(Operation.init)
        let types = Set(
            found.operations.compactMap { [MatMul.kind, MatMulID.kind].contains($0.kind) ? $0.weightType : nil })
        formats = types.sorted { $0.rawValue < $1.rawValue }.map(\.name).joined(separator: ", ")
        quantizedAs = type
        self.shares = shares?.map(Share.init)
    }

    public func page(_ style: Style) -> String { PropagatePage(report: self, formats: formats, style: style).text }
}
