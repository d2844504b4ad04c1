import LlamaModel
import Tensors
import Tracing

/// The result of `explain logit`: a logit as the sum of what each part of the network wrote.
public struct LogitReport: Report {
    struct Part: Encodable {
        let name: String
        @OrNull var layer: Int?
        @OrNull var head: Int?
        @OrNull var kvHead: Int?
        @OrNull var expert: Int?
        let value: Double
    }

    struct Layer: Encodable {
        let layer: Int
        let attention: Double
        let attentionResidual: Double
        let feedForward: Double
    }

    /// A hidden unit: a column of a down projection.
    struct Neuron: Encodable {
        let layer: Int
        /// `null` in a network that all tokens go through.
        @OrNull var expert: Int?
        let isShared: Bool
        let neuron: Int
        let source: String
        let activation: Float
        let value: Double
    }

    /// What all neurons of a layer add together.
    struct NeuronLayer: Encodable {
        let layer: Int
        let n: Int
        let sum: Double
        let rounding: Double
        let rest: Double
    }

    /// The heads of a layer that share keys and values.
    struct Group: Encodable {
        let layer: Int
        let kvHead: Int
        let heads: [Int]
        let value: Double
    }

    struct Chain: Encodable {
        let part: String
        /// The head's value or the neuron that writes most; `null` for an embedding or bias.
        @OrNull var source: String?
        @OrNull var activation: Float?
        @OrNull var sourceValue: Double?
        /// The dimension of the residual stream by which it adds most, and what a unit there adds to the logit.
        let dimension: Int
        let written: String
        let direction: Double
        let weight: WeightLine
        let value: Double
    }

    let trace: String
    let step: Int
    let position: Int
    let tokenId: Int
    let piece: String
    @OrNull var againstId: Int?
    @OrNull var againstPiece: String?
    let logit: Float
    let rank: Int
    let probability: Double
    let sum: Double
    let residual: Double
    let scale: Double
    /// Disjoint: together they are `sum`.
    let parts: [Part]
    /// The parts of a layer together.
    let layers: [Layer]
    let kvGroups: [Group]
    /// Single neurons that add most, and what all of each layer add together.
    let neurons: [Neuron]
    let neuronLayers: [NeuronLayer]
    let chain: Chain

    private let before: String
    private let model: String?
    private let attribution: LogitAttribution

    private enum CodingKeys: CodingKey {
        case trace, step, position, tokenId, piece, againstId, againstPiece, logit, rank, probability, sum, residual
        case scale, parts, layers, kvGroups, neurons, neuronLayers, chain
    }

    /// - Parameters:
    ///   - trace: its path, as it is typed.
    ///   - model: its path, as it is typed; `nil` if it need not be.
    public init(_ attribution: LogitAttribution, in provenance: Provenance, trace: String, model: String?, step: Int) {
        let vocabulary = provenance.model.vocabulary
        (self.attribution, self.model) = (attribution, model)
        (self.trace, self.step) = (trace, step)
        position = provenance.firstPosition + provenance.tokens.count - 1
        before = vocabulary.decode(provenance.tokens)
        (tokenId, piece) = (attribution.token, vocabulary.displayPiece(attribution.token))
        (againstId, againstPiece) = (attribution.against, attribution.against.map(vocabulary.displayPiece))
        let prediction = Prediction(
            logits: provenance.logits)
        rank = prediction.rank(of: attribution.token)
        probability = prediction.probability(of: attribution.token)
        (logit, sum, residual) = (attribution.logit, attribution.sum, attribution.residual)
        scale = attribution.scale
        parts = attribution.parts.map {
            Part(
                name: $0.name, layer: $0.layer, head: $0.head, kvHead: $0.kvHead, expert: $0.expert, value: $0.value)
        }
        layers = attribution.layers.map {
            Layer(
                layer: $0.layer, attention: $0.attention, attentionResidual: $0.attentionResidual,
                feedForward: $0.feedForward)
        }
        kvGroups = attribution.groups.map {
            Group(layer: $0.layer, kvHead: $0.kvHead, heads: $0.heads, value: $0.value)
        }
        neurons = attribution.neurons.map {
            Neuron(
                layer: $0.layer, expert: $0.expert, isShared: $0.isShared, neuron: $0.index, source: $0.address,
                activation: $0.activation, value: $0.value)
        }
        neuronLayers = attribution.neuronLayers.map {
            NeuronLayer(layer: $0.layer, n: $0.count, sum: $0.sum, rounding: $0.rounding, rest: $0.rest)
        }
        let found = attribution.chain
        chain = Chain(
            part: found.part.name, source: found.channel?.address, activation: found.channel?.activation,
            sourceValue: found.channel?.value, dimension: found.dimension, written: found.written,
            direction: found.direction, weight: WeightLine(found.weight), value: found.value)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let lines =
            headLines(style) + [""] + layerLines(style) + [""] + headTable(style) + groupTable(style)
            + expertTable(style) + neuronTable(style) + [""]
            + sumLines(style) + [""] + chainLines(style)
        return lines.joined(separator: "\n")
    }

