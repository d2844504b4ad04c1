import Tensors

// Block structs are made of bytes only, so that they have ggml's layout without padding and may start at any address:
// `general.alignment` of a GGUF file may be 1. Measured: the compiler turns these into the same loads as aligned ones.

/// An F16 stored as two bytes, low byte first.
public struct PackedHalf: BitwiseCopyable, Sendable {
    private var low: UInt8
    private var high: UInt8

    /// The F16 nearest to `value`.
    public init(_ value: Float) { self.init(bits: Half.f16(value)) }

    public init(bits: UInt16) {
        low = UInt8(truncatingIfNeeded: bits)
        high = UInt8(truncatingIfNeeded: bits >> 8)
    }

    public var bits: UInt16 { UInt16(low) | UInt16(high) << 8 }

    /// The value, exactly.
    public var float: Float { Half.float(f16: bits) }
}

/// A Float stored as four bytes, low byte first.
public struct PackedFloat: BitwiseCopyable, Sendable {
    private var bytes: InlineArray<4, UInt8>

    public init(_ value: Float) {
        let bits = value.bitPattern
        bytes = [
            UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24),
        ]
    }

    public var float: Float {
        Float(
            bitPattern: UInt32(bytes[0]) | UInt32(bytes[1]) << 8 | UInt32(bytes[2]) << 16 | UInt32(bytes[3]) << 24)
    }
}

/// A UInt16 stored as two bytes, low byte first.
public struct PackedUInt16: BitwiseCopyable, Sendable {
    private var low: UInt8
    private var high: UInt8

    public init(_ value: UInt16) {
        low = UInt8(truncatingIfNeeded: value)
        high = UInt8(truncatingIfNeeded: value >> 8)
    }

    public var value: UInt16 { UInt16(low) | UInt16(high) << 8 }
}

/// An Int16 stored as two bytes, low byte first.
public struct PackedInt16: BitwiseCopyable, Sendable {
    private var low: UInt8
    private var high: UInt8

    public init(_ value: Int16) {
        low = UInt8(truncatingIfNeeded: value)
        high = UInt8(truncatingIfNeeded: value >> 8)
    }

    public var value: Int16 { Int16(bitPattern: UInt16(low) | UInt16(high) << 8) }
}

extension InlineArray where Element: BitwiseCopyable {
    /// The 16 bytes from `offset` on, as eight little-endian words.
    ///
    /// `unsafeLoadUnaligned` checks its bounds; it is called unsafe only because not every type allows every bit
    /// pattern, and `Int16` does.
    @inline(__always)
    func words(_ offset: Int) -> SIMD8<Int16> {
        SIMD8(littleEndian: span.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD8<Int16>.self))
    }
}

extension SIMD8<Int16> {
    @inline(__always)
    init(littleEndian words: SIMD8<Int16>) {
        #if _endian(big)
            self = (words &<< 8) | ((words &>> 8) & 0xff)
        #else
            self = words
        #endif
    }
}
