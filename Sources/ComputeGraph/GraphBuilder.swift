import Tensors

/// Builds a graph the way ggml does: operations are declared first, and `expand` puts what a value needs into the order
/// of evaluation, depth first, first source first. Names follow ggml's rules, so that they match llama.cpp's.
public struct GraphBuilder {
    /// A declared leaf or operation, not yet in order.
    public struct Value: Hashable, Sendable {
        fileprivate let id: Int
    }

    private struct Draft {
        var name: String
        /// `nil` for leaves.
        var role: NodeRole?
        var layer: Int?
        var content: Content
        var placed: Source?
        var tokenDimension = 1

        enum Content {
            case leaf(Leaf)
            case operation(any Operation, inputs: [Value], Output)
        }
    }

    /// The layer that operations declared from now on belong to.
    public var layer: Int?

    private var drafts: [Draft] = []
    private var leaves: [Leaf] = []
    private var nodes: [Node] = []

    public init() {}

    public mutating func leaf(_ name: String, _ layout: Layout, _ role: Leaf.Role) -> Value {
        let leaf = Leaf(name: name, layout: layout, role: role)
        drafts.append(Draft(name: name, role: nil, layer: layer, content: .leaf(leaf), placed: nil))
        return Value(id: drafts.count - 1)
    }

    /// Declares an operation.
    ///
    /// - Parameters:
    ///   - name: llama.cpp's name without the layer, which is appended (`norm` becomes `norm-3`). Without one, views are
    ///     named after their source, as in `Qcur-3 (view)`, and others after their index, as in `node_1077`.
    ///   - numbered: whether the layer is appended to the name.
    ///   - role: what the value is. There is no default: nobody downstream guesses it from the name.
    ///   - tokens: the dimension that counts the tokens of the pass, where it is another than is usual for the operation.
    /// - Throws: `GraphError` if the inputs do not fit.
    public mutating func apply(
        _ operation: some Operation, _ inputs: Value..., name: String? = nil, numbered: Bool = true, role: NodeRole,
        tokens: Int? = nil
    ) throws(GraphError) -> Value {
        let output = try operation.output(for: inputs.map(layout(of:)))
        drafts.append(
            Draft(
                name: name.map { numbered ? qualified($0) : $0 } ?? derivedName(of: operation, inputs) ?? "",
                role: role, layer: layer,
                content: .operation(operation, inputs: inputs, output), placed: nil,
                tokenDimension: tokens ?? operation.tokenDimension))
        return Value(id: drafts.count - 1)
    }

    /// Says what a value is once that is known: a product is the result if no bias follows.
    ///
    /// - Precondition: an operation that is not in order yet.
    public mutating func mark(_ value: Value, as role: NodeRole) {
        let draft = drafts[value.id]
        precondition(draft.role != nil && draft.placed == nil, "\(draft.name): a leaf, or already in order")
        drafts[value.id].role = role
    }

    public func layout(of value: Value) -> Layout {
        switch drafts[value.id].content {
        case .leaf(let leaf): leaf.layout
        case .operation(_, _, let output): output.layout
        }
    }

    /// Puts everything `value` needs, and then `value`, into the order of evaluation.
    public mutating func expand(_ value: Value) {
        guard drafts[value.id].placed == nil else { return }
        switch drafts[value.id].content {
        case .leaf(let leaf):
            leaves.append(leaf)
            drafts[value.id].placed = .leaf(leaves.count - 1)
        case .operation(let operation, let inputs, let output):
            for input in inputs { expand(input) }
            let index = nodes.count
            // Views declared from now on are named after it.
            if drafts[value.id].name.isEmpty { drafts[value.id].name = "node_\(index)" }
            let name = drafts[value.id].name
            nodes.append(
                Node(
                    index: index, name: name, role: drafts[value.id].role!,
                    layer: drafts[value.id].layer, operation: operation, inputs: inputs.map { drafts[$0.id].placed! },
                    output: output, tokenDimension: drafts[value.id].tokenDimension))
            drafts[value.id].placed = .node(index)
        }
    }

    /// Where an expanded value is in the graph; `nil` if it is not.
    public func source(of value: Value) -> Source? { drafts[value.id].placed }

    /// The graph of everything expanded so far.
    public func build() -> Graph { Graph(leaves: leaves, nodes: nodes) }

    private func derivedName(of operation: some Operation, _ inputs: [Value]) -> String? {
        (operation as? any NamedAfterSource).map { "\(drafts[inputs[$0.namingSlot].id].name) (\($0.suffix))" }
    }

    private func qualified(_ name: String) -> String {
        layer.map { "\(name)-\($0)" } ?? name
    }
}

/// Operations whose unnamed nodes ggml calls after a source: `X (view)`, `X (reshaped)`, `X (permuted)`, …
public protocol NamedAfterSource: Operation {
    /// The word in parentheses.
    var suffix: String { get }
    /// The input whose name is used.
    var namingSlot: Int { get }
}

extension NamedAfterSource {
    public var namingSlot: Int { 0 }
}
