import Quantization
import SIMDKernels
import Tensors

/// How one head looks from one position: a row of `kq_soft_max`.
public struct AttentionSummary: Sendable, Hashable {
    /// Shannon entropy of the weights; 0 bits: all on one position, log2(N): evenly on all.
    public let entropyBits: Double
    public let topPosition: Int
    public let topWeight: Float
    /// Weight on the first position, where heads park what they do not use.
    public let sinkWeight: Float

    public init(_ weights: [Float]) { self.init(weights.span) }

    /// - Parameter instructions: what computes it; the result is the same with any.
    /// - Precondition: at least one weight.
    public init(_ weights: Span<Float>, instructions: InstructionSet = .best) {
        entropyBits = Self.entropyBits(of: weights, instructions)
        var (top, topIndex) = (-Float.infinity, 0)
        for position in 0..<weights.count where weights[position] > top {
            (top, topIndex) = (weights[position], position)
        }
        topPosition = topIndex
        topWeight = top == -.infinity ? .nan : top
        sinkWeight = weights[0]
    }

    /// Eight sums side by side, of every eighth weight each, added up in the order of `Statistics`.
    private static func entropyBits(of weights: Span<Float>, _ instructions: InstructionSet) -> Double {
        let whole = weights.count / 8 * 8
        var sums: Statistics.Eight = (0, 0, 0, 0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &sums) {
            let lanes = $0.bindMemory(to: Double.self)
            var first = 0
            if let kernel = instructions.rowKernels?.entropy {
                weights.withUnsafeBufferPointer { kernel($0.baseAddress, whole, lanes.baseAddress) }
                first = whole
            }
            for i in first..<weights.count { lanes[i % 8] -= weightedLogarithm(weights[i]) }
        }
        return Statistics.total(sums)
    }

    /// `w log2(w)`: 0 for weights of 0, NaN for NaN. The logarithm is within 1e-15 and the same wherever it is computed,
    /// which is not true of a C library's.
    ///
    /// Of w = 2^k m with m from 0.75 to 1.5, it is k + log2(m); with s = (m - 1) / (m + 1), the series of
    /// 2 artanh(s) / ln 2 has shrunk to 1e-16 after ten terms.
    private static func weightedLogarithm(_ weight: Float) -> Double {
        guard !(weight <= 0) else { return 0 }
        let w = Double(weight)
        let bits = Int64(bitPattern: w.bitPattern)
        let k = (bits - 0x3FE8_0000_0000_0000) >> 52
        let m = Double(bitPattern: UInt64(bitPattern: bits - k << 52))
        let s = (m - 1) / (m + 1)
        var series = 0.0
        for term in logarithmTerms.indices { series = series * (s * s) + logarithmTerms[term] }
        return w * (Double(k) + s * series)
    }

    /// 2 / (ln 2 (2k + 1)), from k = 9 down to 0.
    private static let logarithmTerms: InlineArray<10, Double> = [
        0x1.3703c1f4d0ffep-3, 0x1.5b9ac9b743f0dp-3, 0x1.89f3b1694cffep-3, 0x1.c68f568d31760p-3,
        0x1.0c9a84994022dp-2, 0x1.484b13d7c02a9p-2, 0x1.a61762a7aded9p-2, 0x1.2776c50ef9bfep-1,
        0x1.ec709dc3a03fdp-1, 0x1.71547652b82fep+1,
    ]
}
