import ComputeGraph
import Operations
import Tensors

/// A layer's experts, of which each token goes through a few. Source: llama.cpp `llama-graph.cpp: build_moe_ffn`.
extension PassBuilder {
    /// `Σ_u weight[u] · W_down[e] · (silu(W_gate[e] · x) * W_up[e] · x)` over the experts e that the router chose. [E,T]
    ///
    /// - Parameters:
    ///   - x: `[E,T]`.
    ///   - activation: in place of silu's.
    ///   - hidden: llama.cpp's name of the activation's node.
    mutating func experts(
        _ x: Value, _ routing: ExpertRouting, activation: some Operation = SwiGLU(),
        hidden name: String = "ffn_moe_swiglu"
    ) throws(GraphError) -> Value {
        let (ids, weights) = try route(x, routing)  // [U,T], [1,U,T]
        graph.expand(weights)
        let tokens = graph.layout(of: x).shape.ne1
        let input = try graph.apply(
            Reshape(Shape(c.embedding, 1, tokens)), x, role: .init(.feedForwardNorm, .view))  // [E,1,T]
        let up = try expertProduct("ffn_up_exps", input, ids, name: "ffn_moe_up", .init(.expertUp))  // [F,U,T]
        let gate = try expertProduct("ffn_gate_exps", input, ids, name: "ffn_moe_gate", .init(.expertGate))
        let hidden = try graph.apply(
            activation, gate, up, name: name, role: .init(.expertActivation), tokens: 2)
        let made = try expertProduct(
            "ffn_down_exps", hidden, ids, name: "ffn_moe_down", .init(.expertOutput, .product))  // [E,U,T]
        let weighted = try graph.apply(
            Mul(), made, weights, name: "ffn_moe_weighted", role: .init(.expertOutput), tokens: 2)
        return try sum(ofExperts: weighted, routing.used)
    }

    /// A feed-forward network that all tokens go through besides, named `ffn_gate_shexp`, …. [E,T]
    ///
    /// - Parameter gated: whether a number of its own decides how much of it counts.
    mutating func sharedExpert(_ x: Value, gated: Bool) throws(GraphError) -> Value {
        let made = try feedForward(x, suffix: "_shexp", name: "ffn_shexp", .sharedOutput)
        guard gated else {
            graph.mark(made, as: .init(.sharedOutput))
            return made
        }
        return try graph.apply(Mul(), made, sharedGate(x), name: "ffn_shexp_out", role: .init(.sharedOutput))
    }

    /// What the chosen experts and the shared one make. [E,T]
    mutating func together(_ routed: Value, _ shared: Value) throws(GraphError) -> Value {
        try graph.apply(Add(), routed, shared, name: "ffn_out", role: .init(.feedForwardWrite))
    }

    /// `silu(g) / g`, which is the sigmoid of g. [1,T]
    private mutating func sharedGate(_ x: Value) throws(GraphError) -> Value {
        let score = try linear("ffn_gate_inp_shexp", x, name: "ffn_shexp_gate_inp", .sharedGate)
        let bent = try graph.apply(Silu(), score, role: .init(.sharedGate, .partial))
        return try graph.apply(Div(), bent, score, name: "ffn_shexp_gate", role: .init(.sharedGate))
    }

    private mutating func expertProduct(
        _ matrices: String, _ x: Value, _ ids: Value, name: String, _ role: NodeRole
    ) throws(GraphError) -> Value {
        let bias = "blk.\(layer!).\(matrices).bias"
        let hasBias = weights[bias] != nil
        let product = try graph.apply(
            MatMulID(), weight("blk.\(layer!).\(matrices).weight"), x, ids, name: name,
            role: hasBias ? .init(role.part, .product) : role, tokens: 2)
        guard hasBias else { return product }
        return try graph.apply(
            AddID(), product, weight(bias), ids, name: name + "_biased",
            role: role.step == nil ? role : .init(role.part, .biased), tokens: 2)
    }

