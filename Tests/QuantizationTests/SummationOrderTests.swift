import Quantization
import Tensors
import Testing

/// The orders of summation, spelled out lane by lane from ggml's `GGML_F32x16_REDUCE` and tinyBLAS, against the formats'.
@Suite struct SummationOrderTests {
    /// Adds in `lanes` partial sums, then folds halves, as `_mm512_reduce_add_ps` does after the four registers of one
    /// column were added as (0 + 2) + (1 + 3).
    private func sum(_ x: [Float], _ w: [Float], lanes count: Int, fused: Bool) -> Float {
        var lanes = [Float](repeating: 0, count: count)
        for i in x.indices {
            lanes[i % count] = fused ? lanes[i % count].addingProduct(x[i], w[i]) : lanes[i % count] + x[i] * w[i]
        }
        while lanes.count > 1 {
            let half = lanes.count / 2
            lanes = (0..<half).map { lanes[$0] + lanes[$0 + half] }
        }
        return lanes[0]
    }

    private func values(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Half.float(f16: Half.f16(Float(Int32(truncatingIfNeeded: state >> 33)) * 0x1p-29))
        }
    }

    private func product(_ format: any BlockFormat, _ w: [Float], _ x: [Float], _ order: SummationOrder) throws -> Float
    {
        let activation = try #require(format as? any ActivationFormat)
        let (weights, activations) = (activation.encoded(w), activation.encoded(x))
        var result: [Float] = [0]
        var out = result.mutableSpan
        format.dotRows(
            weights.span.bytes, stride: weights.count, activations.span.bytes, count: x.count, order: order, into: &out)
        return result[0]
    }

    @Test(arguments: [64, 128, 576]) func oneColumn(_ count: Int) throws {
        let (w, x) = (values(count, seed: 1), values(count, seed: 2))
        #expect(try product(FormatF16(), w, x, .single) == sum(x, w, lanes: 64, fused: false))
        #expect(try product(FormatF32(), w, x, .single) == sum(x, w, lanes: 64, fused: true))
    }

    @Test(arguments: [16, 64, 112, 576]) func tile(_ count: Int) throws {
        let (w, x) = (values(count, seed: 3), values(count, seed: 4))
        let order = SummationOrder(isTile: true, isPadded: false)
        #expect(try product(FormatF16(), w, x, order) == sum(x, w, lanes: 16, fused: false))
        #expect(try product(FormatF32(), w, x, order) == sum(x, w, lanes: 16, fused: true))
    }

    /// Positions of the cache: as if zeros followed.
    @Test(arguments: [1, 5, 17, 63, 65]) func paddedRows(_ count: Int) throws {
        let (w, x) = (values(count, seed: 5), values(count, seed: 6))
        for isTile in [false, true] {
            let order = SummationOrder(isTile: isTile, isPadded: true)
            #expect(
                try product(FormatF16(), w, x, order) == sum(x, w, lanes: isTile ? 16 : 64, fused: false),
                "tile \(isTile)")
        }
    }
}