    private func headLines(_ style: Style) -> [String] {
        let what =
            againstPiece.map {
                "'\(piece)' over '\($0)': a difference of logits of \(Numbers.significant(Double(logit)))"
            }
            ?? "'\(piece)' (token \(tokenId)): logit \(Numbers.significant(Double(logit)))"
        let choice = rank == 0 ? "the first choice" : "choice \(rank + 1)"
        let stream = attribution.isCentred ? "the residual stream less its mean" : "the residual stream"
        let writes =
            attribution.freezesWrites
            ? " This model normalises what a layer writes; that scale is frozen at its value too." : ""
        let frozen =
            "logit = Σ_i x[i] * s * w[i] * W_out[i]: x \(stream), w the final norm's weights, s = "
            + "\(Numbers.short(scale)) its scale. With s frozen at this value, the logit is the sum of what each part "
            + "wrote into x; what the network would do without a part is another question."
            + scaling + writes
        return [
            style.bold(what),
            "\(choice), probability \(Numbers.percent(probability)), after '\(before.suffix(40))'".onOneLine.cut(
                to: style.width),
            "",
        ] + Self.wrap(frozen, style, paint: style.dim)
    }

    /// What is done to logits after their product.
    private var scaling: String {
        let share = Numbers.short(attribution.logitScale)
        if attribution.isCapped {
            return " This model bends logits below a cap; what that leaves of this one, \(share) of it, is frozen "
                + "at its value too, and all parts contain it."
        }
        return attribution.logitScale == 1 ? "" : " This model multiplies logits by \(share), which all parts contain."
    }

    private static func wrap(_ text: String, _ style: Style, paint: (String) -> String = { $0 }) -> [String] {
        text.wrapped(to: style.width, indent: "", paint: paint)
    }

    private func layerLines(_ style: Style) -> [String] {
        let embedding = parts[0].value
        let all = layers.flatMap { [$0.attention, $0.feedForward] } + [embedding]
        let most = all.map(abs).largestNumber() ?? 0
        let half = max(4, min(16, (style.width - 34) / 4))
        func bar(_ value: Double) -> String {
            (Numbers.signed(value).leftPadded(to: 10) + " " + Bar.signed(most > 0 ? value / most : 0, half: half))
                .padded(to: 12 + 2 * half)
        }
        var lines = [style.dim("layer  " + "attention".leftPadded(to: 11).padded(to: 14 + 2 * half) + "feed-forward")]
        lines.append(" embd  " + bar(embedding))
        for layer in layers {
            lines.append(
                "\(layer.layer)".leftPadded(to: 5) + "  " + bar(layer.attention) + "  " + bar(layer.feedForward))
        }
        return lines.map(\.withoutTrailingSpaces)
    }

    private func headTable(_ style: Style) -> [String] {
        let heads = parts.filter { $0.head != nil }.sortedWorstFirst { abs($0.value) }
        let most = heads.first.map { abs($0.value) } ?? 0
        var table = Table([
            ("head", .right), ("layer", .right), ("KV head", .right), ("adds", .right), ("", .left),
        ])
        for head in heads.prefix(8) {
            table.add(
                "\(head.head!)", "\(head.layer!)", "\(head.kvHead!)", Numbers.signed(head.value),
                Bar.signed(most > 0 ? head.value / most : 0, half: 16))
        }
        return [style.bold("The heads that add most"), ""] + table.lines(style)
    }

    private func groupTable(_ style: Style) -> [String] {
        guard let first = kvGroups.first, first.heads.count > 1 else { return [] }
        let groups = kvGroups.sortedWorstFirst { abs($0.value) }
        let most = abs(groups[0].value)
        var table = Table([
            ("KV head", .right), ("layer", .right), ("heads", .right), ("adds", .right), ("", .left),
        ])
        for group in groups.prefix(5) {
            table.add(
                "\(group.kvHead)", "\(group.layer)", "\(group.heads[0])-\(group.heads.last!)",
                Numbers.signed(group.value), Bar.signed(most > 0 ? group.value / most : 0, half: 16))
        }
        return ["", style.bold("The groups of heads that share a KV head"), ""] + table.lines(style)
    }

    /// Every expert that the token went through.
    private func expertTable(_ style: Style) -> [String] {
        let experts = attribution.parts.filter { $0.kind == .expert || $0.kind == .sharedExpert }
        guard !experts.isEmpty else { return [] }
        let sorted = experts.sortedWorstFirst { abs($0.value) }
        let most = abs(sorted[0].value)
        var table = Table([("expert", .right), ("layer", .right), ("choice", .right), ("adds", .right), ("", .left)])
        for part in sorted.prefix(8) {
            table.add(
                part.expert.map(\.description) ?? "shared", "\(part.layer!)", part.slot.map { "\($0)" } ?? "-",
                Numbers.signed(part.value), Bar.signed(most > 0 ? part.value / most : 0, half: 16))
        }
        return ["", style.bold("The experts that add most, each with the router's weight"), ""] + table.lines(style)
    }

