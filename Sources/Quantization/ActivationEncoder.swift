internal import SIMDKernels
import Tensors

/// Converts activations to the type that weights are multiplied with: by the C kernel of an instruction set where there
/// is one, else, and for values that need care (not finite, or vanishing), by the format's own code. The bits are the same.
public struct ActivationEncoder: @unchecked Sendable {
    // Unchecked: a C function is code only.
    private typealias Kernel = @convention(c) (UnsafePointer<Float>?, Int, UnsafeMutableRawPointer?) -> Bool

    /// What activations are converted to.
    public let format: any ActivationFormat
    private let kernel: Kernel?

    /// Chooses the kernel. Where the set has none for the format, or does not run here, the format's own code is used.
    public init(_ format: any ActivationFormat, on set: InstructionSet) {
        self.format = format
        guard let kernels = set.kernels, set.isAvailable, let rows = quipu_row_kernels_of(kernels)?.pointee else {
            kernel = nil
            return
        }
        switch format.type {
        case .q8_0: kernel = rows.encode_q8_0
        case .q8_1: kernel = rows.encode_q8_1
        case .q8_K: kernel = rows.encode_q8_k
        case .f16: kernel = rows.encode_f16
        default: kernel = nil
        }
    }

    /// Converts all values of a tensor of floats, whose rows may lie apart.
    public func encode(_ values: Tensor) -> Tensor {
        let result = Tensor.unwritten(format.type, values.shape)
        guard !values.layout.isContiguous else {
            values.withElements(of: Float.self) { values in
                result.buffer.withMutableBytes(in: 0..<result.layout.byteCount) { encode(values, into: &$0) }
            }
            return result
        }
        let (shape, rowBytes) = (values.shape, result.layout.rowBytes)
        for number in 0..<shape.rows {
            let (i1, i2, i3) = (number % shape.ne1, number / shape.ne1 % shape.ne2, number / (shape.ne1 * shape.ne2))
            values.withRow(of: Float.self, i1, i2, i3) { row in
                result.buffer.withMutableBytes(in: number * rowBytes..<(number + 1) * rowBytes) {
                    encode(row, into: &$0)
                }
            }
        }
        return result
    }

    /// Converts a row.
    ///
    /// - Precondition: whole blocks, and exactly as many bytes as they take.
    public func encode(_ values: Span<Float>, into output: inout MutableRawSpan) {
        precondition(
            output.byteCount == format.type.rowBytes(values.count),
            "\(output.byteCount) bytes for \(values.count) values of \(format.type)")
        // Safe: C reads `count` values and writes the bytes that were just counted.
        let isDone = output.withUnsafeMutableBytes { output in
            values.withUnsafeBufferPointer { kernel?($0.baseAddress, $0.count, output.baseAddress) ?? false }
        }
        if !isDone { format.encodeActivations(values, into: &output) }
    }
}
