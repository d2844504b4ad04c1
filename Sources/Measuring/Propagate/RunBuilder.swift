import ComputeGraph
import LlamaModel
import Operations
import Quantization
import Tensors

/// A part of a model that is quantised, or not, as one.
public enum ModelPart: Hashable, Sendable {
    case embedding
    case layer(Int)
    /// The final norm and the output matrix.
    case output

    public static func all(layers: Int) -> [ModelPart] {
        [.embedding] + (0..<layers).map(ModelPart.layer) + [.output]
    }

    /// `layer 3`, or the part's word.
    public var name: String {
        switch self {
        case .embedding: "embedding"
        case .layer(let index): "layer \(index)"
        case .output: "output"
        }
    }
}

/// What in a run is quantised: nothing in the reference, everything in the real run.
struct Recipe {
    /// Parts whose weights are the quantised ones.
    var weights: Set<ModelPart>
    /// Parts whose products round activations as those of the quantised model do.
    var activations: Set<ModelPart>

    static let reference = Recipe(weights: [], activations: [])
}

/// The graph of two models at once: for each operation, weights of the one or the other, and activations rounded or not.
///
/// What has neither is the same in all runs: norms, rotation, softmax, and the products with the KV cache, which is F16
/// as in every run.
struct RunBuilder {
    let tokens: [Int]
    let workers: Workers
    let partBytes: Int
    let parts: [ModelPart]
    /// The graph of either model, and the tensors of its leaves; inputs are shared by both, and caches are none: each run has
    /// its own.
    private let exact: (graph: Graph, leaves: [Tensor?])
    private let rounded: (graph: Graph, leaves: [Tensor?])

    /// - Throws: `PropagationProblem` if the models are not of one shape.
    init(reference: Llama, quantized: Llama, tokens: [Int], workers: Workers, partBytes: Int) throws {
        (self.tokens, self.workers, self.partBytes) = (tokens, workers, partBytes)
        parts = ModelPart.all(layers: quantized.configuration.layers)
        try Self.checkSizes(reference, quantized)
        // As in a run: rotation may depend on the room that the cache has.
        let cache = KVCache(quantized.configuration, capacity: max(tokens.count, Session.defaultContext))
        // Logits are wanted of every token.
        func graph(_ model: Llama) throws -> LlamaGraph {
            try LlamaGraph(model, tokens: tokens.map(Int32.init), cache: cache, outputs: tokens.indices)
        }
        let (one, other) = (try graph(reference), try graph(quantized))
        try Self.check(one.graph, other.graph, reference, quantized)
        let caches = one.graph.leaves.map { $0.role == .cache }
        exact = (one.graph, zip(caches, one.leaves).map { $0 ? nil : $1 })
        // Inputs of the second graph are read by no node: any of their layout will do.
        let inputs = Dictionary(
            zip(one.graph.leaves, one.leaves).map { ($0.layout, $1) }, uniquingKeysWith: { first, _ in first })
        rounded = (
            other.graph,
            zip(other.graph.leaves, other.leaves).map { leaf, tensor in
                switch leaf.role {
                case .weight: tensor
                case .input: inputs[leaf.layout] ?? tensor
                case .cache: nil
                }
            }
        )
    }

