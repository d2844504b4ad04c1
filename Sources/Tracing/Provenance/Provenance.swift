import ComputeGraph
import GGUF
import LlamaModel
import Measuring
import Operations
import Quantization
import Quantizing
import Recording
import Tensors

/// A pass with all its values, in which any element can be asked where it comes from.
public struct Provenance: Sendable {
    public let model: Llama
    public let graph: Graph
    public let tokens: [Int]
    public let firstPosition: Int
    /// Changes that the run was made with, by node.
    private var changes: [Int: [(record: InterventionRecord, edit: Edit)]] = [:]
    /// `nil` where only the last token's values were kept, and a node has none.
    private let values: [Tensor?]
    private let leaves: [Tensor]

    /// - Precondition: the pass is done and kept its values.
    public init(_ pass: Pass, of model: Llama) {
        self.model = model
        graph = pass.interpreter.graph
        tokens = pass.tokens
        firstPosition = pass.firstPosition
        values = graph.nodes.map { pass.interpreter.value(of: .node($0.index))! }
        leaves = graph.leaves.indices.map { pass.interpreter.value(of: .leaf($0))! }
    }

    /// A pass of a recorded run, evaluated again.
    ///
    /// - Throws: `TraceError.noPass` if the run has no such pass.
    public init(_ replay: Replay, step: Int, threads: Int) throws {
        self.init(try replay.pass(step, threads: threads), of: replay.model)
        changes = try replay.interventions.changes(in: graph, step: step)
    }

    /// Only one token's values of a pass of a recorded run, evaluated again: all that a logit is made of. Tensors have one
    /// token then; scores and patterns are not kept. What comes after the token is as if it were not there: nothing before
    /// it depends on that.
    ///
    /// - Parameter token: of the pass, from 0; `nil`: the last.
    /// - Throws: `TraceError.noPass` if the run has no such pass.
    /// - Precondition: the pass has the token.
    public init(lastTokenOf replay: Replay, step: Int, upTo token: Int? = nil, threads: Int) throws {
        guard replay.tokens.indices.contains(step) else {
            throw TraceError.noPass(path: replay.run.trace, step: step, steps: replay.tokens.count)
        }
        let count = replay.tokens[step].count
        let token = token ?? count - 1
        let observer = LastTokenObserver(tokens: count, token: token)
        let pass = try replay.evaluate(
            step, threads: threads, outputs: token == count - 1 ? nil : token..<token + 1, observers: [observer])
        model = replay.model
        graph = pass.interpreter.graph
        tokens = Array(pass.tokens[...token])
        firstPosition = pass.firstPosition
        values = graph.nodes.map { observer.values[$0.index] }
        leaves = graph.leaves.indices.map { pass.interpreter.value(of: .leaf($0))! }
        changes = try replay.interventions.changes(in: graph, step: step)
    }

    /// What was done to an element when the run was made, in order; a view's is done where it is computed.
    public func changes(of node: Node, at element: ElementIndex) -> [InterventionRecord] {
        guard let origin = graph.origin(of: node.index), let changes = changes[origin.node] else { return [] }
        let start = origin.byteOffset + element.i0 * node.layout.strides.nb0
        let byte = start + node.layout.rowOffset(element.i1, element.i2, element.i3)
        return changes.filter { $0.edit.covers(byte: byte) }.map(\.record)
    }

    public func tensor(of source: Source) -> Tensor {
        switch source {
        case .node(let index): values[index]!
        case .leaf(let index): leaves[index]
        }
    }

    /// Of the last token. [V]
    public var logits: [Float] { lastColumn(of: .node(graph.nodes.count - 1)) }

    /// The node that is the result of a part.
    ///
    /// - Parameter layer: `nil` for parts before and after the layers.
    /// - Throws: `AnalysisProblem.noPart` if the network has none.
    public func node(_ part: NodeRole.Part, layer: Int? = nil) throws(AnalysisProblem) -> Node {
        guard let node = graph.nodes.last(where: { $0.role.result == part && $0.layer == layer }) else {
            throw .noPart(part, layer: layer, architecture: model.configuration.sizes.architecture)
        }
        return node
    }

    /// What the address of an element must say, so that it can be typed: `Qcur-0#1[12,4]`.
    public func address(of source: Source, at element: ElementIndex) -> String {
        let count = graph.layout(of: source).shape.significant.count
        let indices = [element.i0, element.i1, element.i2, element.i3].prefix(count).map(String.init)
        return name(of: source) + "[\(indices.joined(separator: ","))]"
    }

