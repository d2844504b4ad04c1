import ComputeGraph
import Tensors

/// Copies a strided view into contiguous memory, in the order its dimensions say: joins the heads of a token.
///
/// y = x, F32 or F16, the elements counted in `shape`; also of a transposed view, whose rows are no contiguous memory.
/// Source: ggml `ggml_cont`, `ggml_cont_*d`.
public struct Cont: NamedAfterSource {
    public static let kind = "CONT"
    public static let formula = "y = x, copied in order"
    public static let summary = "Copies numbers so that they lie one after the other."
    public var suffix: String { "cont" }

    /// `nil`: the input's.
    public let shape: Shape?

    public init(_ shape: Shape? = nil) { self.shape = shape }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try require([.f32, .f16].contains(inputs[0].type), of: inputs, "an input of F32 or F16")
        let shape = shape ?? inputs[0].shape
        try require(inputs[0].shape.count == shape.count, of: inputs, "an input of \(shape.count) elements")
        return Output(Layout(inputs[0].type, shape))
    }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {
        if inputs[0].type == .f32 {
            copy(inputs[0], into: output, of: UInt32.self, on: workers)
        } else {
            copy(inputs[0], into: output, of: UInt16.self, on: workers)
        }
    }

    private func copy<Bits: FixedWidthInteger & BitwiseCopyable & Sendable>(
        _ x: Tensor, into output: Tensor, of bits: Bits.Type, on workers: Workers
    ) {
        let (rowBytes, step) = (x.layout.rowBytes, x.layout.strides.nb0)
        workers.run(items: x.shape.rows, grain: rowGrain(elementsPerRow: x.shape.ne0)) { rows in
            for number in rows {
                let (i1, i2, i3) = x.shape.row(number)
                let from = x.offset + x.layout.rowOffset(i1, i2, i3)
                let bytes = number * rowBytes..<(number + 1) * rowBytes
                x.source.withBytes(in: from..<from + (x.shape.ne0 - 1) * step + bits.bitWidth / 8) { row in
                    output.buffer.withMutableElements(of: bits, in: bytes) { y in
                        for i in 0..<y.count { y[i] = row.unsafeLoad(fromByteOffset: i * step, as: bits) }
                    }
                }
            }
        }
    }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let index = inputs[0].shape.element(at: output.shape.number(of: element))
        let value = inputs[0][index]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: index, value: value, coefficient: 1, contribution: value)])
    }

    public func cost(inputs: [Layout], output: Layout) -> Cost { elementwiseCost(inputs, output, perElement: 0) }
}
