import Testing
import Tensors

@Suite struct HalfTests {
    /// Swift's own `Float16` is the definition; all 65,536 patterns are compared.
    @Test func everyHalfDecodesExactly() {
        for bits in UInt16.min...UInt16.max {
            let expected = Float(Float16(bitPattern: bits))
            let got = Half.float(f16: bits)
            #expect(got.bitPattern == expected.bitPattern || (got.isNaN && expected.isNaN), "bits \(bits)")
        }
    }

    @Test func everyHalfSurvivesARoundTrip() {
        for bits in UInt16.min...UInt16.max where !Float16(bitPattern: bits).isNaN {
            #expect(Half.f16(Half.float(f16: bits)) == bits)
        }
    }

    @Test func encodingRoundsTiesToEven() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200_000 {
            let value = Float(bitPattern: UInt32.random(in: .min ... .max, using: &generator))
            let expected = Float16(value)
            let got = Half.f16(value)
            #expect(got == expected.bitPattern || (value.isNaN && Float16(bitPattern: got).isNaN), "\(value)")
        }
        // Half-way between neighbours, normal and subnormal, and around the largest value.
        for bits in stride(from: UInt16(0), to: 0x7bff, by: 7) {
            let low = Half.float(f16: bits)
            let high = Half.float(f16: bits + 1)
            let middle = (low + high) / 2
            #expect(Half.f16(middle) == Float16(middle).bitPattern)
        }
        #expect(Half.f16(65519.996) == 0x7bff)
        #expect(Half.f16(65520) == 0x7c00)
    }

    @Test func bfloatRoundsTiesToEven() {
        #expect(Half.bf16(1) == 0x3f80)
        #expect(Half.bf16(Float(bitPattern: 0x3f80_8000)) == 0x3f80)
        #expect(Half.bf16(Float(bitPattern: 0x3f81_8000)) == 0x3f82)
        #expect(Half.float(bf16: Half.bf16(.nan)).isNaN)
        #expect(Half.float(bf16: 0x4049) == 3.140625)
    }
}
