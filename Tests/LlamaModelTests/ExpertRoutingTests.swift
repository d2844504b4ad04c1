import ComputeGraph
import GGUF
import LlamaModel
import TestSupport
import Testing

/// Experts that tokens are made to go through, or kept from.
@Suite struct ExpertRoutingTests {
    /// The experts that each token of a pass goes through, by layer, and the weights they count with.
    private final class Watcher: ExecutionObserver {
        private(set) var order: [Int: [[Int]]] = [:]
        private(set) var weights: [Int: [Float]] = [:]

        func didEvaluate(_ evaluation: Evaluation) throws {
            guard let layer = evaluation.node.layer else { return }
            switch evaluation.node.role.result {
            case .routerChoice:
                let (shape, ids) = (evaluation.output.shape, evaluation.output.floats().map { Int($0) })
                order[layer] = (0..<shape.ne1).map { Array(ids[$0 * shape.ne0..<($0 + 1) * shape.ne0]) }
            case .expertWeights: weights[layer] = evaluation.output.floats()
            default: break
            }
        }
    }

    private static let fixtures = ["mixtral", "qwen2moe", "qwen3moe", "deepseek2", "deepseek2-old"]
    private static let prompt = [5, 80, 12, 33, 7, 101, 64]

    private func load(_ name: String) throws -> Llama {
        try Llama(file: GGUFFile(path: Places.fixture("tiny-\(name).gguf")))
    }

    private func watch(_ model: Llama) throws -> Watcher {
        let watcher = Watcher()
        var session = try Session(model, positions: 16, threads: 1)
        _ = try session.logits(after: Self.prompt, observers: [watcher])
        return watcher
    }

    @Test(arguments: fixtures)
    func forcedAndDroppedExperts(name: String) throws {
        let model = try load(name)
        let (count, used) = try #require(model.experts)
        let layers = model.layersWithExperts
        #expect(!layers.isEmpty && used < count)
        let own = try watch(model)
        for expert in [0, count - 1] {
            let sets = Dictionary(uniqueKeysWithValues: layers.map { ($0, Set([expert])) })
            let forced = try watch(model.choosing(experts: used, forced: sets, dropped: [:]))
            let dropped = try watch(model.choosing(experts: used, forced: [:], dropped: sets))
            for layer in layers {
                #expect(forced.order[layer]!.allSatisfy { $0[0] == expert }, "layer \(layer)")
                #expect(dropped.order[layer]!.allSatisfy { !$0.prefix(used).contains(expert) }, "layer \(layer)")
                #expect(forced.weights[layer]!.allSatisfy { $0.isFinite && $0 >= 0 })
            }
            // In the first layer that has experts, routers see what they saw: the others keep their order.
            let first = layers[0]
            for (token, order) in dropped.order[first]!.enumerated()
            where model.configuration.architecture != "deepseek2" {
                #expect(order.dropLast() == own.order[first]![token].filter { $0 != expert }[...])
            }
        }
    }

    @Test(arguments: fixtures)
    func fewerAndMoreExperts(name: String) throws {
        let model = try load(name)
        let (_, used) = try #require(model.experts)
        let own = try watch(model)
        let first = model.layersWithExperts[0]
        for top in [1, used] where top >= 1 {
            let changed = try watch(model.choosing(experts: top, forced: [:], dropped: [:]))
            #expect(changed.order[first] == own.order[first])
            #expect(changed.weights[first]!.count == own.weights[first]!.count / used * top)
            if top == used { #expect(changed.weights[first] == own.weights[first]) }
        }
        #expect(try TinyModel.gqa.load().experts == nil)
    }
}