    /// The chosen experts `[U,T]` and their weights `[1,U,T]`.
    private mutating func route(
        _ x: Value, _ routing: ExpertRouting
    ) throws(GraphError) -> (ids: Value, weights: Value) {
        let scores = try linear(
            "ffn_gate_inp", x, name: "ffn_moe_logits", product: "ffn_moe_logits", sum: "ffn_moe_probs", .routerScores)
        graph.mark(scores, as: .init(.routerScores))  // [X,T]
        let (name, role) = ("ffn_moe_probs", NodeRole(.routerProbabilities))
        let probabilities =
            switch routing.gating {
            case .softmax: try graph.apply(SoftMax(scale: 1), scores, name: name, role: role)
            case .sigmoid: try graph.apply(Sigmoid(), scores, name: name, role: role)
            case .softmaxOfChosen: scores
            }
        let ids = try choice(by: probabilities, routing)
        let tokens = graph.layout(of: x).shape.ne1
        let table = try graph.apply(
            Reshape(Shape(1, routing.count, tokens)), probabilities,
            role: .init(routing.gating == .softmaxOfChosen ? .routerScores : .routerProbabilities, .view))
        let chosen = try graph.apply(
            GetRows(), table, ids, name: "ffn_moe_weights", role: .init(.expertWeights, .rows), tokens: 2)  // [1,U,T]
        return (ids, try scaled(divided(shared(chosen, routing), routing), routing))
    }

    /// The softmax of the chosen experts' scores, where it is made of them alone. [1,U,T]
    private mutating func shared(_ chosen: Value, _ routing: ExpertRouting) throws(GraphError) -> Value {
        guard routing.gating == .softmaxOfChosen else { return chosen }
        let (tokens, view) = (graph.layout(of: chosen).shape.ne2, NodeRole(.expertWeights, .view))
        let rows = try graph.apply(Reshape(Shape(routing.used, tokens)), chosen, role: view)  // [U,T]
        let shares = try graph.apply(SoftMax(scale: 1), rows, role: .init(.expertWeights))
        return try graph.apply(
            Reshape(Shape(1, routing.used, tokens)), shares, name: "ffn_moe_weights_softmax", role: view)
    }

    /// The experts with the greatest probabilities, or what a bias makes of them, of the groups that come first. [U,T]
    private mutating func choice(by probabilities: Value, _ routing: ExpertRouting) throws(GraphError) -> Value {
        var rated = probabilities
        let bias = "blk.\(layer!).exp_probs_b.bias"
        if weights[bias] != nil {
            rated = try graph.apply(
                Add(), rated, weight(bias), name: "ffn_moe_probs_biased", role: .init(.routerChoice, .biased))
        }
        // Finite, so that it can be added to what a group was left out with.
        rated = try adding(1e9, to: routing.forced[layer!], of: rated, "expert_forced", routing)
        if routing.groups > 1 { rated = try ofChosenGroups(rated, routing) }
        rated = try adding(-.infinity, to: routing.dropped[layer!], of: rated, "expert_dropped", routing)
        let order = try graph.apply(ArgSort(), rated, name: "ffn_moe_argsort", role: .init(.routerChoice))  // [X,T]
        return try first(routing.used, of: order, name: "ffn_moe_topk", .init(.routerChoice, .view))
    }

    /// The ratings with a number added to those of some experts.
    private mutating func adding(
        _ number: Float, to experts: Set<Int>?, of rated: Value, _ name: String, _ routing: ExpertRouting
    ) throws(GraphError) -> Value {
        guard let experts, !experts.isEmpty else { return rated }
        let added = Tensor.zeros(.f32, Shape(routing.count))
        added.withMutableElements(of: Float.self) { added in for expert in experts { added[expert] = number } }
        return try graph.apply(
            Add(), rated, leaf("\(name)-\(layer!)", added, .weight), name: name, role: .init(.routerChoice, .biased))
    }

