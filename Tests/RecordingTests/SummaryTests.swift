import Foundation
import Recording
import Tensors
import TestSupport
import Testing

/// Summaries of rows: the same from every set of kernels this machine has, and right.
@Suite struct SummaryTests {
    /// Of every length around the kernels' groups of eight and sixteen, with what soft max and other operations give, and
    /// with what they should not.
    static let rows: [[Float]] = {
        var random = SeededGenerator(seed: 1)
        let lengths = Array(1...40) + [576, 1001]
        let weights = lengths.map { count in
            let scores = (0..<count).map { _ in exp(Float.random(in: -60...0, using: &random)) }
            let sum = scores.reduce(0, +)
            return scores.map { $0 / sum }
        }
        let odd: [Float] = [
            0, -0.0, 1, -1, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, 0x1.1p-133, .greatestFiniteMagnitude,
            0.75,
            Float(0.75).nextDown, 1.5,
        ]
        let mixed = lengths.map { count in (0..<count).map { _ in odd.randomElement(using: &random)! } }
        return weights + mixed + odd.map { [Float](repeating: $0, count: 24) }
    }()

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func kernelsGiveTheBitsOfTheReference(set: InstructionSet) {
        for row in Self.rows {
            let statistics = Statistics(row.span, instructions: set)
            let reference = Statistics(row.span, instructions: .reference)
            #expect(statistics == reference, "\(row)")
            let summary = AttentionSummary(row.span, instructions: set)
            let same = AttentionSummary(row.span, instructions: .reference)
            #expect(summary.entropyBits.isSame(same.entropyBits), "\(row)")
            #expect(summary.topPosition == same.topPosition && summary.topPosition < row.count)
        }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func partsGiveTheBitsOfTheWhole(set: InstructionSet) {
        for row in Self.rows where row.count > 1 {
            for part in [1, 8, 16, 24, row.count / 2] where part < row.count {
                var sums = StatisticsSums()
                for start in stride(from: 0, to: row.count, by: part) {
                    sums.add(row.span.extracting(start..<min(start + part, row.count)), instructions: set)
                }
                let whole = Statistics(row.span, instructions: .reference)
                #expect(Statistics(sums) == whole, "\(row) in parts of \(part)")
            }
        }
    }

    /// The platform's logarithm is within a unit in the last place, and so is a sum's each step.
    @Test func entropyIsThatOfTheDefinition() {
        for row in Self.rows {
            let entropy = AttentionSummary(row).entropyBits
            if row.contains(where: \.isNaN) {
                #expect(entropy.isNaN)
                continue
            }
            let parts = row.filter { $0 > 0 }.map { -Double($0) * log2(Double($0)) }
            let (expected, size) = (parts.reduce(0, +), parts.map(abs).reduce(0, +))
            #expect(entropy == expected || abs(entropy - expected) <= 1e-14 * size, "\(row)")
        }
    }

    @Test func entropyOfKnownRows() {
        #expect(AttentionSummary([Float](repeating: 0.125, count: 8)).entropyBits == 3)
        #expect(AttentionSummary([Float](repeating: 1 / 1024, count: 1024)).entropyBits == 10)
        let one = AttentionSummary([0, 0, 1, 0])
        #expect((one.entropyBits, one.topPosition, one.topWeight, one.sinkWeight) == (0, 2, 1, 0))
        #expect(AttentionSummary([0.5, 0.5]).topPosition == 0)
    }
}

extension Double {
    /// Not told apart: NaNs.
    fileprivate func isSame(_ other: Double) -> Bool { bitPattern == other.bitPattern || isNaN && other.isNaN }
}
