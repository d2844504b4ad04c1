import ComputeGraph
import Tensors

/// An operation that only gives existing values another layout: nothing is computed, moved or counted.
protocol PureView: NamedAfterSource {
    /// Which source element an output element is.
    func origin(of element: ElementIndex, source: Layout, output: Layout) -> ElementIndex
}

extension PureView {
    public static var isView: Bool { true }

    public func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers) {}

    public func cost(inputs: [Layout], output: Layout) -> Cost { .none }

    public func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation {
        let index = origin(of: element, source: inputs[0].layout, output: output.layout)
        let value = inputs[0][index]
        return Explanation(
            formula: Self.formula, rule: .copy, value: value,
            terms: [Explanation.Term(slot: 0, index: index, value: value, coefficient: 1, contribution: value)])
    }
}

/// The same values in the same order, counted in other dimensions. Source: ggml `ggml_reshape_*`.
public struct Reshape: PureView {
    public static let kind = "RESHAPE"
    public static let formula = "y = x, the elements counted in other dimensions"
    public static let summary = "The same numbers, counted in other dimensions. Nothing is computed."
    public var suffix: String { "reshaped" }

    public let shape: Shape

    public init(_ shape: Shape) { self.shape = shape }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        try require(
            inputs[0].isContiguous && inputs[0].shape.count == shape.count, of: inputs,
            "a contiguous input of \(shape.count) elements")
        return Output(Layout(inputs[0].type, shape), .view(slot: 0, byteOffset: 0))
    }

    func origin(of element: ElementIndex, source: Layout, output: Layout) -> ElementIndex {
        source.shape.element(at: output.shape.number(of: element))
    }
}

/// Part of a tensor, possibly counted in other dimensions: heads of a row, the filled part of the cache.
/// Source: ggml `ggml_view_*d`.
public struct View: PureView {
    public static let kind = "VIEW"
    public static let formula = "y = a part of x"
    public static let summary = "The same numbers, in another layout. Nothing is computed."
    public var suffix: String { "view" }

    public let shape: Shape
    /// Bytes between neighbours; dimension 0 is contiguous in every view that a llama needs.
    public let strides: Layout.Strides
    /// Bytes from the start of the source to the view's first element.
    public let byteOffset: Int

    public init(_ shape: Shape, strides: Layout.Strides, byteOffset: Int = 0) {
        self.shape = shape
        self.strides = strides
        self.byteOffset = byteOffset
    }

    public var parameters: [(name: String, value: ParameterValue)] {
        [
            ("offset", .int(byteOffset)), ("nb1", .int(strides.nb1)), ("nb2", .int(strides.nb2)),
            ("nb3", .int(strides.nb3)),
        ]
    }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        let layout = Layout(type: inputs[0].type, shape: shape, strides: strides)
        try require(
            byteOffset + layout.span <= inputs[0].span && strides.nb0 == inputs[0].type.blockBytes, of: inputs,
            "an input that holds \(shape) from byte \(byteOffset)")
        return Output(layout, .view(slot: 0, byteOffset: byteOffset))
    }

    func origin(of element: ElementIndex, source: Layout, output: Layout) -> ElementIndex {
        var rest = byteOffset + element.i0 * strides.nb0 + output.rowOffset(element.i1, element.i2, element.i3)
        var indices = [0, 0, 0, 0]
        // From the widest stride to the narrowest; dimensions of one element keep index 0.
        for dimension in (0..<4).sorted(by: { source.strides[$0] > source.strides[$1] })
        where source.shape[dimension] > 1 {
            indices[dimension] = rest / source.strides[dimension]
            rest %= source.strides[dimension]
        }
        return ElementIndex(indices[0], indices[1], indices[2], indices[3])
    }
}

/// The same values with dimensions in another order: dimension d of the input becomes dimension `axes[d]`.
/// Source: ggml `ggml_permute`.
public struct Permute: PureView {
    public static let kind = "PERMUTE"
    public static let formula = "y = x, dimension d becoming dimension axes[d]"
    public static let summary = "The same numbers, dimensions in another order. Nothing is computed."
    public var suffix: String { "permuted" }

    public let axes: [Int]

    /// - Precondition: the axes 0 to 3, each once.
    public init(_ axes: [Int]) {
        precondition(axes.sorted() == [0, 1, 2, 3], "axes \(axes)")
        self.axes = axes
    }

    public var parameters: [(name: String, value: ParameterValue)] { [("axes", .ints(axes))] }

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        var ne = [0, 0, 0, 0]
        var nb = [0, 0, 0, 0]
        for dimension in 0..<4 {
            ne[axes[dimension]] = inputs[0].shape[dimension]
            nb[axes[dimension]] = inputs[0].strides[dimension]
        }
        let layout = Layout(
            type: inputs[0].type, shape: Shape(ne), strides: .init(nb[0], nb[1], nb[2], nb[3]))
        return Output(layout, .view(slot: 0, byteOffset: 0))
    }

    func origin(of element: ElementIndex, source: Layout, output: Layout) -> ElementIndex {
        let indices = [element.i0, element.i1, element.i2, element.i3]
        return ElementIndex(indices[axes[0]], indices[axes[1]], indices[axes[2]], indices[axes[3]])
    }
}

/// The same values with rows and columns exchanged. Source: ggml `ggml_transpose`.
public struct Transpose: PureView {
    public static let kind = "TRANSPOSE"
    public static let formula = "y[i,j] = x[j,i]"
    public static let summary = "The same numbers, rows and columns exchanged. Nothing is computed."
    public var suffix: String { "transposed" }

    public init() {}

    public func output(for inputs: [Layout]) throws(GraphError) -> Output {
        try requireCount(1, of: inputs)
        let (shape, strides) = (inputs[0].shape, inputs[0].strides)
        try require(inputs[0].type.blockElements == 1, of: inputs, "a type of single numbers")
        return Output(
            Layout(
                type: inputs[0].type, shape: Shape(shape.ne1, shape.ne0, shape.ne2, shape.ne3),
                strides: .init(strides.nb1, strides.nb0, strides.nb2, strides.nb3)), .view(slot: 0, byteOffset: 0))
    }

    func origin(of element: ElementIndex, source: Layout, output: Layout) -> ElementIndex {
        ElementIndex(element.i1, element.i0, element.i2, element.i3)
    }
}
