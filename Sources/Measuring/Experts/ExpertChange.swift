import LlamaModel
import Quantization
import Tensors

/// A change to which experts the tokens go through.
public enum ExpertChange: Sendable, Equatable {
    /// So many experts a token, in place of as many as the model has.
    case top(Int)
    /// Every token goes through these, whatever the router says; their weights are the router's.
    case force([Target])
    /// No token goes through these; the next best take their place.
    case drop([Target])

    /// An expert of a layer, or of all.
    public struct Target: Sendable, Equatable {
        /// `nil`: every layer that has experts.
        public let layer: Int?
        public let expert: Int

        public init(layer: Int?, expert: Int) { (self.layer, self.expert) = (layer, expert) }
    }
}

extension ExpertChange: CustomStringConvertible {
    public var description: String {
        func list(_ targets: [Target]) -> String {
            targets.map { "expert \($0.expert) of \($0.layer.map { "layer \($0)" } ?? "every layer")" }
                .joined(separator: ", ")
        }
        return switch self {
        case .top(let count): "top-\(count)"
        case .force(let targets): "force " + list(targets)
        case .drop(let targets): "drop " + list(targets)
        }
    }
}

/// What a change of experts does to a model's predictions, and to what a token reads.
public struct ExpertEffect: Sendable {
    public let change: ExpertChange
    /// X, and U before and after.
    public let experts: Int
    public let usedBefore: Int
    public let usedAfter: Int
    /// Bytes of experts' matrices that a token reads when it comes alone, in all layers; and all there are.
    public let bytesBefore: Int
    public let bytesAfter: Int
    public let bytesAll: Int
    /// Of the changed model from the file's.
    public let divergence: Divergence

    /// - Parameter progress: called often with the tokens evaluated, also in part, and those to evaluate; what it throws
    ///   ends the work.
    /// - Throws: `ExpertChangeProblem` if the model cannot be changed so, `ScoringProblem` if a model gives anything but
    ///   numbers.
    public init(
        _ change: ExpertChange, of model: Llama, on text: ScoredText, threads: Int,
        instructions: InstructionSet = .best,
        progress: @escaping (_ done: Double, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        let changed = try change.applied(to: model)
        func logits(_ model: Llama) throws(ScoringProblem) -> ChunkLogits {
            try ChunkLogits(model, on: text, threads: threads, instructions: instructions)
        }
        self.change = change
        (experts, usedBefore) = model.experts!
        usedAfter = changed.experts!.used
        bytesAll = model.layersWithExperts.reduce(0) { $0 + model.expertBytes(ofLayer: $1) }
        bytesBefore = bytesAll / experts * usedBefore
        bytesAfter = bytesAll / experts * usedAfter
        divergence = try Divergence(of: try logits(changed), from: try logits(model), progress: progress)
    }
}

extension Llama {
    /// Bytes that the matrices of all experts of a layer take.
    fileprivate func expertBytes(ofLayer layer: Int) -> Int {
        ["gate", "up", "down"].reduce(0) { $0 + (weights["blk.\(layer).ffn_\($1)_exps.weight"]?.info.byteCount ?? 0) }
    }
}

extension ExpertChange {
    fileprivate func applied(to model: Llama) throws(ExpertChangeProblem) -> Llama {
        let file = model.file.path
        guard let (count, used) = model.experts else { throw .noExperts(file: file) }
        let layers = model.layersWithExperts
        func sets(_ targets: [Target]) throws(ExpertChangeProblem) -> [Int: Set<Int>] {
            var sets: [Int: Set<Int>] = [:]
            for target in targets {
                guard (0..<count).contains(target.expert) else {
                    throw .noExpert(file: file, found: target.expert, count: count)
                }
                if let layer = target.layer, !layers.contains(layer) {
                    throw .noLayer(file: file, found: layer, layers: layers)
                }
                for layer in target.layer.map({ [$0] }) ?? layers { sets[layer, default: []].insert(target.expert) }
            }
            return sets
        }
        switch self {
        case .top(let top):
            guard (1...count).contains(top) else { throw .top(file: file, found: top, count: count) }
            return model.choosing(experts: top, forced: [:], dropped: [:])
        case .force(let targets):
            let forced = try sets(targets)
            guard forced.values.allSatisfy({ $0.count <= used }) else { throw .tooMany(file: file, used: used) }
            return model.choosing(experts: used, forced: forced, dropped: [:])
        case .drop(let targets):
            let dropped = try sets(targets)
            guard dropped.values.allSatisfy({ $0.count <= count - used }) else {
                throw .tooFew(file: file, count: count, used: used)
            }
            return model.choosing(experts: used, forced: [:], dropped: dropped)
        }
    }
}

/// A change of experts that a model cannot have.
public enum ExpertChangeProblem: InputProblem, Sendable, Equatable {
    case noExperts(file: String)
    case noExpert(file: String, found: Int, count: Int)
    case noLayer(file: String, found: Int, layers: [Int])
    case top(file: String, found: Int, count: Int)
    case tooMany(file: String, used: Int)
    case tooFew(file: String, count: Int, used: Int)
}

extension ExpertChangeProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noExperts(let file):
            "\(file): the model has no experts to choose among."
        case .noExpert(let file, let found, let count):
            "\(file): there is no expert \(found); each layer has experts 0 to \(count - 1)."
        case .noLayer(let file, let found, let layers):
            "\(file): layer \(found) has no experts; these have: \(layers.map(\.description).joined(separator: ", "))."
        case .top(let file, let found, let count):
            "\(file): a token cannot go through \(found) experts; there are \(count), so --top takes 1 to \(count)."
        case .tooMany(let file, let used):
            "\(file): a token goes through \(used) experts of a layer; no more can be forced."
        case .tooFew(let file, let count, let used):
            "\(file): a token goes through \(used) of \(count) experts; no more than \(count - used) can be dropped."
        }
    }
}
