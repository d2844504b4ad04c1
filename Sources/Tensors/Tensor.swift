/// A tensor with its values: a layout over shared memory.
///
/// Copying a `Tensor` copies no values. A view is a tensor over the same source with another layout and offset.
public struct Tensor: Sendable {
    /// Type, shape and strides.
    public let layout: Layout
    /// The memory that the values are in, which other tensors may share.
    public let source: any ByteSource
    /// Bytes from the start of `source` to the first value.
    public let offset: Int

    // Rows are read and written one at a time, millions in a prompt. What that needs is looked up once, the code of it is
    // inlined where it is used, and the buffer is not retained each time, by all threads at once.

    /// Where the first value is, if the source is a `Buffer`. Valid as long as `source` is.
    @usableFromInline nonisolated(unsafe) let start: UnsafeMutableRawPointer?
    /// Bytes of a row; `nil` if dimension 0 is not contiguous.
    @usableFromInline let contiguousRowBytes: Int?

    /// How the values are stored.
    public var type: TensorType { layout.type }
    /// The four dimensions, `ne0` first.
    public var shape: Shape { layout.shape }

    /// - Precondition: the layout's span lies within the source.
    public init(_ layout: Layout, in source: any ByteSource, offset: Int = 0) {
        self.init(layout, in: source, at: offset, start: (source as? Buffer).map { $0.base + offset })
    }

    private init(_ layout: Layout, in source: any ByteSource, at offset: Int, start: UnsafeMutableRawPointer?) {
        precondition(
            offset >= 0 && offset + layout.span <= source.byteCount,
            "\(layout) at byte \(offset) does not fit \(source.byteCount) bytes")
        self.layout = layout
        self.source = source
        self.offset = offset
        self.start = start
        contiguousRowBytes = layout.strides.nb0 == layout.type.blockBytes ? layout.rowBytes : nil
    }

    /// A new contiguous tensor of zeros.
    public static func zeros(_ type: TensorType, _ shape: Shape) -> Tensor {
        let layout = Layout(type, shape)
        return Tensor(layout, in: Buffer(byteCount: layout.byteCount))
    }

    /// A new contiguous tensor of whatever was in the memory, for one that is written whole before it is read.
    public static func unwritten(_ type: TensorType, _ shape: Shape) -> Tensor {
        let layout = Layout(type, shape)
        return Tensor(layout, in: Buffer(unwritten: layout.byteCount))
    }

    /// A new contiguous F32 tensor.
    ///
    /// - Precondition: as many values as the shape has elements.
    public static func floats(_ values: [Float], _ shape: Shape) -> Tensor {
        precondition(values.count == shape.count, "\(values.count) values for shape \(shape)")
        let tensor = zeros(.f32, shape)
        tensor.withMutableElements(of: Float.self) { out in
            for index in values.indices { out[index] = values[index] }
        }
        return tensor
    }

    /// The same values with another layout: how views, reshapes and permutations are made.
    public func view(_ layout: Layout, at byteOffset: Int = 0) -> Tensor {
        Tensor(layout, in: source, at: offset + byteOffset, start: start.map { $0 + byteOffset })
    }

    /// Calls `body` with all bytes from the first value to the last; gaps of a strided view included.
    public func withBytes<Result>(_ body: (RawSpan) throws -> Result) rethrows -> Result {
        try source.withBytes(in: offset..<offset + layout.span, body)
    }

    /// Calls `body` with all values of a contiguous tensor.
    @inlinable
    public func withElements<Element: BitwiseCopyable, Result>(
        of element: Element.Type, _ body: (Span<Element>) throws -> Result
    ) rethrows -> Result {
        precondition(layout.isContiguous, "reading all of a strided view at once")
        guard let start else { return try withBytes { try $0.withElements(of: element, body) } }
        defer { extendLifetime(source) }
        // Safe: `init` checked that the layout fits the source.
        return try RawSpan(_unsafeStart: start, byteCount: layout.byteCount).withElements(of: element, body)
    }

    /// Calls `body` with one contiguous row.
    ///
    /// - Precondition: dimension 0 is contiguous.
    @inlinable
    public func withRow<Element: BitwiseCopyable, Result>(
        of element: Element.Type, _ i1: Int, _ i2: Int = 0, _ i3: Int = 0,
        _ body: (Span<Element>) throws -> Result
    ) rethrows -> Result {
        let row = rowRange(i1, i2, i3)
        guard let start else {
            return try source.withBytes(in: offset + row.lowerBound..<offset + row.upperBound) {
                try $0.withElements(of: element, body)
            }
        }
        defer { extendLifetime(source) }
        // Safe: `init` checked that the layout fits the source, `rowRange` that the row is one of the layout's.
        return try RawSpan(_unsafeStart: start + row.lowerBound, byteCount: row.count).withElements(of: element, body)
    }

    /// Calls `body` with one contiguous row for writing. Workers may write different rows at the same time.
    ///
    /// - Precondition: the tensor lies in a `Buffer` and dimension 0 is contiguous.
    @inlinable
    public func withMutableRow<Element: BitwiseCopyable, Result>(
        of element: Element.Type, _ i1: Int, _ i2: Int = 0, _ i3: Int = 0,
        _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        try withMutableRowBytes(i1, i2, i3) { try $0.withMutableElements(of: element, body) }
    }

