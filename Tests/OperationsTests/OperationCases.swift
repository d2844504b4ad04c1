import ComputeGraph
import Operations
import Quantization
import Tensors
import TestSupport

/// Inputs and references for every kind of operation: at least one case for each line of the catalog.
enum OperationCases {
    static let all: [OperationCase] = {
        var random = SeededGenerator(seed: 2024)
        return picking(&random) + elementwise(&random) + products(&random) + attention(&random) + views(&random)
            + routing(&random)
    }()

    private static func picking(_ random: inout SeededGenerator) -> [OperationCase] {
        let table = random.tensor(9, 7)
        let rows = Tensor.integers(.i32, [Int32(4), 0, 6, 4])
        let picked: @Sendable ([Tensor], ElementIndex) -> Double = { $0[0].double($1.i0, Int($0[1].double($1.i1))) }
        let indices = Tensor.integers(.i64, [Int64(2), 5])
        let stored: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let source = [2: 0, 5: 1][e.i1]
            return source.map { Double(Float16(inputs[0][ElementIndex(e.i0, $0)])) } ?? inputs[2].double(e.i0, e.i1)
        }
        return [
            OperationCase(
                name: "F32 table", operation: GetRows(), inputs: [table, rows], tolerance: 0, reference: picked),
            OperationCase(
                name: "F16 table", operation: GetRows(), inputs: [.halves(table.floats(), Shape(9, 7)), rows],
                tolerance: 0, reference: picked),
            OperationCase(
                name: "rows 2 and 5 of 8", operation: SetRows(),
                inputs: [random.tensor(6, 2), indices, .halves(random.floats(48), Shape(6, 8))], tolerance: 0,
                reference: stored),
            OperationCase(
                name: "rows that lie apart", operation: SetRows(),
                inputs: [
                    random.tensor(10, 2).view(Layout(type: .f32, shape: Shape(6, 2), strides: .init(4, 40, 80, 80))),
                    indices, .halves(random.floats(48), Shape(6, 8)),
                ], tolerance: 0, reference: stored),
        ]
    }

    private static func elementwise(_ random: inout SeededGenerator) -> [OperationCase] {
        let x = random.tensor(37, 5)
        return [
            OperationCase(name: "37x5", operation: RMSNorm(epsilon: 1e-5), inputs: [x], tolerance: 1e-6) { inputs, e in
                let squares = (0..<37).map { inputs[0].double($0, e.i1) * inputs[0].double($0, e.i1) }
                return inputs[0].double(e.i0, e.i1) / (squares.reduce(0, +) / 37 + 1e-5).squareRoot()
            },
            OperationCase(
                name: "a weight over 5 tokens", operation: Mul(), inputs: [x, random.tensor(37)], tolerance: 1e-6
            ) { $0[0].double($1.i0, $1.i1) * $0[1].double($1.i0) },
            OperationCase(
                name: "an input repeated in every dimension", operation: Mul(),
                inputs: [random.tensor(6, 4, 2, 2), random.tensor(3, 2, 1, 2)], tolerance: 1e-6
            ) { $0[0].double($1.i0, $1.i1, $1.i2, $1.i3) * $0[1].double($1.i0 % 3, $1.i1 % 2, 0, $1.i3) },
            OperationCase(name: "37x5", operation: Scale(by: -0.22), inputs: [x], tolerance: 1e-6) {
                $0[0].double($1.i0, $1.i1) * Double(Float(-0.22))
            },
            OperationCase(name: "same shape", operation: Add(), inputs: [x, random.tensor(37, 5)], tolerance: 1e-6) {
                $0[0].double($1.i0, $1.i1) + $0[1].double($1.i0, $1.i1)
            },
            OperationCase(name: "a bias", operation: Add(), inputs: [x, random.tensor(37)], tolerance: 1e-6) {
                $0[0].double($1.i0, $1.i1) + $0[1].double($1.i0)
            },
            // 1100: three pieces of 512, and a rest that is no group of sixteen.
            OperationCase(
                name: "1100x3", operation: SwiGLU(),
                inputs: [random.tensor(1100, 3, in: -20...20), random.tensor(1100, 3)], tolerance: 1e-6
            ) { inputs, e in
                let (g, u) = (inputs[0].double(e.i0, e.i1), inputs[1].double(e.i0, e.i1))
                return g / (1 + Reference.exp(-g)) * u
            },
            OperationCase(
                name: "gate and content in one input", operation: SwiGLU(),
                inputs: [random.tensor(74, 3, in: -20...20)],
                tolerance: 1e-6
            ) { inputs, e in
                let (g, u) = (inputs[0].double(e.i0, e.i1), inputs[0].double(e.i0 + 37, e.i1))
                return g / (1 + Reference.exp(-g)) * u
            },
            OperationCase(
                name: "both beyond the limit in places", operation: SwiGLUOAI(),
                inputs: [random.tensor(37, 5, in: -12...12), random.tensor(37, 5, in: -12...12)], tolerance: 1e-6
            ) { inputs, e in
                let g = min(inputs[0].double(e.i0, e.i1), 7)
                let u = min(max(inputs[1].double(e.i0, e.i1), -7), 7)
                return g / (1 + Reference.exp(-Double(Float(1.702)) * g)) * (u + 1)
            },
            OperationCase(
                name: "biases of two of four experts", operation: AddID(),
                inputs: [
                    random.tensor(6, 2, 3), random.tensor(6, 4),
                    Tensor.integers(.i32, [Int32(0), 3, 2, 1, 3, 0], Shape(2, 3)),
                ],
                tolerance: 1e-6
            ) { inputs, e in
                inputs[0].double(e.i0, e.i1, e.i2) + inputs[1].double(e.i0, [[0, 3], [2, 1], [3, 0]][e.i2][e.i1])
            },
            // Values of F16: what is rounded twice is off by two halves of a unit in eleven bits.
            OperationCase(
                name: "1100x3", operation: GEGLU(),
                inputs: [random.tensor(1100, 3, in: -12...12), random.tensor(1100, 3)], tolerance: 2e-3
            ) { Reference.gelu($0[0].double($1.i0, $1.i1)) * $0[1].double($1.i0, $1.i1) },
            OperationCase(
                name: "37x5", operation: GELU(), inputs: [random.tensor(37, 5, in: -12...12)], tolerance: 2e-3
            ) {
                Reference.gelu($0[0].double($1.i0, $1.i1))
            },
            OperationCase(name: "37x5", operation: Tanh(), inputs: [random.tensor(37, 5, in: -3...3)], tolerance: 1e-6)
            {
                Reference.tanh($0[0].double($1.i0, $1.i1))
            },
            OperationCase(name: "37x5", operation: LayerNorm(epsilon: 1e-5), inputs: [x], tolerance: 1e-6) {
                inputs, e in
                let row = (0..<37).map { inputs[0].double($0, e.i1) }
                let mean = row.reduce(0, +) / 37
                let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 37
                return (row[e.i0] - mean) / (variance + 1e-5).squareRoot()
            },
        ]
    }

    private static func products(_ random: inout SeededGenerator) -> [OperationCase] {
        /// K, V heads `h / g` of query head h.
        func product(group: Int) -> @Sendable ([Tensor], ElementIndex) -> Double {
            { inputs, e in
                (0..<inputs[0].shape.ne0).reduce(0.0) {
                    $0 + inputs[0].double($1, e.i0, e.i2 / group, e.i3) * inputs[1].double($1, e.i1, e.i2, e.i3)
                }
            }
        }
        let heads = Tensor.halves(random.floats(64 * 3 * 11), Shape(64, 3, 11))  // [D,K,N]
        let keys = heads.view(
            Layout(type: .f16, shape: Shape(64, 11, 3), strides: .init(2, 64 * 3 * 2, 64 * 2, 64 * 3 * 11 * 2)))
        return [
            OperationCase(
                name: "F32", operation: MatMul(), inputs: [random.tensor(172, 40), random.tensor(172, 3)],
                tolerance: 1e-5, reference: product(group: 1)),
            OperationCase(
                name: "F32, one token, odd sizes", operation: MatMul(),
                inputs: [random.tensor(19, 7), random.tensor(19)],
                tolerance: 1e-5, reference: product(group: 1)),
            // Activations are rounded to F16: 11 bits.
            OperationCase(
                name: "F16", operation: MatMul(),
                inputs: [.halves(random.floats(64 * 20), Shape(64, 20)), random.tensor(64, 4)], tolerance: 1e-3,
                reference: product(group: 1)),
            OperationCase(
                name: "9 query heads, 3 strided key heads", operation: MatMul(cachedDimension: 1),
                inputs: [keys, random.tensor(64, 5, 9)], tolerance: 1e-3, reference: product(group: 3)),
            OperationCase(
                name: "6 query heads, 2 value heads", operation: MatMul(cachedDimension: 0),
                inputs: [.halves(random.floats(11 * 8 * 2), Shape(11, 8, 2)), random.tensor(11, 3, 6, in: 0...1)],
                tolerance: 1e-3, reference: product(group: 3)),
            OperationCase(
                name: "4 planes of the fourth dimension on 2", operation: MatMul(),
                inputs: [random.tensor(16, 4, 1, 2), random.tensor(16, 2, 3, 4)], tolerance: 1e-5
            ) { inputs, e in
                (0..<16).reduce(0.0) {
                    $0 + inputs[0].double($1, e.i0, 0, e.i3 / 2) * inputs[1].double($1, e.i1, e.i2, e.i3)
                }
            },
        ]
    }

    private static func attention(_ random: inout SeededGenerator) -> [OperationCase] {
        let (positions, tokens, heads, first) = (21, 4, 3, 17)
        let mask = Tensor.floats(
            (0..<tokens).flatMap { token in (0..<positions).map { $0 > first + token ? -.infinity : 0 } },
            Shape(positions, tokens))
        let softmax: @Sendable ([Tensor], ElementIndex) -> Double = { inputs, e in
            let visible = 0...first + e.i1
            guard visible.contains(e.i0) else { return 0 }
            let sum = visible.reduce(0.0) { $0 + Reference.exp(0.125 * inputs[0].double($1, e.i1, e.i2)) }
            return Reference.exp(0.125 * inputs[0].double(e.i0, e.i1, e.i2)) / sum
        }
        var cases = [
            OperationCase(
                name: "masked later positions", operation: SoftMax(scale: 0.125),
                inputs: [random.tensor(positions, tokens, heads, in: -60...60), mask], tolerance: 1e-6,
                reference: softmax),
            OperationCase(
                name: "a sink in each head", operation: SoftMax(scale: 0.125),
                inputs: [random.tensor(positions, tokens, heads, in: -20...20), mask, random.tensor(heads)],
                tolerance: 1e-6
            ) { inputs, e in
                let exponentials = (0...first + e.i1).map { Reference.exp(0.125 * inputs[0].double($0, e.i1, e.i2)) }
                let sum = exponentials.reduce(Reference.exp(inputs[2].double(e.i2)), +)
                return e.i0 < exponentials.count ? exponentials[e.i0] / sum : 0
            },
        ]
        let ids = Tensor.integers(.i32, [Int32(0), 1, 7, 300])
        let factors = Tensor.floats((0..<8).map { 1 + Float($0) * 0.9 }, Shape(8))
        let stretched = Reference.Rotation(frequencyScale: 0.25)
        let yarn = Reference.Rotation(frequencyScale: 0.25, isYaRN: true, originalContext: 128)
        let variants: [(String, Reference.Rotation, [Tensor])] = [
            ("plain", Reference.Rotation(), []), ("frequency factors", Reference.Rotation(), [factors]),
            ("linear", stretched, []), ("YaRN", yarn, []), ("YaRN and factors", yarn, [factors]),
            ("halves", Reference.Rotation(pairs: .halves), []),
            (
                "halves, YaRN and factors",
                Reference.Rotation(frequencyScale: 0.25, isYaRN: true, originalContext: 128, pairs: .halves), [factors]
            ),
        ]
        for (name, rotation, factors) in variants {
            cases.append(
                OperationCase(
                    name: name, operation: RoPE(rotation.parameters), inputs: [random.tensor(16, 3, 4), ids] + factors,
                    // Angles of 300 radians and more, by repeated multiplication in Float.
                    tolerance: 1e-4, reference: rotation.value))
        }
        cases.append(
            OperationCase(
                name: "sixteen of twenty values", operation: RoPE(Reference.Rotation(pairs: .halves).parameters),
                inputs: [random.tensor(20, 3, 4), ids], tolerance: 1e-4
            ) { inputs, e in
                e.i0 < 16 ? Reference.Rotation(pairs: .halves).value(inputs, e) : inputs[0].double(e.i0, e.i1, e.i2)
            })
        return cases
    }

    private static func views(_ random: inout SeededGenerator) -> [OperationCase] {
        let x = random.tensor(12, 5)
        let heads = random.tensor(4, 5, 3)
        let permuted = heads.view(Layout(type: .f32, shape: Shape(4, 3, 5), strides: .init(4, 80, 16, 240)))
        return [
            OperationCase(name: "rows to heads", operation: Reshape(Shape(4, 3, 5)), inputs: [x], tolerance: 0) {
                $0[0].double($1.i0 + 4 * $1.i1, $1.i2)
            },
            OperationCase(
                name: "the second and third of three heads",
                operation: View(Shape(4, 2, 5), strides: .init(4, 16, 48, 240), byteOffset: 16), inputs: [x],
                tolerance: 0
            ) { $0[0].double(4 + $1.i0 + 4 * $1.i1, $1.i2) },
            OperationCase(
                name: "the first 3 of 6 cells of a transposed cache",
                operation: View(Shape(3, 2, 5), strides: .init(2, 60, 12, 120)),
                inputs: [.halves(random.floats(60), Shape(10, 6))], tolerance: 0
            ) { inputs, e in
                // The cache is counted [kvSize, C]; its memory is element j of cell c at j * C + c.
                let number = (e.i1 * 5 + e.i2) * 6 + e.i0
                return inputs[0].double(number % 10, number / 10)
            },
            OperationCase(name: "heads before tokens", operation: Permute([0, 2, 1, 3]), inputs: [heads], tolerance: 0)
            {
                $0[0].double($1.i0, $1.i2, $1.i1)
            },
            OperationCase(
                name: "all four dimensions", operation: Permute([2, 0, 3, 1]), inputs: [random.tensor(2, 3, 4, 5)],
                tolerance: 0
            ) {
                // Dimension 0 becomes 2, 1 becomes 0, 2 becomes 3, 3 becomes 1.
                $0[0].double($1.i2, $1.i0, $1.i3, $1.i1)
            },
            OperationCase(name: "joined heads", operation: Cont(Shape(12, 5)), inputs: [permuted], tolerance: 0) {
                $0[0].double($1.i0 % 4, $1.i0 / 4, $1.i1)
            },
        ]
    }
}
