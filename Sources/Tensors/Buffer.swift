/// Memory of a fixed size that tensors write into.
///
/// Sharing contract: an operation's workers write disjoint ranges of its output at the same time, and nothing reads
/// them before all workers are done. The interpreter keeps that contract, which is why the class may be `Sendable`.
/// This file and the rows of `Tensor` are the places where tensor memory is unsafe.
public final class Buffer: ByteSource, @unchecked Sendable {
    /// The size in bytes; it never changes.
    public let byteCount: Int
    let base: UnsafeMutableRawPointer

    /// 64 bytes: one cache line, one AVX-512 register.
    public static let alignment = 64

    /// Zeros.
    public convenience init(byteCount: Int) {
        self.init(unwritten: byteCount)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    /// Whatever was in the memory: for who writes all of it before anyone reads.
    public init(unwritten byteCount: Int) {
        precondition(byteCount >= 0, "a buffer of \(byteCount) bytes")
        self.byteCount = byteCount
        base = SpareMemory.take(byteCount)
    }

    deinit { SpareMemory.giveBack(base, byteCount) }

    public func withBytes<Result>(in range: Range<Int>, _ body: (RawSpan) throws -> Result) rethrows -> Result {
        check(range)
        // Safe: the range was checked, and `self` keeps the memory alive for the call.
        return try body(RawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count))
    }

    /// Calls `body` with the bytes of `range` for writing; they are valid only during the call.
    ///
    /// - Precondition: `range` lies within `0..<byteCount`, and no one else reads or writes it during the call.
    public func withMutableBytes<Result>(
        in range: Range<Int>, _ body: (inout MutableRawSpan) throws -> Result
    ) rethrows -> Result {
        check(range)
        var span = MutableRawSpan(_unsafeStart: base + range.lowerBound, byteCount: range.count)
        return try body(&span)
    }

    /// The values of `range`, in bytes, as a span of `Element` for writing.
    ///
    /// - Precondition: as `withMutableBytes`, and the range is aligned to and a multiple of `Element`.
    public func withMutableElements<Element: BitwiseCopyable, Result>(
        of _: Element.Type, in range: Range<Int>, _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        try withMutableBytes(in: range) { try $0.withMutableElements(of: Element.self, body) }
    }

    private func check(_ range: Range<Int>) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= byteCount, "bytes \(range) of a buffer of \(byteCount)")
    }
}

extension Buffer {
    /// Calls `body`, during which the memory of large buffers that are gone is kept for the next ones of their size: as much
    /// as was in use at once, where it is some megabytes else.
    public static func reusingMemory<Result>(_ body: () throws -> Result) rethrows -> Result {
        LargeMemory.begin()
        defer { LargeMemory.end() }
        return try body()
    }
}

extension RawSpan {
    /// The bytes as values of `Element`, without a copy.
    ///
    /// - Precondition: the span is aligned to and a multiple of `Element`.
    @inlinable
    public func withElements<Element: BitwiseCopyable, Result>(
        of _: Element.Type, _ body: (Span<Element>) throws -> Result
    ) rethrows -> Result {
        try withUnsafeBytes { raw in
            requireWhole(raw, of: Element.self)
            // Safe: size and alignment were checked, and every bit pattern is a value.
            return try body(Span(_unsafeElements: raw.bindMemory(to: Element.self)))
        }
    }
}

extension MutableRawSpan {
    /// The bytes as values of `Element` for writing, without a copy.
    ///
    /// - Precondition: the span is aligned to and a multiple of `Element`.
    @inlinable
    public mutating func withMutableElements<Element: BitwiseCopyable, Result>(
        of _: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        try withUnsafeMutableBytes { raw in
            requireWhole(UnsafeRawBufferPointer(raw), of: Element.self)
            // Safe: size and alignment were checked, and every bit pattern is a value.
            var span = MutableSpan(_unsafeElements: raw.bindMemory(to: Element.self))
            return try body(&span)
        }
    }
}

/// - Precondition: the bytes are aligned to and a multiple of `Element`.
@inlinable
func requireWhole<Element>(_ raw: UnsafeRawBufferPointer, of _: Element.Type) {
    precondition(
        raw.count % MemoryLayout<Element>.stride == 0
            && UInt(bitPattern: raw.baseAddress) % UInt(MemoryLayout<Element>.alignment) == 0,
        "\(raw.count) bytes are no whole, aligned \(Element.self) values")
}