    /// Calls `body` with the bytes of one contiguous row for writing, as `withMutableRow` does.
    @inlinable
    public func withMutableRowBytes<Result>(
        _ i1: Int, _ i2: Int = 0, _ i3: Int = 0, _ body: (inout MutableRawSpan) throws -> Result
    ) rethrows -> Result {
        let row = rowRange(i1, i2, i3)
        guard let start else { preconditionFailure("mapped tensors are read-only") }
        defer { extendLifetime(source) }
        // Safe: as in `withRow`.
        var span = MutableRawSpan(_unsafeStart: start + row.lowerBound, byteCount: row.count)
        return try body(&span)
    }

    /// Calls `body` with all values of a contiguous tensor for writing.
    public func withMutableElements<Element: BitwiseCopyable, Result>(
        of element: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        precondition(layout.isContiguous, "writing all of a strided view at once")
        return try buffer.withMutableElements(of: element, in: offset..<offset + layout.byteCount, body)
    }

    /// The memory for writing. Mapped weights have none.
    public var buffer: Buffer {
        guard let buffer = source as? Buffer else { preconditionFailure("mapped tensors are read-only") }
        return buffer
    }

    /// One value of a plain number type as `Float`.
    ///
    /// - Precondition: the type is F32, F16, BF16, I32 or I64, and the index lies inside the shape.
    public subscript(_ index: ElementIndex) -> Float {
        precondition(
            index.i0 < shape.ne0 && index.i1 < shape.ne1 && index.i2 < shape.ne2 && index.i3 < shape.ne3,
            "\(index) of a tensor of shape \(shape)")
        let start = offset + index.i0 * layout.strides.nb0 + layout.rowOffset(index.i1, index.i2, index.i3)
        return source.withBytes(in: start..<start + type.blockBytes) { bytes in
            let value = type.plainValues(bytes, count: 1)
            return value[0]
        }
    }

    /// The values of one row of a plain number type, whatever the strides.
    package func row(_ i1: Int, _ i2: Int = 0, _ i3: Int = 0) -> [Float] {
        let row = Layout(type: type, shape: Shape(shape.ne0), strides: layout.strides)
        return view(row, at: layout.rowOffset(i1, i2, i3)).floats()
    }

    /// All values of a plain number type in row-major order (`ne0` fastest), whatever the strides.
    public func floats() -> [Float] {
        if layout.isContiguous {
            return withBytes { type.plainValues($0, count: shape.count) }
        }
        var values: [Float] = []
        values.reserveCapacity(shape.count)
        for number in 0..<shape.rows {
            let (i1, i2, i3) = (number % shape.ne1, number / shape.ne1 % shape.ne2, number / (shape.ne1 * shape.ne2))
            if let contiguousRowBytes {
                let row = offset + layout.rowOffset(i1, i2, i3)
                values += source.withBytes(in: row..<row + contiguousRowBytes) {
                    type.plainValues($0, count: shape.ne0)
                }
            } else {
                for i0 in 0..<shape.ne0 { values.append(self[ElementIndex(i0, i1, i2, i3)]) }
            }
        }
        return values
    }

    /// The bytes of a contiguous row, from the first value on.
    @inlinable
    func rowRange(_ i1: Int, _ i2: Int, _ i3: Int) -> Range<Int> {
        let shape = layout.shape
        guard let contiguousRowBytes, min(i1, i2, i3) >= 0, i1 < shape.ne1, i2 < shape.ne2, i3 < shape.ne3 else {
            preconditionFailure("row [\(i1),\(i2),\(i3)] of \(layout) with strides \(layout.strides)")
        }
        let first = layout.rowOffset(i1, i2, i3)
        return first..<first + contiguousRowBytes
    }
}

extension TensorType {
    /// Whether every element is a number of its own that `plainValues` reads, rather than part of a block.
    public var isPlain: Bool {
        switch self {
        case .f32, .f16, .bf16, .i32, .i64: true
        default: false
        }
    }

    func plainValues(_ bytes: RawSpan, count: Int) -> [Float] {
        switch self {
        case .f32: bytes.map(Float.self, count) { $0 }
        case .f16: bytes.map(UInt16.self, count, Half.float(f16:))
        case .bf16: bytes.map(UInt16.self, count, Half.float(bf16:))
        case .i32: bytes.map(Int32.self, count) { Float($0) }
        case .i64: bytes.map(Int64.self, count) { Float($0) }
        default: preconditionFailure("\(self) is no plain number type")
        }
    }
}

extension RawSpan {
    fileprivate func map<Element: BitwiseCopyable>(
        _: Element.Type, _ count: Int, _ transform: (Element) -> Float
    ) -> [Float] {
        withElements(of: Element.self) { elements in
            [Float](unsafeUninitializedCapacity: count) { out, initialized in
                for index in 0..<count { out[index] = transform(elements[index]) }
                initialized = count
            }
        }
    }
}
