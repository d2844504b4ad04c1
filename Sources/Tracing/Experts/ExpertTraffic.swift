import GGUF
import LlamaModel
import Recording
import RealModule
import Tensors

/// Which experts the tokens of a run went through, and what reading them cost.
public struct ExpertTraffic: Sendable {
    /// A layer with experts, over the run or over some passes of it.
    public struct Layer: Sendable {
        public let layer: Int
        public let experts: Int
        /// Experts that a token goes through.
        public let used: Int
        /// Tokens whose way through the layer is known. In the last layer these are the last tokens of the passes.
        public let tokens: Int
        /// Tokens that went through each expert.
        public let load: [Int]
        /// Mean entropy of the router's probabilities, in bits.
        public let entropyBits: Double?
        /// Mean share of a token's experts that the next token went through too; `nil` where no tokens are side by side.
        public let alike: Double?

        /// Experts that some token went through.
        public var distinct: Int { load.count { $0 > 0 } }
        /// The same share if all pairs of choices were independent and even.
        public var alikeIfEven: Double { Double(used) / Double(experts) }
        /// Entropy of the load in bits: log2 of the number of experts if it is even.
        public var loadEntropyBits: Double {
            let total = Double(load.reduce(0, +))
            return load.reduce(0.0) { sum, tokens in
                tokens == 0 ? sum : sum - Double(tokens) / total * Double.log2(Double(tokens) / total)
            }
        }
    }

    /// What a pass read of the experts' matrices.
    public struct Pass: Sendable {
        public let step: Int
        public let tokens: Int
        /// Experts that its tokens went through, added up over the layers, and all there are.
        public let distinct: Int
        public let experts: Int
        /// Bytes of these experts' matrices, each once, and of all.
        public let bytesRead: Int
        public let bytesAll: Int
        /// The share that would be read if each token chose evenly and by itself: of T tokens, `1 - (1 - k/n)^T`.
        public let shareIfEven: Double

        public var share: Double { bytesAll == 0 ? 0 : Double(bytesRead) / Double(bytesAll) }
    }

    public let layers: [Layer]
    public let passes: [Pass]
    public let choices: [ExpertChoice]

    /// - Parameters:
    ///   - step: the pass to look at; `nil`: all.
    ///   - layer: the layer to look at; `nil`: all that have experts.
    /// - Throws: `ExpertProblem` if the run has no experts, or none there.
    public init(_ run: RecordedRun, in store: TraceStore, step: Int? = nil, layer: Int? = nil) throws {
        let all = try store.routerDecisions(of: run)
        guard !all.isEmpty else {
            throw ExpertProblem.none(trace: store.path, capture: run.capture)
        }
        if let step, !(0..<run.steps).contains(step) {
            throw TraceError.noPass(path: store.path, step: step, steps: run.steps)
        }
        let withExperts = Set(all.map(\.layer)).sorted()
        if let layer, !withExperts.contains(layer) {
            throw ExpertProblem.noLayer(trace: store.path, layer: layer, layers: withExperts)
        }
        func isMeant(_ at: (step: Int, layer: Int)) -> Bool {
            step.map { $0 == at.step } ?? true && layer.map { $0 == at.layer } ?? true
        }
        let decisions = all.filter { isMeant(($0.step, $0.layer)) }
        choices = try store.expertChoices(of: run).filter { isMeant(($0.step, $0.layer)) }
        let byLayer = Dictionary(grouping: choices, by: \.layer)
        layers = Dictionary(grouping: decisions, by: \.layer).sorted { $0.key < $1.key }.map { layer, decisions in
            Layer(layer, decisions, byLayer[layer] ?? [])
        }
        let bytes = try store.expertBytes(of: run)
        let byStep = Dictionary(grouping: choices, by: \.step)
        passes = Dictionary(grouping: decisions, by: \.step).sorted { $0.key < $1.key }.map { step, decisions in
            Pass(step, decisions, byStep[step] ?? [], bytes)
        }
    }
}

extension ExpertTraffic.Layer {
    fileprivate init(_ layer: Int, _ decisions: [RouterDecision], _ choices: [ExpertChoice]) {
        self.layer = layer
        (experts, used) = (decisions[0].experts, decisions[0].used)
        tokens = decisions.count
        var load = [Int](repeating: 0, count: experts)
        for choice in choices where load.indices.contains(choice.expert) { load[choice.expert] += 1 }
        self.load = load
        let entropies = decisions.compactMap(\.entropyBits)
        entropyBits = entropies.isEmpty ? nil : entropies.reduce(0, +) / Double(entropies.count)
        let byPosition = Dictionary(grouping: choices, by: \.position).mapValues { Set($0.map(\.expert)) }
        let shares = byPosition.compactMap { position, experts in
            byPosition[position + 1].map { Double(experts.intersection($0).count) / Double(experts.count) }
        }
        alike = shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
    }
}

extension ExpertTraffic.Pass {
    fileprivate init(
        _ step: Int, _ decisions: [RouterDecision], _ choices: [ExpertChoice], _ bytes: [Int: Int]
    ) {
        self.step = step
        let byLayer = Dictionary(grouping: choices, by: \.layer).mapValues { Set($0.map(\.expert)).count }
        let layers = Dictionary(grouping: decisions, by: \.layer)
        tokens = layers.values.map(\.count).max() ?? 0
        distinct = byLayer.values.reduce(0, +)
        experts = layers.values.reduce(0) { $0 + $1[0].experts }
        bytesAll = layers.keys.reduce(0) { $0 + (bytes[$1] ?? 0) }
        bytesRead = layers.reduce(0) { sum, layer in
            sum + (bytes[layer.key] ?? 0) / layer.value[0].experts * (byLayer[layer.key] ?? 0)
        }
        // Layer by layer: the last one has fewer tokens.
        let even = layers.reduce(0.0) { sum, layer in
            let unread = 1 - Double(layer.value[0].used) / Double(layer.value[0].experts)
            return sum + (1 - Double.pow(unread, layer.value.count)) * Double(bytes[layer.key] ?? 0)
        }
        shareIfEven = bytesAll == 0 ? 0 : even / Double(bytesAll)
    }
}

/// Experts that are not there.
public enum ExpertProblem: InputProblem, Sendable, Equatable {
    case none(trace: String, capture: String)
    case noLayer(trace: String, layer: Int, layers: [Int])
    case noPosition(trace: String, position: Int, count: Int)
}

extension ExpertProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .none(let trace, "none"):
            "\(trace): the run was recorded with --capture none, which leaves out what routers chose; trace again with "
                + "--capture stats."
        case .none(let trace, _):
            "\(trace): the run's model has no experts: every token goes through all of it. "
                + "`quipu inspect` says of a model whether it has some."
        case .noLayer(let trace, let layer, let layers):
            "\(trace): layer \(layer) has no experts; these have: \(layers.map(\.description).joined(separator: ", "))."
        case .noPosition(let trace, let position, let count):
            "\(trace): there is no token \(position); the run has tokens 0 to \(count - 1)."
        }
    }
}
