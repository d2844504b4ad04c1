import ComputeGraph
import Operations
import Tensors
import TestSupport

/// What routers and experts are made of.
extension OperationCases {
    static func routing(_ random: inout SeededGenerator) -> [OperationCase] {
        choosing(&random) + weighing(&random) + expertProducts(&random) + rearranging(&random)
    }

    private static func choosing(_ random: inout SeededGenerator) -> [OperationCase] {
        let ratings = random.tensor(23, 4)
        // The third column has ties: the first comes first.
        let tied = Tensor.floats([3, 1, 2, 0, 5, 5, -1, 5, 2, 2, 2, 2], Shape(4, 3))
        let order: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let row = (0..<inputs[0].shape.ne0).map { inputs[0].double($0, e.i1, e.i2) }
            let greater = { (i: Int) in row.indices.filter { row[$0] > row[i] || row[$0] == row[i] && $0 < i }.count }
            return Double(row.indices.first { greater($0) == e.i0 }!)
        }
        let picked: @Sendable ([Tensor], ElementIndex) -> Double = {
            $0[0].double($1.i0, Int($0[1].double($1.i1, $1.i2, $1.i3)), $1.i2, $1.i3)
        }
        let ids = Tensor.integers(.i32, [Int32(2), 0, 4, 1, 1, 3], Shape(3, 2))
        let view = ids.view(Layout(type: .i32, shape: Shape(2, 2), strides: .init(4, 12, 24, 24)))
        return [
            OperationCase(name: "23 ratings", operation: ArgSort(), inputs: [ratings], tolerance: 0, reference: order),
            OperationCase(name: "ties", operation: ArgSort(), inputs: [tied], tolerance: 0, reference: order),
            OperationCase(
                name: "a table for each token", operation: GetRows(), inputs: [random.tensor(1, 5, 2), ids],
                tolerance: 0, reference: picked),
            OperationCase(
                name: "the first two of three indices, in two dimensions of tables", operation: GetRows(),
                inputs: [random.tensor(7, 5, 2), view], tolerance: 0, reference: picked),
            OperationCase(
                name: "the first of a view of integers", operation: View(Shape(2, 2), strides: .init(4, 12, 24, 24)),
                inputs: [ids], tolerance: 0
            ) { $0[0].double($1.i0, $1.i1) },
        ]
    }

    private static func weighing(_ random: inout SeededGenerator) -> [OperationCase] {
        let shares: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let sum = (0..<inputs[0].shape.ne0).reduce(0.0) { $0 + Reference.exp(inputs[0].double($1, e.i1)) }
            return Reference.exp(inputs[0].double(e.i0, e.i1)) / sum
        }
        return [
            // Two groups of sixteen and a rest, and fewer than one group.
            OperationCase(
                name: "37 scores without a mask", operation: SoftMax(scale: 1),
                inputs: [random.tensor(37, 3, in: -9...9)], tolerance: 1e-6, reference: shares),
            OperationCase(
                name: "4 scores without a mask", operation: SoftMax(scale: 1),
                inputs: [random.tensor(4, 3, in: -9...9)], tolerance: 1e-6, reference: shares),
            OperationCase(name: "6x3", operation: SumRows(), inputs: [random.tensor(6, 3)], tolerance: 1e-6) {
                inputs, e in (0..<6).reduce(0.0) { $0 + inputs[0].double($1, e.i1) }
            },
            OperationCase(
                name: "from below", operation: Clamp(low: 0.25), inputs: [random.tensor(1, 9)], tolerance: 0
            ) { max(0.25, $0[0].double(0, $1.i1)) },
            OperationCase(
                name: "on both sides", operation: Clamp(low: -0.5, high: 0.25), inputs: [random.tensor(17, 2)],
                tolerance: 0
            ) { max(-0.5, min(0.25, $0[0].double($1.i0, $1.i1))) },
            OperationCase(
                name: "by a number for each token", operation: Div(),
                inputs: [random.tensor(6, 3), random.tensor(1, 3, in: 1...2)], tolerance: 1e-6
            ) { $0[0].double($1.i0, $1.i1) / $0[1].double(0, $1.i1) },
            OperationCase(
                name: "35x2", operation: Silu(), inputs: [random.tensor(35, 2, in: -20...20)], tolerance: 1e-6
            ) {
                let x = $0[0].double($1.i0, $1.i1)
                return x / (1 + Reference.exp(-x))
            },
        ]
    }

    private static func expertProducts(_ random: inout SeededGenerator) -> [OperationCase] {
        // Expert 2 is chosen by nobody, expert 0 by three, in both slots.
        let ids = Tensor.integers(.i32, [Int32(0), 3, 1, 0, 0, 4, 4, 1], Shape(2, 4))
        // As a view of an order of all five experts.
        let order = Tensor.integers(.i32, [Int32(0), 3, 1, 2, 4, 4, 0, 1, 2, 3], Shape(5, 2))
        let first = order.view(Layout(type: .i32, shape: Shape(2, 2), strides: .init(4, 20, 40, 40)))
        let product: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let expert = Int(inputs[2].double(e.i1, e.i2))
            return (0..<inputs[0].shape.ne0).reduce(0.0) {
                $0 + inputs[0].double($1, e.i0, expert)
                    * inputs[1].double($1, e.i1 % inputs[1].shape.ne1, e.i2)
            }
        }
        return [
            OperationCase(
                name: "one row for both experts of a token", operation: MatMulID(),
                inputs: [random.tensor(48, 20, 5), random.tensor(48, 1, 4), ids], tolerance: 1e-5, reference: product),
            OperationCase(
                name: "a row for each", operation: MatMulID(),
                inputs: [random.tensor(19, 7, 5), random.tensor(19, 2, 4), ids], tolerance: 1e-5, reference: product),
            OperationCase(
                name: "F16, the experts a view", operation: MatMulID(),
                inputs: [.halves(random.floats(64 * 9 * 5), Shape(64, 9, 5)), random.tensor(64, 1, 2), first],
                tolerance: 1e-3, reference: product),
        ]
    }

    private static func rearranging(_ random: inout SeededGenerator) -> [OperationCase] {
        let x = random.tensor(6, 2, 3)
        let permuted = x.view(Layout(type: .f32, shape: Shape(6, 3, 2), strides: .init(4, 48, 24, 144)))
        let cache = Tensor.halves(random.floats(40 * 7), Shape(40, 7))
        let latent = cache.view(Layout(type: .f16, shape: Shape(7, 24), strides: .init(80, 2, 1920, 1920)))
        let places = Tensor.integers(.i32, [Int32(2), 0, 3, 1], Shape(2, 2))
        let masked: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let j = [[2, 0], [3, 1]][e.i2].firstIndex(of: e.i1)
            return j.map { inputs[0].double(e.i0, $0, e.i2) } ?? inputs[2].double(e.i0, e.i1, e.i2)
        }
        let partial = Reference.Rotation(frequencyScale: 0.25, isYaRN: true, originalContext: 128)
        var shifted = partial.parameters
        shifted.offset = 5
        let rotated: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            guard (5..<21).contains(e.i0) else { return inputs[0].double(e.i0, e.i1, e.i2) }
            let part = inputs[0].view(
                Layout(type: .f32, shape: Shape(16, 3, 4), strides: inputs[0].layout.strides), at: 20)
            return partial.value([part, inputs[1]], ElementIndex(e.i0 - 5, e.i1, e.i2))
        }
        return [
            OperationCase(
                name: "16 of 24 values, from the sixth on", operation: RoPE(shifted),
                inputs: [random.tensor(24, 3, 4), .integers(.i32, [Int32(0), 1, 7, 300])], tolerance: 1e-4,
                reference: rotated),
            OperationCase(
                name: "35x2", operation: Sigmoid(), inputs: [random.tensor(35, 2, in: -20...20)], tolerance: 1e-6
            ) { 1 / (1 + Reference.exp(-$0[0].double($1.i0, $1.i1))) },
            OperationCase(name: "5x2", operation: Fill(with: -2.5), inputs: [random.tensor(5, 2)], tolerance: 0) {
                _, _ in -2.5
            },
            OperationCase(
                name: "heads before tokens and after", operation: Concat(), inputs: [permuted, random.tensor(3, 3, 2)],
                tolerance: 0
            ) { $1.i0 < 6 ? $0[0].double($1.i0, $1.i1, $1.i2) : $0[1].double($1.i0 - 6, $1.i1, $1.i2) },
            OperationCase(
                name: "one head for four", operation: Repeat(to: Shape(8, 4, 3)), inputs: [random.tensor(8, 1, 3)],
                tolerance: 0
            ) { $0[0].double($1.i0, 0, $1.i2) },
            OperationCase(name: "3 planes", operation: Transpose(), inputs: [x], tolerance: 0) {
                $0[0].double($1.i1, $1.i0, $1.i2)
            },
            OperationCase(name: "a transposed F16 view", operation: Cont(), inputs: [latent], tolerance: 0) {
                $0[0].double($1.i0, $1.i1)
            },
            OperationCase(
                name: "two of four rows for each token", operation: SetRows(inPlace: false),
                inputs: [random.tensor(5, 2, 2), places, random.tensor(5, 4, 2)], tolerance: 0, reference: masked),
        ]
    }
}