    /// The ratings with -∞ for the experts of all groups but those whose best two add up to most. [X,T]
    private mutating func ofChosenGroups(_ rated: Value, _ routing: ExpertRouting) throws(GraphError) -> Value {
        let (groups, size, tokens) = (
            routing.groups, routing.count / routing.groups, graph.layout(of: rated).shape.ne1
        )
        let (step, view) = (NodeRole(.routerChoice, .groups), NodeRole(.routerChoice, .view))
        let byGroup = try graph.apply(Reshape(Shape(size, groups, tokens)), rated, role: view)  // [X/G,G,T]
        let order = try graph.apply(ArgSort(), byGroup, role: step, tokens: 2)
        let table = try graph.apply(Reshape(Shape(1, size, groups, tokens)), byGroup, role: view)
        let best = try graph.apply(GetRows(), table, first(2, of: order, view), role: step, tokens: 3)  // [1,2,G,T]
        let pairs = try graph.apply(Reshape(Shape(2, groups, tokens)), best, role: view)
        let sums = try graph.apply(SumRows(), pairs, role: step, tokens: 2)  // [1,G,T]
        let ofGroups = try graph.apply(Reshape(Shape(groups, tokens)), sums, role: view)
        let groupOrder = try graph.apply(ArgSort(), ofGroups, role: step)
        let chosen = try first(routing.groupsUsed, of: groupOrder, name: "ffn_moe_group_topk", view)
        let kept = try graph.apply(GetRows(), byGroup, chosen, role: step, tokens: 2)  // [X/G,g,T]
        let none = try graph.apply(Fill(with: -.infinity), byGroup, role: step, tokens: 2)
        let masked = try graph.apply(
            SetRows(inPlace: false), kept, chosen, none, role: .init(.routerChoice, .masked), tokens: 2)
        return try graph.apply(
            Reshape(Shape(routing.count, tokens)), masked, name: "ffn_moe_probs_masked", role: view)
    }

    /// A view of the first rows of what was sorted.
    private mutating func first(
        _ count: Int, of order: Value, name: String? = nil, _ role: NodeRole
    ) throws(GraphError) -> Value {
        let layout = graph.layout(of: order)
        return try graph.apply(
            View(Shape(count, layout.shape.ne1, layout.shape.ne2), strides: layout.strides), order, name: name,
            role: role)
    }

    /// The weights divided by their sum, which is kept from 0.
    private mutating func divided(_ chosen: Value, _ routing: ExpertRouting) throws(GraphError) -> Value {
        let result = NodeRole(.expertWeights)
        guard routing.dividesBySum else {
            if routing.scale == nil, routing.gating != .softmaxOfChosen { graph.mark(chosen, as: result) }
            return chosen
        }
        let (tokens, view) = (graph.layout(of: chosen).shape.ne2, NodeRole(.expertWeights, .view))
        let rows = try graph.apply(Reshape(Shape(routing.used, tokens)), chosen, role: view)  // [U,T]
        let sum = try graph.apply(
            SumRows(), rows, name: "ffn_moe_weights_sum", role: .init(.expertWeights, .sum))  // [1,T]
        let bounded = try graph.apply(
            Clamp(low: 0x1p-14), sum, name: "ffn_moe_weights_sum_clamped", role: .init(.expertWeights, .sum))
        let shares = try graph.apply(
            Div(), rows, bounded, name: "ffn_moe_weights_norm",
            role: routing.scale == nil ? result : .init(.expertWeights, .normed))  // [U,T]
        return try graph.apply(Reshape(Shape(1, routing.used, tokens)), shares, role: view)
    }

    private mutating func scaled(_ weights: Value, _ routing: ExpertRouting) throws(GraphError) -> Value {
        guard let scale = routing.scale else { return weights }
        return try graph.apply(
            Scale(by: scale), weights, name: "ffn_moe_weights_scaled", role: .init(.expertWeights), tokens: 2)
    }

    /// One expert after the other. [E,T]
    private mutating func sum(ofExperts weighted: Value, _ used: Int) throws(GraphError) -> Value {
        graph.expand(weighted)
        let layout = graph.layout(of: weighted)
        let (width, tokens, strides) = (layout.shape.ne0, layout.shape.ne2, layout.strides)
        var parts: [Value] = []
        for slot in 0..<used {
            let part = try graph.apply(
                View(
                    Shape(width, tokens),
                    strides: .init(4, strides.nb2, strides.nb2 * tokens, strides.nb2 * tokens),
                    byteOffset: slot * strides.nb1), weighted, role: .init(.expertOutput, .view))
            graph.expand(part)
            parts.append(part)
        }
        // A view is no result of its own: one expert is copied.
        guard used > 1 else {
            return try graph.apply(Cont(), parts[0], name: "ffn_moe_out", role: .init(.expertSum))
        }
        var sum = parts[0]
        for (slot, part) in parts.enumerated().dropFirst() {
            let isWhole = slot == used - 1
            sum = try graph.apply(
                Add(), sum, part, name: isWhole ? "ffn_moe_out" : nil,
                role: .init(.expertSum, isWhole ? nil : .partial))
            // The last one stays open: what it is depends on what follows.
            if !isWhole { graph.expand(sum) }
        }
        return sum
    }
}
