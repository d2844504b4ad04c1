import Quantization
import Testing

@Suite struct TeachingTests {
    private let values: [Float] = [0.5, -1, 0.25, 0, 2, -0.125, 4, -3]

    private func scheme(_ name: String) throws -> any TeachingScheme {
        try #require(TeachingSchemes.all.first { $0.name == name })
    }

    @Test func namesAreUnique() {
        #expect(Set(TeachingSchemes.all.map(\.name)).count == TeachingSchemes.all.count)
        #expect(TeachingSchemes.all.count == 8)
    }

    @Test func absmaxPerTensorByHand() throws {
        let result = try scheme("INT8 absmax/tensor").roundTrip(values, rows: 2, columns: 4)
        let s: Float = 4 / 127
        #expect(result.parameters == [TeachingParameters(scale: s, zeroPoint: 0, count: 8)])
        // 0.5 / s = 15.875, 1 / s = 31.75, 0.25 / s = 7.94, 2 / s = 63.5 (away from zero), 0.125 / s = 3.97
        #expect(result.values == [16, -32, 8, 0, 64, -4, 127, -95].map { $0 * s })
        #expect(result.bitsPerWeight == 8 + 32.0 / 8)
    }

    @Test func absmaxPerRowByHand() throws {
        let result = try scheme("INT8 absmax/row").roundTrip(values, rows: 2, columns: 4)
        let s: (Float, Float) = (1 / 127, 4 / 127)
        #expect(result.parameters.map(\.scale) == [s.0, s.1])
        #expect(result.values == [64, -127, 32, 0].map { $0 * s.0 } + [64, -4, 127, -95].map { $0 * s.1 })
        #expect(result.bitsPerWeight == 8 + 64.0 / 8)
    }

    @Test func affineByHand() throws {
        // The range -3...4: s = 7/255, z = round(109.29) = 109.
        let result = try scheme("INT8 affine/tensor").roundTrip(values, rows: 2, columns: 4)
        let s: Float = 7 / 255
        #expect(result.parameters == [TeachingParameters(scale: s, zeroPoint: 109, count: 8)])
        #expect(result.values == [18, -36, 9, 0, 73, -5, 146, -109].map { $0 * s })
        #expect(result.bitsPerWeight == 8 + 40.0 / 8)
    }

    @Test func affineKeepsZeroInTheRange() throws {
        let result = try scheme("INT8 affine/tensor").roundTrip([10, 11, 12, 0], rows: 1, columns: 4)
        #expect(result.values[3] == 0)
        #expect(result.parameters[0].zeroPoint == 0)
    }

    @Test func fixedPointByHand() throws {
        // 4 < 2^3: m = 3, n = 4 of 8 bits.
        let result = try scheme("Qm.n of 8 bits").roundTrip(values + [3.97, -0.03125], rows: 1, columns: 10)
        #expect(result.parameters[0].scale == 0.0625)
        #expect(result.values == values + [4, -0.0625])
        // Numbers below one half have leading zeros that cost nothing.
        let small = try scheme("Qm.n of 8 bits").roundTrip([0.1, -0.05], rows: 1, columns: 2)
        #expect(small.parameters[0].scale == 0x1p-10)
    }

    @Test(arguments: [32, 128]) func groupsEndWithTheRow(_ length: Int) throws {
        let columns = 160
        let values = (0..<2 * columns).map { Float($0) - 100 }
        let result = try scheme("INT4 affine/group of \(length)").roundTrip(values, rows: 2, columns: columns)
        let counts = length == 32 ? [32, 32, 32, 32, 32] : [128, 32]
        #expect(result.parameters.map(\.count) == counts + counts)
        #expect(result.bitsPerWeight == 4 + Double(36 * 2 * counts.count) / Double(2 * columns))
        // The zero point is rounded, so that an end of the range may be half a step off on top of the half of rounding.
        let parameters = result.parameters.flatMap { Array(repeating: $0, count: $0.count) }
        for i in values.indices { #expect(abs(values[i] - result.values[i]) <= parameters[i].scale * 1.01) }
    }

    @Test func zerosAndNothing() {
        for scheme in TeachingSchemes.all {
            #expect(scheme.roundTrip([0, 0, 0, 0], rows: 2, columns: 2).values == [0, 0, 0, 0], "\(scheme.name)")
            #expect(scheme.roundTrip([], rows: 0, columns: 4).values.isEmpty)
        }
    }

    /// An outlier ruins the step of everything that shares its scale.
    @Test func anOutlierHurtsItsGroupOnly() throws {
        var values = (0..<256).map { Float($0 % 16) / 16 }
        values[3] = 1000
        let tensor = try scheme("INT8 absmax/tensor").roundTrip(values, rows: 8, columns: 32)
        let row = try scheme("INT8 absmax/row").roundTrip(values, rows: 8, columns: 32)
        #expect(tensor.values[33...].allSatisfy { $0 == 0 })
        #expect(zip(values, row.values).dropFirst(32).allSatisfy { abs($0 - $1) < 0.005 })
    }
}
