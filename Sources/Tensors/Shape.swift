/// The four dimensions of a tensor in ggml order: `ne0` is contiguous, missing dimensions are 1.
public struct Shape: Hashable, Sendable {
    /// Elements of a row.
    public var ne0: Int
    /// Rows of a plane.
    public var ne1: Int
    /// Planes of a volume.
    public var ne2: Int
    /// Volumes.
    public var ne3: Int

    /// Elements along each dimension; 1 where it is left out.
    public init(_ ne0: Int, _ ne1: Int = 1, _ ne2: Int = 1, _ ne3: Int = 1) {
        (self.ne0, self.ne1, self.ne2, self.ne3) = (ne0, ne1, ne2, ne3)
    }

    /// - Precondition: at most four dimensions.
    public init(_ dimensions: [Int]) {
        precondition(dimensions.count <= 4, "a tensor has at most 4 dimensions, got \(dimensions.count)")
        let ne = dimensions + Array(repeating: 1, count: 4 - dimensions.count)
        self.init(ne[0], ne[1], ne[2], ne[3])
    }

    /// Elements along one dimension.
    ///
    /// - Precondition: `dimension` is 0, 1, 2 or 3.
    public subscript(_ dimension: Int) -> Int {
        switch dimension {
        case 0: ne0
        case 1: ne1
        case 2: ne2
        case 3: ne3
        default: preconditionFailure("dimension \(dimension) of 0..<4")
        }
    }

    /// All four dimensions, `ne0` first.
    public var dimensions: [Int] { [ne0, ne1, ne2, ne3] }

    /// The dimensions without trailing ones; never empty.
    public var significant: [Int] {
        var dims = dimensions
        while dims.count > 1, dims.last == 1 { dims.removeLast() }
        return dims
    }

    /// Number of elements.
    public var count: Int { ne0 * ne1 * ne2 * ne3 }

    /// Number of rows: everything but `ne0`.
    public var rows: Int { ne1 * ne2 * ne3 }

    /// How many elements come before one, `ne0` fastest.
    public func number(of element: ElementIndex) -> Int {
        element.i0 + ne0 * (element.i1 + ne1 * (element.i2 + ne2 * element.i3))
    }

    /// The element that so many come before.
    public func element(at number: Int) -> ElementIndex {
        ElementIndex(number % ne0, number / ne0 % ne1, number / (ne0 * ne1) % ne2, number / (ne0 * ne1 * ne2))
    }
}

extension Shape: CustomStringConvertible {
    /// `576x5`, as llama.cpp's users write it.
    public var description: String { significant.map(String.init).joined(separator: "x") }
}

/// A position inside a tensor, `i0` along the contiguous dimension.
public struct ElementIndex: Hashable, Sendable {
    /// Along the contiguous dimension, from 0.
    public var i0: Int
    /// The row, from 0.
    public var i1: Int
    /// The plane, from 0.
    public var i2: Int
    /// The volume, from 0.
    public var i3: Int

    /// Indices from 0; 0 where one is left out.
    public init(_ i0: Int, _ i1: Int = 0, _ i2: Int = 0, _ i3: Int = 0) {
        (self.i0, self.i1, self.i2, self.i3) = (i0, i1, i2, i3)
    }
}

extension ElementIndex: CustomStringConvertible {
    public var description: String {
        var parts = [i0, i1, i2, i3]
        while parts.count > 1, parts.last == 0 { parts.removeLast() }
        return "[" + parts.map(String.init).joined(separator: ",") + "]"
    }
}
