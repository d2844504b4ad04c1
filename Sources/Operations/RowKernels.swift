import ComputeGraph
import Quantization
import SIMDKernels
import Tensors

/// The C kernels for rows of floats, of the set that workers use. The Swift code of each operation is the reference,
/// and what runs where a set has none.
struct RowKernels: @unchecked Sendable {
    // Unchecked: C functions are code only.
    private let kernels: quipu_row_kernels?

    init(on workers: Workers) {
        let set = workers.instructions
        kernels = set.isAvailable ? set.rowKernels : nil
    }

    /// The kernels for attention of several tokens; `nil` if the set has none.
    static func attention(on workers: Workers) -> quipu_attention_kernels? {
        workers.instructions.isAvailable ? workers.instructions.attentionKernels : nil
    }

    /// `y = exp(x - max)` with `x = scores * scale + mask`; the sum of y, or `nil` if there is no kernel.
    ///
    /// - Precondition: three rows of one length.
    func exponentials(
        _ scores: Span<Float>, _ mask: Span<Float>, scale: Float, into y: inout MutableSpan<Float>
    ) -> Double? {
        guard let kernel = kernels?.exponentials else { return nil }
        precondition(
            mask.count >= scores.count && y.count == scores.count, "\(scores.count), \(mask.count), \(y.count)")
        return y.withUnsafeMutableBufferPointer { y in
            scores.withUnsafeBufferPointer { scores in
                mask.withUnsafeBufferPointer {
                    kernel(scores.baseAddress, $0.baseAddress, scale, scores.count, y.baseAddress)
                }
            }
        }
    }

    /// `y = gate / (1 + exp(-gate)) * up` of whole groups of sixteen; how many values that were.
    ///
    /// - Precondition: three rows of one length.
    func swiglu(_ gate: Span<Float>, _ up: Span<Float>, into y: inout MutableSpan<Float>) -> Int {
        guard let kernel = kernels?.swiglu else { return 0 }
        precondition(up.count == gate.count && y.count == gate.count, "\(gate.count), \(up.count), \(y.count)")
        let count = gate.count / vectorLanes * vectorLanes
        y.withUnsafeMutableBufferPointer { y in
            gate.withUnsafeBufferPointer { gate in
                up.withUnsafeBufferPointer { kernel(gate.baseAddress, $0.baseAddress, count, y.baseAddress) }
            }
        }
        return count
    }

    /// The pairs of `x` turned by their `rotations` (cosine and sine, side by side); false if there is no kernel.
    ///
    /// - Precondition: three rows of one even length.
    func rotate(_ x: Span<Float>, by rotations: Span<Float>, into y: inout MutableSpan<Float>) -> Bool {
        guard let kernel = kernels?.rotate else { return false }
        precondition(rotations.count == x.count && y.count == x.count, "\(x.count), \(rotations.count), \(y.count)")
        y.withUnsafeMutableBufferPointer { y in
            x.withUnsafeBufferPointer { x in
                rotations.withUnsafeBufferPointer { kernel(x.baseAddress, $0.baseAddress, x.count, y.baseAddress) }
            }
        }
        return true
    }
}
