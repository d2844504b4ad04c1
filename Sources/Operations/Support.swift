import ComputeGraph
import Tensors

extension Operation {
    /// Throws what this operation expected of its inputs unless `holds`.
    func require(_ holds: Bool, of inputs: [Layout], _ expected: @autoclosure () -> String) throws(GraphError) {
        if !holds { throw .shape(kind: kind, inputs: inputs, expected: expected()) }
    }

    /// Throws unless there are `count` inputs, so that shape rules may index them.
    func requireCount(_ count: Int, of inputs: [Layout]) throws(GraphError) {
        try require(inputs.count == count, of: inputs, "\(count) inputs, got \(inputs.count)")
    }

    /// Throws unless input `slot` is F32 with contiguous rows.
    func requireFloatRows(_ slot: Int, of inputs: [Layout]) throws(GraphError) {
        try require(
            inputs[slot].type == .f32 && inputs[slot].strides.nb0 == 4, of: inputs,
            "input \(slot) to be F32 with contiguous rows")
    }

    /// The cost of reading every input once, writing the output and doing `perElement` operations for each element.
    func elementwiseCost(_ inputs: [Layout], _ output: Layout, perElement: Int) -> Cost {
        Cost(
            operations: perElement * output.shape.count,
            bytesRead: inputs.reduce(0) { $0 + $1.byteCount },
            bytesWritten: output.byteCount)
    }
}

extension Shape {
    /// The position of row `number`, counting rows with dimension 1 fastest.
    func row(_ number: Int) -> (i1: Int, i2: Int, i3: Int) {
        (number % ne1, number / ne1 % ne2, number / (ne1 * ne2))
    }

    /// Where a tensor of shape `self` is read when it is repeated over `index` of a larger one.
    func wrapped(_ index: ElementIndex) -> ElementIndex {
        ElementIndex(index.i0 % ne0, index.i1 % ne1, index.i2 % ne2, index.i3 % ne3)
    }

    /// Whether repeating this shape fills `other`.
    func repeats(into other: Shape) -> Bool {
        (0..<4).allSatisfy { self[$0] > 0 && other[$0] % self[$0] == 0 }
    }
}

/// The sum of sixteen numbers in the order of ggml's AVX-512 code.
@inline(__always)
func total(_ lanes: SIMD16<Float>) -> Float {
    let eight = lanes.lowHalf + lanes.highHalf
    let four = eight.lowHalf + eight.highHalf
    return (four[0] + four[2]) + (four[1] + four[3])
}

/// A number as a factor or summand: negative ones in parentheses.
func bracketed(_ value: Float) -> String { value.sign == .minus ? "(\(value))" : "\(value)" }

/// Rows worth handing to a thread: about as many element operations as waking one costs.
func rowGrain(elementsPerRow: Int) -> Int { max(1, 8192 / max(1, elementsPerRow)) }
