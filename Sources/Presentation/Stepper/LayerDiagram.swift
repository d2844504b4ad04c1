import ComputeGraph
import Operations
import Recording
import Stepping

/// A stage of the network as the little picture shows it.
enum NetworkStage: Hashable {
    case embedding, finalNorm, logits
    case attentionNorm, query, key, value, queryNorm, keyNorm, queryRotation, keyRotation, keyCache, valueCache
    case latent, scores, softmax, mix, attentionOutput, attentionPostNorm, attentionScale, attentionSum, queryScale
    case feedForwardNorm, gate, up, activation, down, feedForwardPostNorm, feedForwardScale, feedForwardSum
    case router, probabilities, choice, weights, weighted, expertSum, shared

    /// `nil` for an operation of which it is not known what it is for: it has no place in the picture.
    ///
    /// - Parameter layer: the operations of its layer.
    init?(_ operation: RecordedOperation, in layer: [RecordedOperation]) {
        guard let role = operation.role else { return nil }
        let hasExperts = layer.contains { $0.isResult(of: .expertOutput) }
        switch role.part {
        // Beside experts, the feed-forward network is the one that all tokens go through.
        case .gate where hasExperts, .up where hasExperts, .activation where hasExperts, .sharedGate, .sharedOutput:
            self = .shared
        case .routerScores: self = .router
        case .routerProbabilities: self = .probabilities
        case .routerChoice: self = .choice
        case .expertWeights: self = .weights
        case .expertGate: self = .gate
        case .expertUp: self = .up
        case .expertActivation: self = .activation
        case .expertOutput: self = role.step == .product ? .down : .weighted
        case .expertSum: self = .expertSum
        case .feedForwardWrite where hasExperts: self = .expertSum
        case .embedding: self = .embedding
        case .attentionNorm: self = .attentionNorm
        case .queryKeyValue: self = .query
        case .latent: self = .latent
        case .keyValue: self = .key
        case .query:
            // Views show what was done last.
            let last = layer.last { $0.isResult(of: .query) } ?? operation
            let shown = role.step == .view ? last : operation
            self =
                shown.kind == Scale.kind
                ? .queryScale : shown.turn(rotation: .queryRotation, norm: .queryNorm, otherwise: .query)
        case .key:
            self =
                role.step == .view ? .keyCache : operation.turn(rotation: .keyRotation, norm: .keyNorm, otherwise: .key)
        case .value: self = role.step == .view ? .valueCache : .value
        case .keyCache: self = .keyCache
        case .valueCache: self = .valueCache
        case .scores: self = .scores
        case .pattern: self = .softmax
        case .mix: self = .mix
        case .attentionWrite:
            self = operation.write(
                norm: .attentionPostNorm, scale: .attentionScale, rows: .attentionSum, otherwise: .attentionOutput)
        case .attentionResidual: self = .attentionSum
        case .feedForwardNorm: self = .feedForwardNorm
        case .gate: self = .gate
        case .up: self = .up
        case .activation: self = .activation
        case .feedForwardWrite:
            self = operation.write(
                norm: .feedForwardPostNorm, scale: .feedForwardScale, rows: .feedForwardSum, otherwise: .down)
        case .layerOutput: self = .feedForwardSum
        case .finalNorm: self = .finalNorm
        case .logits: self = .logits
        }
    }
}

extension RecordedOperation {
    fileprivate var isOfNorm: Bool {
        role?.step == .unweighted || role?.step == .normed || kind == Mul.kind && role?.step == nil
    }

    fileprivate func turn(
        rotation: NetworkStage, norm: NetworkStage, otherwise: NetworkStage
    ) -> NetworkStage {
        kind == RoPE.kind ? rotation : isOfNorm ? norm : otherwise
    }

    fileprivate func write(
        norm: NetworkStage, scale: NetworkStage, rows: NetworkStage, otherwise: NetworkStage
    ) -> NetworkStage {
        role?.step == .rows ? rows : isOfNorm ? norm : kind == Scale.kind ? scale : otherwise
    }
}

/// The part of the network around an operation, drawn in up to five lines: the stages that its layer has.
struct LayerDiagram {
    fileprivate enum Piece {
        case wire(String)
        case stage(NetworkStage, String)

        var width: Int {
            switch self {
            case .wire(let text): text.count
            case .stage(_, let name): name.count + 2
            }
        }
    }

