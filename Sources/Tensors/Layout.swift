/// How a tensor's values lie in memory: type, shape, and the distance in bytes between neighbours (ggml's `nb`).
///
/// A view shares its source's bytes and differs only in its layout.
public struct Layout: Hashable, Sendable {
    /// How each row is stored.
    public var type: TensorType
    /// The four dimensions, in elements.
    public var shape: Shape
    /// Bytes from one element (block) to the next along dimension 0, and from one row, plane, volume to the next.
    public var strides: Strides

    /// Distances in bytes, one for each dimension.
    public struct Strides: Hashable, Sendable {
        /// From one element to the next; of block formats, from one block to the next.
        public var nb0: Int
        /// From one row to the next.
        public var nb1: Int
        /// From one plane of rows to the next.
        public var nb2: Int
        /// From one volume of planes to the next.
        public var nb3: Int

        /// Bytes; the properties of the same names.
        public init(_ nb0: Int, _ nb1: Int, _ nb2: Int, _ nb3: Int) {
            (self.nb0, self.nb1, self.nb2, self.nb3) = (nb0, nb1, nb2, nb3)
        }

        /// The distance along one dimension.
        ///
        /// - Precondition: `dimension` is 0, 1, 2 or 3.
        public subscript(_ dimension: Int) -> Int {
            switch dimension {
            case 0: nb0
            case 1: nb1
            case 2: nb2
            case 3: nb3
            default: preconditionFailure("dimension \(dimension) of 0..<4")
            }
        }
    }

    /// Any layout: that of a view, for instance.
    public init(type: TensorType, shape: Shape, strides: Strides) {
        self.type = type
        self.shape = shape
        self.strides = strides
    }

    /// A contiguous layout.
    ///
    /// - Precondition: `ne0` is a whole number of the type's blocks.
    public init(_ type: TensorType, _ shape: Shape) {
        guard let row = type.rowBytes(shape.ne0) else {
            preconditionFailure("\(type) rows hold multiples of \(type.blockElements) elements, got \(shape.ne0)")
        }
        let plane = row * shape.ne1
        self.init(
            type: type, shape: shape,
            strides: Strides(type.blockBytes, row, plane, plane * shape.ne2))
    }

    /// Whether the values lie in row-major order without gaps. Dimensions of one element may have any stride.
    public var isContiguous: Bool {
        var packed = type.blockBytes
        for dimension in 0..<4 {
            let extent = dimension == 0 ? shape.ne0 / type.blockElements : shape[dimension]
            if extent > 1, strides[dimension] != packed { return false }
            packed *= extent
        }
        return true
    }

    /// Bytes of one contiguous row along dimension 0.
    public var rowBytes: Int { shape.ne0 / type.blockElements * type.blockBytes }

    /// Bytes of all values, each counted once.
    public var byteCount: Int { rowBytes * shape.rows }

    /// Bytes from the first value to the end of the last one.
    public var span: Int {
        guard shape.count > 0 else { return 0 }
        return (shape.ne0 / type.blockElements - 1) * strides.nb0 + (shape.ne1 - 1) * strides.nb1
            + (shape.ne2 - 1) * strides.nb2 + (shape.ne3 - 1) * strides.nb3 + type.blockBytes
    }

    /// Bytes from the first value to the start of a row.
    @inlinable
    public func rowOffset(_ i1: Int, _ i2: Int = 0, _ i3: Int = 0) -> Int {
        i1 * strides.nb1 + i2 * strides.nb2 + i3 * strides.nb3
    }
}

extension Layout: CustomStringConvertible {
    public var description: String { "\(type) \(shape)" }
}