    /// With `#k` where a later node has the same name.
    public func name(of source: Source) -> String {
        guard case .node(let index) = source else { return graph.name(of: source) }
        let name = graph.nodes[index].name
        let others = graph.nodes.filter { $0.name == name }.map(\.index)
        return others.last == index ? name : "\(name)#\(others.firstIndex(of: index)!)"
    }

    /// One element in terms of its sources.
    public func explanation(of node: Node, at element: ElementIndex) -> Explanation {
        node.operation.explain(element, inputs: node.inputs.map(tensor(of:)), output: tensor(of: .node(node.index)))
    }

    /// The factors of an element of a product; `nil` for other operations.
    public func product(of node: Node, at element: ElementIndex) -> ProductTerms? {
        guard node.operation is MatMul || node.operation is MatMulID else { return nil }
        let (w, x) = (node.inputs[0], node.inputs[1])
        let row = weightRow(of: node, at: element)
        let (order, activations): (SummationOrder, [Float])
        switch node.operation {
        case let operation as MatMul:
            order = operation.summationOrder(weights: graph.layout(of: w), activations: graph.layout(of: x))
            activations = tensor(of: x).row(element.i1, element.i2, element.i3)
        case is MatMulID:
            order = .single
            activations = tensor(of: x).row(element.i1 % graph.layout(of: x).shape.ne1, element.i2, 0)
        default: return nil
        }
        let weights = tensor(of: w)
        return ProductTerms(
            weights: weights, row: row, activations: activations, order: order,
            fileOffset: weight(w).map { $0.fileOffset + weights.layout.rowOffset(row.0, row.1, row.2) })
    }

    /// The row of the left side of a product that makes an element, as dimensions 1 to 3.
    func weightRow(of node: Node, at element: ElementIndex) -> (Int, Int, Int) {
        if node.operation is MatMulID {
            return (element.i0, Int(tensor(of: node.inputs[2])[ElementIndex(element.i1, element.i2)]), 0)
        }
        let (w, y) = (tensor(of: node.inputs[0]).shape, node.layout.shape)
        return (element.i0, element.i2 / (y.ne2 / w.ne2), element.i3 / (y.ne3 / w.ne3))
    }

    /// The query head that an element belongs to; `nil` outside attention, and for keys and values.
    public func head(of node: Node, at element: ElementIndex) -> Int? {
        guard let layer = node.layer else { return nil }
        let (sizes, shape) = (model.configuration.perLayer[layer], node.layout.shape)
        let isPermuted = node.operation is Permute
        switch (node.role.part, node.role.step) {
        case (.query, .view?) where isPermuted: return element.i2
        case (.query, _): return shape.ne0 == sizes.keySize && shape.ne1 == sizes.heads ? element.i1 : nil
        case (.scores, _), (.pattern, _), (.mix, .heads?): return element.i2
        case (.mix, .view?): return element.i1
        case (.mix, nil): return element.i0 / sizes.mixSize
        default: return nil
        }
    }

    /// The position in the run that an element belongs to; `nil` where the operation has no dimension of tokens.
    public func position(of node: Node, at element: ElementIndex) -> Int? {
        guard !node.output.isPureView, !node.isWrite else { return nil }
        let indices = [element.i0, element.i1, element.i2, element.i3]
        let dimension = node.tokenDimension
        // From the last layer's attention on there is only the last token.
        let isLastOnly = node.layout.shape[dimension] == 1
        return firstPosition + (isLastOnly ? tokens.count - 1 : indices[dimension])
    }

    /// The tensor of the file that a leaf is; `nil` for anything else.
    public func weight(_ source: Source) -> TensorInfo? {
        guard case .leaf(let index) = source, graph.leaves[index].role == .weight else { return nil }
        return model.file.tensor(named: graph.leaves[index].name)
    }
}

/// Keeps what was computed of the last token.
private final class LastTokenObserver: ExecutionObserver {
    private(set) var values: [Int: Tensor] = [:]
    private let tokens: Int
    private let token: Int
    var takesParts: Bool { true }
    var looksAtScores: Bool { false }

    /// - Parameters:
    ///   - tokens: of the pass.
    ///   - token: the one that counts as the last.
    init(tokens: Int, token: Int) { (self.tokens, self.token) = (tokens, token) }

