import ComputeGraph
import Tensors

/// Scores, soft max and mix of several tokens as one, where nobody looks at scores and shares: what is hidden from a query
/// is not computed, and keys and values are converted once for many queries.
///
/// Inputs: keys F16 `[D,N,K]`, queries F32 `[D,T,H]`, mask F32 `[N,T]`, sinks F32 `[H]` where there are some, values F16
/// `[N,E,K]`. Output F32 `[E,T,H]`, to the bit what `MatMul`, `SoftMax` and `MatMul` make.
struct Attention: Fusion {
    static let kind = "ATTENTION"

    private let scale: Float
    private let window: Int?

    /// - Returns: `nil` if a score that is hidden could count most.
    init?(_ softMax: SoftMax) {
        guard softMax.scale > 0, softMax.scale.isFinite else { return nil }
        (scale, window) = (softMax.scale, softMax.window)
    }

    /// The mask.
    let sharedInput = 2

    /// Of each token the first position that it sees and the one after the last. I32 `[2,T]`
    ///
    /// - Returns: `nil` if a token sees none, or not all between, or some less than others.
    func prepare(_ mask: Tensor, on workers: Workers) -> Tensor? {
        guard mask.shape.rows == mask.shape.ne1 else { return nil }
        let result = Tensor.unwritten(.i32, Shape(2, mask.shape.ne1))
        workers.run(items: mask.shape.ne1, grain: rowGrain(elementsPerRow: mask.shape.ne0)) { tokens in
            for token in tokens {
                let seen = mask.withRow(of: Float.self, token) { Self.seen($0) } ?? 0..<0
                result.withMutableRow(of: Int32.self, token) { row in
                    row[0] = Int32(seen.lowerBound)
                    row[1] = Int32(seen.upperBound)
                }
            }
        }
        let seesAll = result.withElements(of: Int32.self) { seen in
            (0..<mask.shape.ne1).allSatisfy { seen[2 * $0] < seen[2 * $0 + 1] }
        }
        return seesAll ? result : nil
    }

    private static func seen(_ mask: Span<Float>) -> Range<Int>? {
        var (begin, end) = (0, mask.count)
        while begin < end, mask[begin] == -.infinity { begin += 1 }
        while begin < end, mask[end - 1] == -.infinity { end -= 1 }
        for index in begin..<end where mask[index] != 0 { return nil }
        return begin..<end
    }

    func evaluate(_ inputs: [Tensor], prepared: Tensor, into output: Tensor, on workers: Workers) -> Bool {
        guard let attention = AttentionKernel(inputs, seen: prepared, scale: scale, output: output, on: workers)
        else { return false }
        return attention.run(on: workers)
    }

    /// Products and what else a soft max does of the positions that are seen; keys and values are read once.
    func cost(inputs: [Layout], output: Layout) -> Cost {
        let (positions, tokens) = (inputs[0].shape.ne1, output.shape.ne1)
        let pairs = (0..<tokens).reduce(0) { $0 + min(positions - tokens + $1 + 1, window ?? .max) }
        let products = 2 * inputs[0].shape.ne0 + 2 * output.shape.ne0
        return Cost(
            operations: pairs * output.shape.ne2 * (products + SoftMax.operationsPerElement),
            bytesRead: inputs.reduce(0) { $0 + $1.byteCount }, bytesWritten: output.byteCount)
    }
}
