/// Memory that tensors read from: a mapped file or a buffer.
///
/// `Tensors` declares it and `GGUF.MappedFile` implements it, so that tensors need not know about files.
public protocol ByteSource: AnyObject, Sendable {
    /// The size in bytes; it never changes.
    var byteCount: Int { get }

    /// Calls `body` with the bytes of `range`; they are valid only during the call.
    ///
    /// - Precondition: `range` lies within `0..<byteCount`.
    func withBytes<Result>(in range: Range<Int>, _ body: (RawSpan) throws -> Result) rethrows -> Result
}