    func didEvaluate(_ evaluation: Evaluation) {
        let (node, output) = (evaluation.node, evaluation.output)
        guard ![.scores, .pattern, .keyCache, .valueCache].contains(node.role.part), output.type.isPlain else { return }
        if node.output.isPureView, case .node(let source)? = node.inputs.first,
            values[source]?.shape.count == evaluation.inputs[0].shape.count
        {
            // Of the last token already: in the last layer others are not computed.
            values[node.index] = output
            return
        }
        // A view has the tokens in its last dimension, but for those that only the scores read.
        let dimension = node.output.isPureView ? (1...3).last { output.shape[$0] == tokens } : node.tokenDimension
        guard let dimension else {
            // Of the outputs alone.
            if output.shape.rows == 1 { values[node.index] = output }
            return
        }
        var last = output.layout
        let count = last.shape[dimension]
        switch dimension {
        case 1: last.shape.ne1 = 1
        case 2: last.shape.ne2 = 1
        default: last.shape.ne3 = 1
        }
        // From the last layer's attention on there is that one alone.
        let start = (count == tokens ? token : count - 1) * last.strides[dimension]
        values[node.index] = .floats(output.view(last, at: start).floats(), last.shape)
    }
}

/// A weight of the file: the end of a chain.
public struct StoredWeight: Sendable {
    public let block: WeightBlock
    public let column: Int
    public var element: BlockDescription.Element { block.description.elements[column - block.firstColumn] }
    public var subBlock: BlockDescription.SubBlock { block.description.subBlocks[element.sub] }
    /// Bytes from the start of the file to the byte with the lowest bits of the code.
    public var byteOffset: Int { block.fileOffset + element.stored.parts[0].byte }

    public init(row: Int, column: Int, of tensor: TensorInfo, in file: GGUFFile) throws {
        block = try WeightBlock(row: row, column: column, of: tensor, in: file)
        self.column = column
    }
}

extension Provenance {
    /// The node that was recorded as an operation.
    ///
    /// - Throws: `TraceError.damaged` if the graph has another one there.
    public func node(of operation: RecordedOperation, in trace: String) throws(TraceError) -> Node {
        guard graph.nodes.indices.contains(operation.seq) else {
            throw .damaged(
                TraceDamage(
                    operation, in: trace, "seq", found: "\(operation.seq)",
                    expected: "0 to \(graph.nodes.count - 1), which the model's graph has"))
        }
        let node = graph.nodes[operation.seq]
        guard node.layout.shape == operation.shape else {
            throw .damaged(
                TraceDamage(
                    operation, in: trace, "ne0 to ne3", found: "\(operation.shape)",
                    expected: "\(node.layout.shape), as the model's graph has it"))
        }
        return node
    }

    /// The node that an address names.
    ///
    /// - Throws: `TraceError` if there is none, with the names that come near.
    public func node(_ address: TensorAddress) throws(TraceError) -> Node {
        let matches = graph.nodes.filter { $0.name == address.name }
        guard let last = matches.last else {
            throw .noOperation(name: address.name, suggestions: nearest(to: address.name, in: graph.nodes.map(\.name)))
        }
        guard let index = address.occurrence else { return last }
        guard matches.indices.contains(index) else {
            throw .noOccurrence(name: address.name, asked: index, count: matches.count)
        }
        return matches[index]
    }
}

extension TensorAddress {
    /// The one element that the address names.
    ///
    /// - Throws: `TraceError` if it lies outside the shape or names several.
    public func element(in shape: Shape) throws(TraceError) -> ElementIndex {
        let ranges = try ranges(in: shape)
        guard ranges.allSatisfy({ $0.count == 1 }) else {
            throw .severalElements(address: description, shape: shape)
        }
        return ElementIndex(
            ranges[0].lowerBound, ranges[1].lowerBound, ranges[2].lowerBound, ranges[3].lowerBound)
    }
}

extension TraceStore {
    /// The recorded value of an element; `nil` if it was not captured.
    public func captured(_ node: Node, at element: ElementIndex, in run: RecordedRun, step: Int) throws -> Float? {
        guard let operation = try operation(node.index, of: run, step: step) else { return nil }
        do {
            return try values(of: operation, in: run)[element]
        } catch TraceError.notCaptured, TraceError.emptyCache {
            return nil
        }
    }
}
