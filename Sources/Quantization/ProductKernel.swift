package import SIMDKernels
import Tensors

extension InstructionSet {
    /// Whether this build has kernels for the set and this processor runs them.
    public var isAvailable: Bool { kernels.map { quipu_can_run($0) } ?? true }

    /// The fastest set that this processor runs. Where there is none of its own, that is the reference: what Swift's
    /// vectors make of it is faster than plain C.
    public static let best: InstructionSet =
        [.avx512, .avxvnni, .avx2, .neondot, .neon].first(where: \.isAvailable) ?? .reference

    /// The set's kernels for rows of floats, for `Operations`; `nil` if it has none.
    package var rowKernels: quipu_row_kernels? { kernels.flatMap { quipu_row_kernels_of($0)?.pointee } }

    /// The set's kernels for attention of several tokens, for `Operations`; `nil` if it has none.
    package var attentionKernels: quipu_attention_kernels? {
        kernels.flatMap { quipu_attention_kernels_of($0)?.pointee }
    }

    /// The set's name in C; `nil` for the reference.
    var kernels: quipu_instructions? {
        switch self {
        case .reference: nil
        case .portable: QUIPU_PORTABLE
        case .avx2: QUIPU_AVX2
        case .avxvnni: QUIPU_AVXVNNI
        case .avx512: QUIPU_AVX512
        case .neon: QUIPU_NEON
        case .neondot: QUIPU_NEONDOT
        }
    }
}

/// Products of rows of weights with rows of activations, by the C kernels of one instruction set.
///
/// Gives the bits of the format's `dotRows`. This is one of the few files that hand memory to C: every size that C
/// relies on is checked here.
public struct ProductKernel: @unchecked Sendable {
    // A constant table of functions: never written, never freed.
    private let kernel: UnsafePointer<quipu_product_kernel>
    private let format: any BlockFormat

    /// `nil` if the set is the reference, cannot run here, or has no kernel for the format.
    public init?(for format: any BlockFormat, on set: InstructionSet) {
        guard let kernels = set.kernels, set.isAvailable,
            let kernel = quipu_product_kernel_for(kernels, Int32(bitPattern: format.type.rawValue))
        else { return nil }
        self.kernel = kernel
        self.format = format
    }

    /// The sizes of a product. Strides are bytes from one row or token to the next, of the output: values.
    public struct Sizes: Sendable {
        /// Rows of weights.
        public var rows: Int
        /// Rows of activations.
        public var tokens: Int
        /// Values in a row: a multiple of the block lengths.
        public var count: Int
        /// Bytes from one row of weights to the next.
        public var weightStride: Int
        /// Bytes from one token's activations to the next token's.
        public var activationStride: Int
        /// Values from one token's outputs to the next token's; at least `rows`.
        public var outputStride: Int
        /// Matters to F32 and F16 only.
        public var order: SummationOrder

        /// Parameters are the properties of the same names.
        public init(
            rows: Int, tokens: Int, count: Int, weightStride: Int, activationStride: Int, outputStride: Int,
            order: SummationOrder
        ) {
            self.rows = rows
            self.tokens = tokens
            self.count = count
            self.weightStride = weightStride
            self.activationStride = activationStride
            self.outputStride = outputStride
            self.order = order
        }
    }

    /// Tokens that are prepared together.
    public var preparedTokens: Int { kernel.pointee.prepared_tokens }

    /// Bytes that `prepare` writes for each such group of a product of so many tokens, of `count` values each; 0 if there
    /// is nothing to prepare.
    public func preparedBytes(count: Int, tokens: Int) -> Int {
        kernel.pointee.prepared_bytes.map { $0(count, tokens) } ?? 0
    }

