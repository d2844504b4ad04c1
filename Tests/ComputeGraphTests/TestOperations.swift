import ComputeGraph
import Tensors

/// Adds two vectors; counts as many operations as it has elements.
struct Plus: Operation {
    static let kind = "PLUS"
    static let formula = "y = a + b"
    static let summary = "Adds."

    func output(for inputs: [Layout]) throws(GraphError) -> Output {
        guard inputs.count == 2, inputs[0].shape == inputs[1].shape else {
            throw .shape(kind: kind, inputs: inputs, expected: "two inputs of one shape")
        }
        return Output(Layout(.f32, inputs[0].shape))
    }

    func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let (a, b) = (inputs[0].floats(), inputs[1].floats())
        workers.run(items: a.count) { items in
            output.buffer.withMutableElements(of: Float.self, in: items.lowerBound * 4..<items.upperBound * 4) { y in
                for i in items { y[i - items.lowerBound] = a[i] + b[i] }
            }
        }
    }

    func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        Explanation(formula: Self.formula, rule: .sum, value: output[element], terms: [])
    }

    func cost(inputs: [Layout], output: Layout) -> Cost {
        Cost(operations: output.shape.count, bytesRead: 2 * output.byteCount, bytesWritten: output.byteCount)
    }
}

/// The second half of a vector, as a view named after its source.
struct Half2: NamedAfterSource {
    static let kind = "HALF"
    static let formula = "y = x"
    static let summary = "Names the second half."
    static let isView = true
    let suffix: String

    init(_ suffix: String = "view") { self.suffix = suffix }

    func output(for inputs: [Layout]) throws(GraphError) -> Output {
        let count = inputs[0].shape.ne0 / 2
        return Output(Layout(.f32, Shape(count)), .view(slot: 0, byteOffset: count * 4))
    }

    func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        preconditionFailure("views are not evaluated")
    }

    func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        Explanation(formula: Self.formula, rule: .copy, value: output[element], terms: [])
    }

    func cost(inputs: [Layout], output: Layout) -> Cost { .none }
}

/// Adds the first input to the second, in the second's memory, and is named after it.
struct Accumulate: NamedAfterSource {
    static let kind = "ACCUMULATE"
    static let formula = "y += x"
    static let summary = "Adds in place."
    static let isWrite = true
    var suffix: String { "sum" }
    var namingSlot: Int { 1 }

    func output(for inputs: [Layout]) throws(GraphError) -> Output { Output(inputs[1], .inPlace(slot: 1)) }

    func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        let x = inputs[0].floats()
        output.withMutableElements(of: Float.self) { y in
            for i in x.indices { y[i] += x[i] }
        }
    }

    func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        Explanation(formula: Self.formula, rule: .sum, value: output[element], terms: [])
    }

    func cost(inputs: [Layout], output: Layout) -> Cost { .none }
}

/// Notes what it is told; throws at one node if asked to.
final class Witness: ExecutionObserver {
    struct Stop: Error, Equatable { let node: Int }

    private(set) var seen: [Int] = []
    private(set) var bits: [[UInt32]] = []
    private let end: Int?
    private let report: (String) -> Void
    private let name: String

    init(stoppingAt end: Int? = nil, name: String = "", report: @escaping (String) -> Void = { _ in }) {
        self.end = end
        self.name = name
        self.report = report
    }

    func didEvaluate(_ evaluation: Evaluation) throws {
        seen.append(evaluation.node.index)
        bits.append(evaluation.output.floats().map(\.bitPattern))
        report("\(name)\(evaluation.node.index)")
        if evaluation.node.index == end { throw Stop(node: evaluation.node.index) }
    }
}
