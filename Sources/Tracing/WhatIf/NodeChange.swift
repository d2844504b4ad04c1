import ComputeGraph
import Recording
import Tensors

/// A change to an operation's output: `kq_soft_max-3[:, :, 2]`, or with `@1` behind it in step 1 only.
struct NodeChange: Sendable {
    enum Change: Sendable {
        case set(Float)
        case scale(Float)
        case patch([Int: InterventionRecord.Patch], trace: String)
        /// One number, or a row.
        case add([Float])
    }

    let record: InterventionRecord
    let address: TensorAddress
    /// `nil`: every pass that has the elements.
    let step: Int?
    let change: Change

    init(_ record: InterventionRecord) throws {
        (address, step) = try Self.address(record.target)
        self.record = record
        switch record.kind {
        case .set: change = .set(try Self.number(record))
        case .scale: change = .scale(try Self.number(record))
        case .patch: change = .patch(record.patches, trace: record.spec)
        case .add: change = .add(try record.patches[0]?.values ?? [Self.number(record)])
        case .weight: preconditionFailure("\(record.target) is no operation")
        }
    }

    var target: String { record.target }

    /// `NAME[…]@STEP`, of which only the name is needed.
    static func address(_ target: String) throws -> (TensorAddress, step: Int?) {
        guard let at = target.lastIndex(of: "@") else { return (try TensorAddress(target), nil) }
        guard let step = Int(target[target.index(after: at)...]), step >= 0 else {
            throw InterventionProblem.syntax(text: target, expected: "a step from 0 after @, as in ffn_out-3[12,4]@0")
        }
        return (try TensorAddress(String(target[..<at])), step)
    }

    private static func number(_ record: InterventionRecord) throws -> Float {
        guard let number = Float(record.spec), number.isFinite else {
            throw InterventionProblem.syntax(
                text: "\(record.target)=\(record.spec)", expected: "a number after =, as in kq_soft_max-3[:,:,2]=0")
        }
        return number
    }

    /// The edit of a pass, and the node it is made to; `nil` if the change is not for this pass.
    ///
    /// A view has no values of its own: what it shows is changed where it is computed.
    func edit(in graph: Graph, step: Int) throws -> (node: Int, Edit)? {
        guard self.step == nil || self.step == step else { return nil }
        if case .patch(let patches, _) = change, patches[step] == nil { return nil }
        let node = try node(in: graph)
        guard node.layout.type != .i32 else { throw InterventionProblem.integers(name: node.name) }
        guard let origin = graph.origin(of: node.index), node.layout.type == .f32 else {
            throw InterventionProblem.noValues(name: node.name)
        }
        let ranges: [Range<Int>]
        do {
            ranges = try address.ranges(in: node.layout.shape)
        } catch {
            // A later pass has one token; what was said of the prompt's others is not about it.
            if self.step == nil, step > 0 { return nil }
            throw error
        }
        let strides = node.layout.strides
        let start = (0..<4).reduce(origin.byteOffset) { $0 + ranges[$1].lowerBound * strides[$1] }
        let region = Layout(type: .f32, shape: Shape(ranges.map(\.count)), strides: strides)
        return (
            origin.node,
            Edit(region: region, byteOffset: start, change: try values(for: node, step, region.shape))
        )
    }

    /// - Parameter region: the shape of what is changed.
    private func values(for node: Node, _ step: Int, _ region: Shape) throws -> Edit.Change {
        switch change {
        case .set(let value): return .set(value)
        case .scale(let factor): return .scale(factor)
        case .patch(let patches, let trace):
            let patch = patches[step]!
            let source = PatchSource(record.spec)
            guard try source.fits(patch.shape, into: region, of: node.layout.shape, address) else {
                if source.slices != nil {
                    throw InterventionProblem.patchExtents(
                        target: target, step: step, source: trace, found: patch.values.count, expected: region)
                }
                throw InterventionProblem.patchShape(
                    target: target, step: step, trace: trace, found: patch.shape, expected: node.layout.shape)
            }
            guard patch.values.count == region.count else {
                throw InterventionProblem.patchCount(
                    target: target, step: step, found: patch.values.count, expected: region.count)
            }
            return .replace(patch.values)
        case .add(let vector):
            guard vector.count == 1 || vector.count == region.ne0 else {
                throw InterventionProblem.vectorLength(
                    target: target, source: record.spec, found: vector.count, expected: region.ne0)
            }
            return .add(vector)
        }
    }

    private func node(in graph: Graph) throws -> Node {
        let matches = graph.nodes.filter { $0.name == address.name }
        guard let last = matches.last else {
            if case .add = change, address.name.hasPrefix(ControlVector.node(of: "")) {
                throw InterventionProblem.noLayer(name: address.name, source: record.spec)
            }
            throw InterventionProblem.noOperation(
                name: address.name, suggestions: nearest(to: address.name, in: graph.nodes.map(\.name)))
        }
        guard let occurrence = address.occurrence else { return last }
        guard matches.indices.contains(occurrence) else {
            throw InterventionProblem.noOccurrence(name: address.name, asked: occurrence, count: matches.count)
        }
        return matches[occurrence]
    }
}
