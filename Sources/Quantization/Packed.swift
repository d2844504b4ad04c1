import Tensors

// Block structs are made of bytes only, so that they have ggml's layout without padding and may start at any address:
// `general.alignment` of a GGUF file may be 1. Measured: loads are as fast as from aligned structs.

/// An F16 stored as two bytes, low byte first.
public struct PackedHalf: BitwiseCopyable, Sendable {
    private var bytes: InlineArray<2, UInt8>

    /// The F16 nearest to `value`.
    @inline(__always)
    public init(_ value: Float) {
        let bits = Half.f16(value)
        bytes = [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)]
    }

    /// The sixteen bits.
    @inline(__always)
    public var bits: UInt16 { UInt16(littleEndian: bytes.load(as: UInt16.self)) }

    /// The value, exactly.
    @inline(__always)
    public var float: Float { Half.float(f16: bits) }
}

/// A Float stored as four bytes, low byte first.
public struct PackedFloat: BitwiseCopyable, Sendable {
    private var bytes: InlineArray<4, UInt8>

    /// The same value in four bytes.
    @inline(__always)
    public init(_ value: Float) {
        let bits = value.bitPattern
        bytes = [
            UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24),
        ]
    }

    /// The value, exactly.
    @inline(__always)
    public var float: Float { Float(bitPattern: UInt32(littleEndian: bytes.load(as: UInt32.self))) }
}

/// An integer of two bytes, low byte first.
public struct PackedInt16: BitwiseCopyable, Sendable {
    private var bytes: InlineArray<2, UInt8>

    /// The same value in two bytes.
    @inline(__always)
    public init(_ value: Int16) {
        bytes = [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
    }

    /// The value.
    @inline(__always)
    public var value: Int16 { Int16(littleEndian: bytes.load(as: Int16.self)) }

    /// The same bits without a sign.
    @inline(__always)
    public var bits: UInt16 { UInt16(bitPattern: value) }
}

extension InlineArray where Element: BitwiseCopyable {
    /// The value whose bytes start at `offset`, wherever it lies.
    ///
    /// `unsafeLoadUnaligned` checks its bounds; it is called unsafe only because not every type allows every bit
    /// pattern, and numbers do.
    @inline(__always)
    func load<Number: BitwiseCopyable>(_ offset: Int = 0, as type: Number.Type) -> Number {
        span.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
    }

    /// The 16 bytes from `offset` on, as eight little-endian words.
    @inline(__always)
    func words(_ offset: Int) -> SIMD8<Int16> {
        let words = load(offset, as: SIMD8<Int16>.self)
        #if _endian(big)
            return (words &<< 8) | ((words &>> 8) & 0xff)
        #else
            return words
        #endif
    }
}