    func interpreter(_ recipe: Recipe) -> Interpreter {
        let shift = exact.graph.leaves.count
        let graph = exact.graph.rebuilt(leaves: exact.graph.leaves + rounded.graph.leaves) { node in
            let other = rounded.graph.nodes[node.index]
            let part = Self.part(of: node)
            let hasWeights = recipe.weights.contains(part)
            let inputs = zip(node.inputs, other.inputs).map { mine, theirs -> Source in
                guard hasWeights, case .leaf(let index) = theirs, rounded.graph.leaves[index].role == .weight else {
                    return mine
                }
                return .leaf(shift + index)
            }
            guard node.operation is MatMul || node.operation is MatMulID,
                case .leaf(let index) = other.inputs[0], rounded.graph.leaves[index].role == .weight
            else { return (node.operation, inputs) }
            let rounds = recipe.activations.contains(part)
            if hasWeights, rounds { return (node.operation, inputs) }
            let type = BlockFormats.format(for: rounded.graph.leaves[index].layout.type)!.activationType
            let rounding = rounds ? type : nil
            return node.operation is MatMulID
                ? (FloatProduct(MatMulID(), rounding: rounding), inputs)
                : (FloatProduct(MatMul(), rounding: rounding), inputs)
        }
        // Both graphs' caches are the run's one; nodes use the first graph's.
        var caches: [[String: Layout]: Tensor] = [:]
        let leaves = zip(graph.leaves, exact.leaves + rounded.leaves).map { leaf, tensor in
            if let tensor { return tensor }
            let cache = caches[[leaf.name: leaf.layout]] ?? .zeros(leaf.layout.type, leaf.layout.shape)
            caches[[leaf.name: leaf.layout]] = cache
            return cache
        }
        var interpreter = Interpreter(graph: graph, leaves: leaves, workers: workers)
        interpreter.partBytes = partBytes
        return interpreter
    }

    static func part(of node: Node) -> ModelPart {
        node.layer.map(ModelPart.layer) ?? (node.role.part == .embedding ? .embedding : .output)
    }

    /// Throws unless both are of the same sizes, so that a cache fits both.
    private static func checkSizes(_ reference: Llama, _ quantized: Llama) throws(PropagationProblem) {
        let (mine, theirs) = (reference.configuration, quantized.configuration)
        let sizes: [(String, KeyPath<LlamaConfiguration, Int>)] = [
            ("n_layer", \.layers), ("n_embd", \.embedding), ("n_head", \.heads), ("n_head_kv", \.kvHeads),
            ("head_dim", \.headSize), ("n_ff", \.feedForward), ("n_vocab", \.vocabulary),
        ]
        for (name, size) in sizes where mine[keyPath: size] != theirs[keyPath: size] {
            throw problem(reference, quantized, name, "\(theirs[keyPath: size])", "\(mine[keyPath: size])")
        }
    }

    /// One may have biases, or one matrix for queries, keys and values.
    private static func check(
        _ one: Graph, _ other: Graph, _ reference: Llama, _ quantized: Llama
    ) throws(PropagationProblem) {
        for (mine, theirs) in zip(one.nodes, other.nodes)
        where mine.name != theirs.name || mine.layout.shape != theirs.layout.shape {
            throw problem(
                reference, quantized, "operation \(mine.index)", "\(theirs.name) \(theirs.layout.shape)",
                "\(mine.name) \(mine.layout.shape)")
        }
        guard one.nodes.count == other.nodes.count else {
            throw problem(
                reference, quantized, "the number of operations", "\(other.nodes.count)", "\(one.nodes.count)")
        }
    }

    private static func problem(
        _ reference: Llama, _ quantized: Llama, _ what: String, _ found: String, _ expected: String
    ) -> PropagationProblem {
        .otherModel(
            reference: reference.file.path, quantized: quantized.file.path, what: what, found: found,
            expected: expected)
    }
}

/// Models that cannot be held against each other.
public enum PropagationProblem: InputProblem, Sendable, Equatable {
    case memory(tokens: Int, estimate: Int, limit: Int)
    case otherModel(reference: String, quantized: String, what: String, found: String, expected: String)
}

extension PropagationProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .memory(let tokens, let estimate, let limit):
            "four runs of \(tokens) tokens side by side would take about \(estimate >> 20) MiB of memory, more than "
                + "--max-memory, \(limit >> 20) MiB. Raise the limit, or give a shorter prompt."
        case .otherModel(let reference, let quantized, let what, let found, let expected):
            "\(quantized) and \(reference) are not the same model: \(what) is \(found) in the one, \(expected) in the "
                + "other. --base takes a file of the same model in higher precision."
        }
    }
}
