import Recording
import Stepping

/// A stage of the network as the little picture shows it.
enum NetworkStage: Hashable, CaseIterable {
    case embedding, finalNorm, logits
    case attentionNorm, query, key, value, queryRotation, keyRotation, keyCache, valueCache
    case scores, softmax, mix, attentionOutput, attentionSum
    case feedForwardNorm, gate, up, activation, down, feedForwardSum

    /// - Parameter occurrence: which of the operations of this name in the pass.
    init(_ operation: RecordedOperation, occurrence: Int) {
        guard operation.layer != nil else {
            self = operation.stem == "embd" ? .embedding : operation.stem == "result_output" ? .logits : .finalNorm
            return
        }
        let words = operation.stem.split(separator: " ")
        let (stem, isView) = (String(words.first ?? ""), words.count > 1)
        self =
            switch stem {
            case "norm": occurrence == 0 ? .attentionNorm : .feedForwardNorm
            case "attn_norm": .attentionNorm
            case "Qcur", "wqkv", "wqkv_b": operation.kind == "ROPE" || isView ? .queryRotation : .query
            case "Kcur": operation.kind == "ROPE" ? .keyRotation : isView ? .keyCache : .key
            case "Vcur": isView ? .valueCache : .value
            case _ where stem.hasPrefix("cache_k"): .keyCache
            case _ where stem.hasPrefix("cache_v"): .valueCache
            case "kq": .scores
            case "kq_soft_max": .softmax
            case "kqv", "kqv_out": .mix
            case "attn_out": .attentionOutput
            case _ where stem.hasPrefix("node_"): operation.kind == "MUL_MAT" ? .attentionOutput : .attentionSum
            case "ffn_inp": .attentionSum
            case "ffn_norm": .feedForwardNorm
            case "ffn_gate", "ffn_gate_b": .gate
            case "ffn_up", "ffn_up_b": .up
            case "ffn_swiglu": .activation
            case "ffn_out", "ffn_down": .down
            default: .feedForwardSum
            }
    }
}

/// The part of the network around an operation, drawn in up to four lines.
struct LayerDiagram {
    private enum Piece {
        case wire(String)
        case stage(NetworkStage, String)
    }

    private let rows: [[Piece]]
    private let here: NetworkStage

    /// The widest drawing, in columns.
    static let width = 79

    init(_ view: StepperView) {
        here = NetworkStage(view.operation, occurrence: view.occurrence.place)
        let layer = view.operation.layer
        switch here {
        case .embedding, .finalNorm, .logits: rows = Self.ends(layers: view.layers)
        case .feedForwardNorm, .gate, .up, .activation, .down, .feedForwardSum:
            rows = Self.feedForward(next: layer == view.layers - 1 ? "norm, logits" : "layer \(layer! + 1)")
        default: rows = Self.attention
        }
    }

    /// Where it is stands in brackets.
    func lines(_ style: Style) -> [String] {
        rows.map { row in
            row.map { piece in
                switch piece {
                case .wire(let text): style.dim(text)
                case .stage(here, let name): style.bold(style.accent("[\(name)]"))
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

    private static let attention: [[Piece]] = [
        [
            .wire("in ┬"), .stage(.attentionNorm, "norm"), .wire("┬"), .stage(.query, "Q"), .wire("─"),
            .stage(.queryRotation, "rope"), .wire("─────────┬"), .stage(.scores, "scores"), .wire("─"),
            .stage(.softmax, "softmax"), .wire("┬"), .stage(.mix, "mix"), .wire("─"), .stage(.attentionOutput, "out"),
            .wire("┬"), .stage(.attentionSum, "+"), .wire("▸ feed-forward"),
        ],
        [
            .wire("   │      ├"), .stage(.key, "K"), .wire("─"), .stage(.keyRotation, "rope"), .wire("─"),
            .stage(.keyCache, "cache"), .wire("─┘                  │           │"),
        ],
        [
            .wire("   │      └"), .stage(.value, "V"), .wire("────────"), .stage(.valueCache, "cache"),
            .wire("────────────────────┘           │"),
        ],
        [.wire("   └─────────────────────────────────────────────────────────┘")],
    ]

    private static func feedForward(next: String) -> [[Piece]] {
        [
            [
                .wire(" attention ▸ in ┬"), .stage(.feedForwardNorm, "norm"), .wire("┬"), .stage(.gate, "gate"),
                .wire("┬"), .stage(.activation, "swiglu"), .wire("─"), .stage(.down, "down"), .wire("┬"),
                .stage(.feedForwardSum, "+"), .wire("▸ \(next)"),
            ],
            [.wire("                │      └"), .stage(.up, "up"), .wire("──┘               │")],
            [.wire("                └─────────────────────────────┘")],
        ]
    }
}