    private func neuronTable(_ style: Style) -> [String] {
        guard let first = neurons.first else { return [] }
        let hasExperts = neurons.contains { $0.expert != nil || $0.isShared }
        var table = Table(
            [("neuron", .right), ("layer", .right)] + (hasExperts ? [("expert", .right)] : [])
                + [("activation", .right), ("adds", .right), ("", .left)])
        for neuron in neurons {
            let expert = neuron.expert.map { "\($0)" } ?? (neuron.isShared ? "shared" : "-")
            table.add(
                ["\(neuron.neuron)", "\(neuron.layer)"] + (hasExperts ? [expert] : [])
                    + [
                        Numbers.short(Double(neuron.activation)), Numbers.signed(neuron.value),
                        Bar.signed(first.value == 0 ? 0 : neuron.value / abs(first.value), half: 16),
                    ])
        }
        let all = neuronLayers.reduce(0) { $0 + $1.n }
        let sum = neuronLayers.reduce(0) { $0 + $1.sum }
        let note = "Of \(Numbers.grouped(all)) neurons, which add \(Numbers.signed(sum)) together."
        return ["", style.bold("The neurons that add most"), ""] + table.lines(style) + [style.dim(note)]
    }

    private func sumLines(_ style: Style) -> [String] {
        func total(_ names: LogitAttribution.Part.Kind...) -> Double {
            attribution.parts.reduce(0) { $0 + (names.contains($1.kind) ? $1.value : 0) }
        }
        func line(_ name: String, _ value: Double, _ note: String = "") -> String {
            ("  " + name.padded(to: 22) + Numbers.signed(value).leftPadded(to: 12) + "   " + style.dim(note))
                .withoutTrailingSpaces
        }
        let biases = total(.attentionBias, .feedForwardBias, .outputBias)
        var lines = [
            style.bold("All parts together"),
            line("embedding", total(.embedding)), line("heads", total(.head)),
            line("feed-forward", total(.feedForward)),
        ]
        let experts = total(.expert, .sharedExpert)
        if attribution.parts.contains(where: { $0.kind == .expert }) { lines.append(line("experts", experts)) }
        if biases != 0 { lines.append(line("biases", biases)) }
        lines += [
            line("rounding in attention", total(.attentionRounding), "activations rounded before W_O"),
            line("rounding at the output", total(.outputRounding), "activations rounded before W_out"),
            line("sum", sum), line("logit", Double(logit), "as the graph computed it"),
            line("residual", residual, "Floats rounded on the way"),
        ]
        return lines
    }

    /// What the bytes of the chain's weight are; nothing more is to be said of plain numbers.
    private var codeWords: String {
        guard let scale = chain.weight.scale else { return "" }
        return ": code \(chain.weight.code), scale \(scale)" + (chain.weight.min.map { ", min \($0)" } ?? "")
            + "; the code is \(chain.weight.bits) \(chain.weight.byteOffset)"
    }

    private func chainLines(_ style: Style) -> [String] {
        var lines = [style.bold("One chain down, at each step the largest"), ""]
        var steps = ["\(chain.part) adds \(Numbers.signed(attribution.chain.part.value)) to the logit"]
        if let source = chain.source, let activation = chain.activation, let value = chain.sourceValue {
            steps.append("of it \(Numbers.signed(value)) by \(source) = \(activation)")
        }
        steps += [
            "most through dimension \(chain.dimension) of the stream, \(chain.written), where a unit adds "
                + Numbers.short(chain.direction),
            "\(Numbers.signed(chain.value)) of it by one weight: \(chain.weight.name) = \(chain.weight.value)",
            "\(chain.weight.type), row \(chain.weight.row), block \(chain.weight.block) at byte "
                + "\(chain.weight.blockOffset)" + codeWords,
        ]
        for (depth, step) in steps.enumerated() {
            let indent = String(repeating: "  ", count: depth)
            let words =
                step
                .wrapped(to: style.width - indent.count - 3, indent: "")
            lines += words.enumerated().map { indent + ($0 == 0 ? (depth == 0 ? "" : "└─ ") : "   ") + $1 }
        }
        return lines + [
            "", "Further:",
            "  quipu explain element \(trace.quotedIfNeeded) '\(chain.source ?? chain.written)'"
                + (step > 0 ? " --step \(step)" : "") + " --depth 3",
            "  quipu explain weight \(model.map { $0.quotedIfNeeded + " " } ?? "")\(chain.weight.tensor) \(chain.weight.row) \(chain.weight.column)",
        ]
    }
}

extension LogitAttribution.Part {
    /// `head 5 of layer 3`
    var name: String {
        let ofLayer = layer.map { " of layer \($0)" } ?? ""
        return switch kind {
        case .embedding: "embedding"
        case .head: "head \(head!)\(ofLayer)"
        case .attentionRounding: "attention rounding\(ofLayer)"
        case .attentionBias: "attention bias\(ofLayer)"
        case .feedForward: "feed-forward\(ofLayer)"
        case .feedForwardBias: "feed-forward bias\(ofLayer)"
        case .expert: "expert \(expert!)\(ofLayer)"
        case .sharedExpert: "shared expert\(ofLayer)"
        case .outputRounding: "output rounding"
        case .outputBias: "output bias"
        }
    }
}
