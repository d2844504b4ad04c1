import Tensors

/// A change to part of a node's value, made after its evaluation and before anyone reads it.
public struct Edit: Sendable {
    public enum Change: Sendable, Equatable {
        case set(Float)
        /// Multiplies what was computed.
        case scale(Float)
        /// A value for each element of the region, `ne0` fastest.
        case replace([Float])
        /// Added to what was computed: one number, or one for each element of a row of the region.
        case add([Float])
    }

    /// Which bytes of the node's output: a view of them, F32.
    public let region: Layout
    /// Bytes from the start of the output to the region's first element.
    public let byteOffset: Int
    public let change: Change

    /// - Precondition: the region is F32, `replace` has a value for each of its elements, and `add` one or a row.
    public init(region: Layout, byteOffset: Int, change: Change) {
        precondition(region.type == .f32, "an edit of \(region)")
        if case .replace(let values) = change {
            precondition(values.count == region.shape.count, "\(values.count) values for \(region)")
        }
        if case .add(let values) = change {
            precondition([1, region.shape.ne0].contains(values.count), "\(values.count) values for rows of \(region)")
        }
        (self.region, self.byteOffset, self.change) = (region, byteOffset, change)
    }

    /// Whether it changes the value at a byte of the node's output.
    public func covers(byte: Int) -> Bool {
        let (shape, strides) = (region.shape, region.strides)
        return (0..<shape.rows).contains { row in
            let (i1, i2, i3) = (row % shape.ne1, row / shape.ne1 % shape.ne2, row / (shape.ne1 * shape.ne2))
            let distance = byte - byteOffset - region.rowOffset(i1, i2, i3)
            return distance >= 0 && distance % strides.nb0 == 0 && distance / strides.nb0 < shape.ne0
        }
    }

    func apply(to output: Tensor) {
        let target = output.view(region, at: byteOffset)
        let (shape, strides) = (region.shape, region.strides)
        var number = 0
        for row in 0..<shape.rows {
            let (i1, i2, i3) = (row % shape.ne1, row / shape.ne1 % shape.ne2, row / (shape.ne1 * shape.ne2))
            for i0 in 0..<shape.ne0 {
                let start = target.offset + i0 * strides.nb0 + region.rowOffset(i1, i2, i3)
                target.buffer.withMutableElements(of: Float.self, in: start..<start + 4) { element in
                    switch change {
                    case .set(let value): element[0] = value
                    case .scale(let factor): element[0] *= factor
                    case .replace(let values): element[0] = values[number]
                    case .add(let values): element[0] += values[values.count == 1 ? 0 : i0]
                    }
                }
                number += 1
            }
        }
    }
}

extension Graph {
    /// The node that computes what another shows, and where in its output that is: of a view of a view, the node at the
    /// bottom. `nil` where that is no computed value but the memory of the cache, an input or a weight.
    public func origin(of node: Int) -> (node: Int, byteOffset: Int)? {
        switch nodes[node].output.memory {
        case .fresh: return (node, 0)
        case .inPlace: return nil
        case .view(let slot, let byteOffset):
            guard case .node(let source) = nodes[node].inputs[slot], let origin = origin(of: source) else { return nil }
            return (origin.node, origin.byteOffset + byteOffset)
        }
    }

    /// The leaf whose memory a source is, seen through views; `nil` if a node made the values.
    public func leaf(behind source: Source) -> Leaf? {
        switch source {
        case .leaf(let index): leaves[index]
        case .node(let index):
            switch nodes[index].output.memory {
            case .fresh: nil
            case .view(let slot, _), .inPlace(let slot): leaf(behind: nodes[index].inputs[slot])
            }
        }
    }

    /// The nodes whose values depend on a change, by their indices, and the leaves that it has reached, by name.
    ///
    /// A changed leaf changes whoever reads it. A node that writes into a leaf's memory (the cache) passes its change on
    /// to all who read that memory later on, in this graph and in those of later passes.
    public func dependents(
        ofNodes edited: Set<Int>, leaves changedLeaves: Set<String>
    ) -> (nodes: Set<Int>, leaves: Set<String>) {
        var (changed, reached) = (edited, changedLeaves)
        for node in nodes {
            let isReached = node.inputs.contains { input in
                switch input {
                case .node(let index): changed.contains(index)
                case .leaf(let index): reached.contains(leaves[index].name)
                }
            }
            guard isReached || changed.contains(node.index) else { continue }
            changed.insert(node.index)
            if case .inPlace(let slot) = node.output.memory, let leaf = leaf(behind: node.inputs[slot]) {
                reached.insert(leaf.name)
            }
        }
        return (changed, reached)
    }
}