    /// Writes what products of several tokens would otherwise compute again for each row.
    ///
    /// - Parameters:
    ///   - activations: the tokens that are prepared now, one row each.
    ///   - stride: bytes from one token to the next.
    ///   - tokens: how many are prepared now, at most `preparedTokens`.
    ///   - total: the tokens of the whole product.
    ///   - count: values in a row.
    ///   - output: `preparedBytes` bytes.
    /// - Precondition: the activations of up to `preparedTokens` tokens in the type of the format's `activationType`, and
    ///   `preparedBytes`.
    public func prepare(
        _ activations: RawSpan, stride: Int, tokens: Int, of total: Int, count: Int,
        into output: inout MutableRawSpan
    ) {
        precondition(
            (1...preparedTokens).contains(tokens)
                && activations.byteCount >= (tokens - 1) * stride + format.activationType.rowBytes(count)!
                && output.byteCount == preparedBytes(count: count, tokens: total),
            """
            \(activations.byteCount) and \(output.byteCount) bytes for \(tokens) of \(total) tokens of \(count) values \
            of \(format.activationType)
            """)
        output.withUnsafeMutableBytes { output in
            activations.withUnsafeBytes {
                kernel.pointee.prepare($0.baseAddress, stride, tokens, count, output.baseAddress)
            }
        }
    }

    /// `output[t, r] = sum over k of weights[r, k] * activations[t, k]`.
    ///
    /// - Parameters:
    ///   - weights: from the first row's first byte to the last row's last.
    ///   - activations: of all tokens, in the format's `activationType`.
    ///   - prepared: what `prepare` wrote for all tokens, group after group.
    ///   - sizes: rows, tokens, values and strides.
    ///   - output: from the first token's first row to the last token's last row. Only the rows' elements are written,
    ///     so that others may write other rows of the same tokens at the same time.
    public func multiply(
        _ weights: RawSpan, _ activations: RawSpan, prepared: RawSpan, _ sizes: Sizes,
        into output: inout MutableSpan<Float>
    ) {
        let preparedStride = preparedBytes(count: sizes.count, tokens: sizes.tokens)
        check(weights, activations, prepared, sizes, outputs: output.count)
        weights.withUnsafeBytes { weights in
            activations.withUnsafeBytes { activations in
                prepared.withUnsafeBytes { prepared in
                    output.withUnsafeMutableBufferPointer { output in
                        var product = quipu_product(
                            weights: weights.baseAddress, weight_stride: sizes.weightStride,
                            activations: activations.baseAddress, activation_stride: sizes.activationStride,
                            prepared: prepared.isEmpty ? nil : prepared.baseAddress, prepared_stride: preparedStride,
                            output: output.baseAddress, output_stride: sizes.outputStride, rows: sizes.rows,
                            tokens: sizes.tokens, count: sizes.count, is_tile: sizes.order.isTile,
                            is_padded: sizes.order.isPadded)
                        kernel.pointee.multiply(&product)
                    }
                }
            }
        }
    }

    private func check(
        _ weights: RawSpan, _ activations: RawSpan, _ prepared: RawSpan, _ sizes: Sizes, outputs: Int
    ) {
        let (row, token) = (format.type.rowBytes(sizes.count), format.activationType.rowBytes(sizes.count))
        guard let row, let token else {
            preconditionFailure("\(sizes.count) values are no whole blocks of \(format.type)")
        }
        let groups = (sizes.tokens + preparedTokens - 1) / preparedTokens
        precondition(
            sizes.rows > 0 && sizes.tokens > 0
                && weights.byteCount >= (sizes.rows - 1) * sizes.weightStride + row
                && activations.byteCount >= (sizes.tokens - 1) * sizes.activationStride + token
                && prepared.byteCount == groups * preparedBytes(count: sizes.count, tokens: sizes.tokens)
                && outputs >= (sizes.tokens - 1) * sizes.outputStride + sizes.rows,
            """
            \(weights.byteCount), \(activations.byteCount), \(prepared.byteCount) bytes and \(outputs) values \
            for \(sizes)
            """)
    }
}
