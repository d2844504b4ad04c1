// Codes, one a byte, into the bits of blocks.

extension InlineArray<32, UInt8> {
    /// Code j in the low nibble of byte j, code j + 16 in the high one.
    @inline(__always)
    var nibbles: InlineArray<16, UInt8> {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        let codes = span
        for j in 0..<16 { bytes[j] = codes[j] & 15 | codes[j + 16] << 4 }
        return bytes
    }

    /// Bit 4 of code j as bit j.
    @inline(__always)
    var fifthBits: InlineArray<2, PackedInt16> {
        var bits: (UInt16, UInt16) = (0, 0)
        for j in 0..<16 {
            bits.0 |= UInt16(self[j] >> 4 & 1) << j
            bits.1 |= UInt16(self[j + 16] >> 4 & 1) << j
        }
        return [PackedInt16(Int16(bitPattern: bits.0)), PackedInt16(Int16(bitPattern: bits.1))]
    }
}

extension InlineArray<256, UInt8> {
    /// The two low bits of elements 128n + l, + 32, + 64, + 96 in byte l of part n.
    @inline(__always)
    var pairs: InlineArray<2, InlineArray<32, UInt8>> {
        var parts = InlineArray<2, InlineArray<32, UInt8>>(repeating: .init(repeating: 0))
        let codes = span
        for n in 0..<2 {
            for l in 0..<32 {
                let first = 128 * n + l
                let (low, high) = (codes[first] & 3 | (codes[first + 32] & 3) << 2, codes[first + 64] & 3)
                parts[n][l] = low | high << 4 | codes[first + 96] << 6
            }
        }
        return parts
    }

    /// The nibble of element 64n + l in the low half of byte l of part n, of 64n + l + 32 in the high one.
    @inline(__always)
    var nibbles: InlineArray<4, InlineArray<32, UInt8>> {
        var parts = InlineArray<4, InlineArray<32, UInt8>>(repeating: .init(repeating: 0))
        let codes = span
        for n in 0..<4 {
            for l in 0..<32 { parts[n][l] = codes[64 * n + l] & 15 | codes[64 * n + l + 32] << 4 }
        }
        return parts
    }

    /// One bit of each code: that of element 32k + l as bit k of byte l.
    @inline(__always)
    func bits(_ bit: UInt8) -> InlineArray<32, UInt8> {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        let codes = span
        for k in 0..<8 {
            for l in 0..<32 { bytes[l] |= (codes[32 * k + l] >> bit & 1) << k }
        }
        return bytes
    }

    /// Codes once more, for the rounded scale and minimum that decoding will use: `x ~ scale * (code - offset) -
    /// minimum`. A scale of zero leaves the codes of the search.
    @inline(__always)
    mutating func requantize(
        _ row: Span<Float>, from start: Int, at first: Int, count: Int, scale: Float, minimum: Float = 0,
        codes: ClosedRange<Int32>, offset: Int32 = 0
    ) {
        guard scale != 0 else { return }
        let (low, high) = (Float(codes.lowerBound), Float(codes.upperBound))
        for i in stride(from: first, to: first + count, by: Lanes.scalarCount) {
            let found = nearestCodes(
                (row.lanes(start + i) + minimum) / scale, Lanes(repeating: low), Lanes(repeating: high))
            let shifted = nearestIntegers(found + Float(offset))
            for lane in 0..<Lanes.scalarCount { self[i + lane] = UInt8(truncatingIfNeeded: shifted[lane]) }
        }
    }
}