    private let rows: [[Piece]]
    private let here: NetworkStage?

    /// Columns of the widest line.
    var width: Int { rows.map(\.width).max() ?? 0 }

    init(_ view: StepperView) {
        here = NetworkStage(view.operation, in: view.layer)
        let stages = Set(view.layer.compactMap { NetworkStage($0, in: view.layer) })
        switch here {
        case nil:
            let heading = view.operation.layer.map { "layer \($0)" } ?? "outside the layers"
            rows = [[.wire(" \(heading) ▸ an operation that this picture does not know")]]
        case .embedding, .finalNorm, .logits: rows = Self.ends(layers: view.layers)
        case .feedForwardNorm, .gate, .up, .activation, .down, .feedForwardPostNorm, .feedForwardScale, .feedForwardSum,
            .router, .probabilities, .choice, .weights, .weighted, .expertSum, .shared:
            let isLast = view.operation.layer == view.layers - 1
            let next = isLast ? "norm, logits" : "layer \(view.operation.layer! + 1)"
            rows = stages.contains(.router) ? Self.experts(stages, next: next) : Self.feedForward(stages, next: next)
        default: rows = Self.attention(stages)
        }
    }

    /// Where it is stands in brackets.
    func lines(_ style: Style) -> [String] {
        rows.map { row in
            row.map { piece in
                switch piece {
                case .wire(let text): style.dim(text)
                case .stage(let stage, let name) where stage == here: style.bold(style.accent("[\(name)]"))
                case .stage(_, let name): " \(name) "
                }
            }.joined()
        }
    }

    private static func ends(layers: Int) -> [[Piece]] {
        [
            [
                .wire(" tokens ─"), .stage(.embedding, "embedding"), .wire("▸ layers 0 to \(layers - 1) ▸"),
                .stage(.finalNorm, "norm"), .wire("─"), .stage(.logits, "logits"), .wire("▸ next token"),
            ]
        ]
    }

    private static func attention(_ stages: Set<NetworkStage>) -> [[Piece]] {
        func those(_ all: [(NetworkStage, String)]) -> [Piece] {
            all.filter { stages.contains($0.0) }.map { Piece.stage($0.0, $0.1) }.joined(by: .wire("─"))
        }
        let hasNorm = stages.contains(.attentionNorm)
        let start: [Piece] = [.wire("in ┬")] + (hasNorm ? [.stage(.attentionNorm, "norm"), .wire("┬")] : [])
        let fork = start.width - 1
        let margin = (hasNorm ? "   │" : "").padded(to: fork)
        var keys: [Piece] = [.wire(margin + "├")]
        keys += those([
            (.latent, "latent"), (.key, "K"), (.keyNorm, "norm"), (.keyRotation, "rope"), (.keyCache, "cache"),
        ])
        var queries =
            start + those([(.query, "Q"), (.queryNorm, "norm"), (.queryRotation, "rope"), (.queryScale, "×s")])
        // Keys meet queries at the scores, values meet the pattern at the mix.
        let scores = max(keys.width + 1, queries.width + 1)
        queries += [.wire(String(repeating: "─", count: scores - queries.width) + "┬")]
        keys += [.wire(String(repeating: "─", count: scores - keys.width) + "┘")]
        queries += [.stage(.scores, "scores"), .wire("─"), .stage(.softmax, "softmax")]
        let mix = queries.width
        queries += [.wire("┬"), .stage(.mix, "mix"), .wire("─")]
        queries += those([
            (.attentionOutput, "out"), (.attentionPostNorm, "norm"), (.attentionScale, "×s"),
        ])
        let sum = queries.width
        queries += [.wire("┬"), .stage(.attentionSum, "+")]
        queries += [.wire(queries.width <= 65 ? "▸ feed-forward" : "▸")]
        func wire(from column: Int, to next: Int) -> Piece { .wire(String(repeating: " ", count: next - column)) }
        keys += [wire(from: keys.width, to: mix), .wire("│"), wire(from: mix + 1, to: sum), .wire("│")]
        // Without values of their own, it is the latent vectors of the cache that are mixed.
        var values: [Piece] = [.wire(margin + (stages.contains(.value) ? hasNorm ? "└" : "├" : ""))]
        if stages.contains(.value) {
            let cache = Piece.stage(.valueCache, "cache")
            values.append(.stage(.value, "V"))
            let before = stages.contains(.keyCache) ? scores - 1 - cache.width - values.width : 1
            values += [.wire(String(repeating: "─", count: max(1, before))), cache]
        } else {
            values += [wire(from: values.width, to: scores - 8), .wire("latent ")]
        }
        values += [
            .wire(String(repeating: "─", count: mix - values.width) + "┘"), wire(from: mix + 1, to: sum), .wire("│"),
        ]
        return [queries, keys, values, [.wire("   └" + String(repeating: "─", count: sum - 4) + "┘")]]
    }

