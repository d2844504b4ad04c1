import ComputeGraph
import Operations
import Tensors
import TestSupport
import Testing

/// An explanation is held against the evaluation, not against the formula it states: it must give the evaluated value,
/// and changing the source elements it names, and only those, must change the output element.
@Suite struct ExplanationTests {
    @Test(arguments: OperationCases.all)
    func explanationsReproduceTheValue(example: OperationCase) throws {
        let inputs = example.freshInputs()
        let output = try example.operation.output(of: inputs)
        for element in Self.elements(of: output) {
            let explanation = example.operation.explain(element, inputs: inputs, output: output)
            try check(explanation, of: output[element], in: inputs)
        }
    }

    /// As the product sees it: rounded weights times rounded activations.
    ///
    /// Formats with a minimum multiply it by the F16-rounded sum of a block's activations (Q8_1), which no term shows.
    @Test(arguments: [
        (TensorType.q4_0, 1e-6), (.q5_0, 1e-6), (.q8_0, 1e-6), (.q4_1, 0x1p-11), (.q5_1, 0x1p-11), (.q2_K, 1e-6),
        (.q3_K, 1e-6), (.q4_K, 1e-6), (.q5_K, 1e-6), (.q6_K, 1e-6), (.bf16, 1e-6),
    ])
    func explanationsOfQuantizedProducts(type: TensorType, tolerance: Double) throws {
        var random = SeededGenerator(seed: 4)
        let inputs = [try #require(Quantized.matrix(type, rows: 5, columns: 512)), random.tensor(512, 3)]
        let output = try MatMul().output(of: inputs)
        for element in output.shape.indices {
            let explanation = MatMul().explain(element, inputs: inputs, output: output)
            #expect(explanation.terms.count == 512)
            try check(explanation, of: output[element], in: inputs, tolerance: tolerance)
        }
    }

    @Test(arguments: OperationCases.all)
    func namedSourcesMatterAndOthersDoNot(example: OperationCase) throws {
        let operation = example.operation
        let output = try example.output()
        var random = SeededGenerator(seed: 11)
        for element in Self.elements(of: output, count: 12) {
            let inputs = example.freshInputs()
            let evaluated = try operation.output(of: inputs)
            let terms = operation.explain(element, inputs: inputs, output: evaluated).terms
            let effective = terms.filter { isNoticeable($0, in: operation, output[element]) }
            for term in effective.shuffled(using: &random).prefix(3) {
                #expect(
                    try value(of: element, example, afterChanging: term.slot, at: term.index).bitPattern
                        != output[element].bitPattern,
                    "\(element) does not depend on \(term.index) of input \(term.slot)")
            }
            for slot in Set(terms.map(\.slot)) {
                let named = Set(terms.filter { $0.slot == slot }.map(\.index))
                let other = random.element(of: inputs[slot].shape)
                if named.contains(other) || dependsOnWholeRow(operation, other, element) { continue }
                #expect(
                    try value(of: element, example, afterChanging: slot, at: other).bitPattern
                        == output[element].bitPattern,
                    "\(element) depends on \(other) of input \(slot), which is not named")
            }
        }
    }

    /// Nothing changes what a mask hides, nor where a rotation's sine is zero; and a softmax's smallest shares drown.
    private func isNoticeable(_ term: Explanation.Term, in operation: any Operation, _ value: Float) -> Bool {
        switch operation {
        case is SoftMax: term.contribution > 0.01 && value != 0
        // Far from 0, they hardly rise.
        case is Sigmoid, is Silu: abs(term.value) < 8
        default: term.coefficient != 0
        }
    }

    /// The scale of a norm comes from the whole row; its explanation gives it as a number, not as terms.
    private func dependsOnWholeRow(_ operation: any Operation, _ a: ElementIndex, _ b: ElementIndex) -> Bool {
        (operation is RMSNorm || operation is LayerNorm) && a.i1 == b.i1
    }

    private func value(
        of element: ElementIndex, _ example: OperationCase, afterChanging slot: Int, at index: ElementIndex
    ) throws -> Float {
        let inputs = example.freshInputs()
        inputs[slot].add(1, at: index)
        return try example.operation.output(of: inputs)[element]
    }

    private func check(
        _ explanation: Explanation, of value: Float, in inputs: [Tensor], tolerance: Double = 1e-6
    ) throws {
        let terms = explanation.terms
        let magnitude = terms.reduce(0) { $0 + abs(Double($1.contribution)) }
        // A constant comes from nowhere.
        #expect(!explanation.formula.isEmpty && (!terms.isEmpty || explanation.formula == Fill.formula))
        for term in terms { #expect(term.value == inputs[term.slot][term.index]) }
        switch explanation.rule {
        case .copy:
            #expect(terms.count == 1 && explanation.value.bitPattern == value.bitPattern)
            #expect(terms[0].contribution.bitPattern == value.bitPattern)
        case .sum:
            let sum = terms.reduce(0) { $0 + Double($1.contribution) }
            #expect(abs(sum - Double(explanation.value)) <= 1e-6 * magnitude)
            #expect(abs(sum - Double(value)) <= tolerance * magnitude, "\(value), explained as \(sum)")
        case .function:
            #expect(explanation.value.bitPattern == value.bitPattern)
        }
    }

    /// All elements of small outputs, some of large ones.
    private static func elements(of output: Tensor, count: Int = 200) -> [ElementIndex] {
        var random = SeededGenerator(seed: 8)
        return Array(output.shape.indices.shuffled(using: &random).prefix(count))
    }
}
