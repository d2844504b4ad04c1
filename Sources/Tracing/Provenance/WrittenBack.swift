import Measuring
import ComputeGraph
import Measuring
import Operations

/// From a part's result back to the matrix that made it, with what one unit of each value on the way adds to a logit.
///
/// Biases add, scales multiply; the root of a norm and what a cap leaves of a number stay at their values in this pass, so that
/// all of it is linear.
struct WrittenBack {
    struct Bias {
        let source: Source
        /// What one unit of each of its values adds to the logit.
        let direction: [Double]
        /// What all of it adds.
        let value: Double
        /// Where it can be seen as it is written.
        let written: Node
    }

    /// The product, or the rows picked from a table.
    let origin: Node
    /// What one unit of each of the origin's values adds to the logit.
    let direction: [Double]
    /// The last node whose values are those of the origin, but for biases.
    let written: Node
    /// In the order of evaluation.
    let biases: [Bias]
    /// What the norms on the way divide by, frozen: 1 over the root, in the order of evaluation.
    let frozen: [Double]

    var bias: Double { biases.reduce(0) { $0 + $1.value } }

    /// - Parameters:
    ///   - end: the part's result.
    ///   - direction: what one unit of each of its values adds to the logit.
    ///   - isOrigin: where to stop.
    /// - Throws: `AnalysisProblem` at an operation that is no way back.
    init(
        from end: Node, _ direction: [Double], in provenance: Provenance,
        until isOrigin: (Node) -> Bool = { $0.operation is MatMul }
    ) throws(AnalysisProblem) {
        var (node, written, direction) = (end, end, direction)
        var (biases, frozen) = ([Bias](), [Double]())
        while !isOrigin(node) {
            switch node.operation {
            case is GetRows: break  // of the tokens whose logits are wanted, the last is the last token
            case is Add:
                let addend = provenance.tensor(of: node.inputs[1]).floats()
                let value = zip(direction, addend).reduce(0) { $0 + $1.0 * Double($1.1) }
                biases.insert(
                    Bias(source: node.inputs[1], direction: direction, value: value, written: written), at: 0)
            case let scale as Scale: direction = direction.map { $0 * Double(scale.factor) }
            case is Mul:
                let gains = provenance.lastColumn(of: node.inputs[1])
                for i in direction.indices { direction[i] *= Double(gains[i % gains.count]) }
            case is Tanh:
                // Bent, not divided: the share that is left of each value stays as it is in this pass.
                let (x, y) = (provenance.lastColumn(of: node.inputs[0]), provenance.lastColumn(of: node))
                for i in direction.indices where x[i] != 0 { direction[i] *= Double(y[i]) / Double(x[i]) }
            case let norm as LayerNorm:
                let x = provenance.lastColumn(of: node.inputs[0]).map(Double.init)
                let mean = x.reduce(0, +) / Double(x.count)
                let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
                frozen.insert(1 / (variance + Double(norm.epsilon)).squareRoot(), at: 0)
                // The mean is a sum, so that to subtract it is linear too.
                let shared = direction.reduce(0, +) / Double(direction.count)
                direction = direction.map { ($0 - shared) * frozen[0] }
            case let norm as RMSNorm:
                let x = provenance.lastColumn(of: node.inputs[0])
                let meanSquare = x.reduce(0) { $0 + Double($1) * Double($1) } / Double(x.count)
                frozen.insert(1 / (meanSquare + Double(norm.epsilon)).squareRoot(), at: 0)
                direction = direction.map { $0 * frozen[0] }
            default: throw .noWayBack(node, architecture: provenance.model.configuration.sizes.architecture)
            }
            guard case .node(let index) = node.inputs[0] else {
                throw .noWayBack(node, architecture: provenance.model.configuration.sizes.architecture)
            }
            let isSame = node.operation is GetRows || node.operation is Add
            node = provenance.graph.nodes[index]
            if !isSame { written = node }
        }
        (origin, self.direction, self.written, self.biases, self.frozen) = (node, direction, written, biases, frozen)
    }
}
