import ComputeGraph
import Operations
import Tensors
import TestSupport
import Testing

/// An operation with inputs, and what it should give by the textbook, in Double.
struct OperationCase: Sendable, CustomTestStringConvertible {
    let name: String
    let operation: any ComputeGraph.Operation
    let inputs: [Tensor]
    /// How far the result may be from the reference, relative to the largest of its values; 0: equal.
    let tolerance: Double
    /// Output element to value, from the inputs' values.
    let reference: @Sendable ([Tensor], ElementIndex) -> Double

    var testDescription: String { "\(operation.kind): \(name)" }

    /// The inputs in memory of their own, so that a case can be evaluated more than once.
    func freshInputs() -> [Tensor] { inputs.map { $0.source is Buffer ? $0.copied() : $0 } }

    func output(threads: Int = 1, instructions: InstructionSet = .reference) throws -> Tensor {
        try operation.output(of: freshInputs(), threads: threads, instructions: instructions)
    }
}

extension ComputeGraph.Operation {
    /// What the interpreter would get for one node.
    func output(
        of inputs: [Tensor], threads: Int = 1, instructions: InstructionSet = .reference
    ) throws -> Tensor {
        let workers = Workers(threads: threads, instructions: instructions)
        let output = try output(for: inputs.map(\.layout))
        switch output.memory {
        case .view(let slot, let byteOffset):
            return inputs[slot].view(output.layout, at: byteOffset)
        case .inPlace(let slot):
            evaluate(inputs, into: inputs[slot], on: workers)
            return inputs[slot]
        case .fresh:
            // NaN where nothing is written.
            let (type, shape) = (output.layout.type, output.layout.shape)
            let tensor =
                switch type {
                case .f32: Tensor.floats([Float](repeating: .nan, count: shape.count), shape)
                case .f16: Tensor.halves([Float](repeating: .nan, count: shape.count), shape)
                default: Tensor.integers(type, [Int32](repeating: .min, count: shape.count), shape)
                }
            precondition(tensor.layout == output.layout)
            evaluate(inputs, into: tensor, on: workers)
            return tensor
        }
    }
}

extension Tensor {
    func double(_ i0: Int, _ i1: Int = 0, _ i2: Int = 0, _ i3: Int = 0) -> Double {
        Double(self[ElementIndex(i0, i1, i2, i3)])
    }

    /// Adds to one element.
    func add(_ amount: Float, at index: ElementIndex) {
        let start = offset + index.i0 * layout.strides.nb0 + layout.rowOffset(index.i1, index.i2, index.i3)
        let value = self[index] + amount
        if type == .i32 {
            buffer.withMutableElements(of: Int32.self, in: start..<start + 4) { $0[0] = Int32(value) }
        } else if type == .f16 {
            buffer.withMutableElements(of: UInt16.self, in: start..<start + 2) { $0[0] = Half.f16(value) }
        } else {
            buffer.withMutableElements(of: Float.self, in: start..<start + 4) { $0[0] = value }
        }
    }
}