    private static func feedForward(_ stages: Set<NetworkStage>, next: String) -> [[Piece]] {
        var row: [Piece] = [.wire(" attention ▸ in ┬")]
        let start = row.width - 1
        if stages.contains(.feedForwardNorm) { row += [.stage(.feedForwardNorm, "norm"), .wire("┬")] }
        let fork = row.width - 1
        row += [.stage(.gate, "gate")]
        let meet = row.width
        row += [.wire("┬"), .stage(.activation, "swiglu"), .wire("─"), .stage(.down, "down")]
        if stages.contains(.feedForwardPostNorm) { row += [.wire("─"), .stage(.feedForwardPostNorm, "norm")] }
        if stages.contains(.feedForwardScale) { row += [.wire("─"), .stage(.feedForwardScale, "×s")] }
        let sum = row.width
        row += [.wire("┬"), .stage(.feedForwardSum, "+"), .wire("▸ \(next)")]
        let indent = String(repeating: " ", count: start)
        var up: [Piece] = [
            .wire(fork > start ? (indent + "│").padded(to: fork) + "└" : indent + "├"), .stage(.up, "up"),
        ]
        up += [.wire(String(repeating: "─", count: meet - up.width) + "┘")]
        up += [.wire(String(repeating: " ", count: sum - up.width) + "│")]
        return [row, up, [.wire(indent + "└" + String(repeating: "─", count: sum - start - 1) + "┘")]]
    }

    /// The router above, the chosen experts below it, and the one that all tokens go through, if there is one.
    private static func experts(_ stages: Set<NetworkStage>, next: String) -> [[Piece]] {
        func line(_ count: Int) -> String { String(repeating: "─", count: max(0, count)) }
        var router: [Piece] = [.wire(" attention ▸ in ┬")]
        let start = router.width - 1
        router += [.stage(.feedForwardNorm, "norm"), .wire("┬")]
        let fork = router.width - 1
        router += [.stage(.router, "router"), .wire("─"), .stage(.probabilities, "probs"), .wire("─")]
        router += [.stage(.choice, "choice"), .wire("─"), .stage(.weights, "weights")]
        let margin = (String(repeating: " ", count: start) + "│").padded(to: fork)
        var experts: [Piece] = [.wire(margin + "├"), .stage(.gate, "gate")]
        let meet = experts.width
        experts += [.wire("┬"), .stage(.activation, "swiglu"), .wire("─"), .stage(.down, "down")]
        let product = max(experts.width, router.width)
        router += [.wire(line(product - router.width) + "┐")]
        experts += [.wire(line(product - experts.width)), .stage(.weighted, "×w"), .wire("─"), .stage(.expertSum, "Σ")]
        let sum = experts.width
        experts += [.wire("┬"), .stage(.feedForwardSum, "+"), .wire("▸ \(next)")]
        let hasShared = stages.contains(.shared)
        var up: [Piece] = [.wire(margin + (hasShared ? "├" : "└")), .stage(.up, "up")]
        up += [.wire(line(meet - up.width) + "┘")]
        up += [.wire(String(repeating: " ", count: sum - up.width) + "│")]
        var shared: [Piece] = [.wire(margin + "└"), .stage(.shared, "shared")]
        shared += [.wire(line(sum - shared.width) + "┤")]
        let stream: [Piece] = [
            .wire(String(repeating: " ", count: start) + "└" + line(sum - start - 1) + "┘")
        ]
        return [router, experts, up] + (hasShared ? [shared] : []) + [stream]
    }
}

extension [LayerDiagram.Piece] {
    fileprivate var width: Int { reduce(0) { $0 + $1.width } }

    fileprivate func joined(by wire: LayerDiagram.Piece) -> [LayerDiagram.Piece] {
        Array(map { [$0] }.joined(separator: [wire]))
    }
}
