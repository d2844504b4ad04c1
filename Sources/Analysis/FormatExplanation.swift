import Quantization
import Tensors

/// A format on one page: a block of it made here and now, and what is said about it held against the numbers.
public struct FormatExplanation: Sendable {
    /// A few weights, the block they become, and back.
    public struct Example: Sendable {
        public let weights: [Float]
        public let block: BlockDescription

        public var errors: [Float] { zip(weights, block.elements).map { $1.value - $0 } }

        public var maximumError: Float { errors.reduce(0) { max($0, $1.magnitude) } }
    }

    /// Something that is often said, and what is so.
    public struct Claim: Sendable {
        public let claim: String
        public let finding: [String]
        /// What the finding rests on.
        public let numbers: [(name: String, value: Double)]
    }

    public let type: TensorType
    public let activationType: TensorType
    public let example: Example
    public let claims: [Claim]

    /// The type with a name, in any case.
    ///
    /// - Throws: `BlockProblem` if there is none, or its blocks cannot be made or taken apart.
    public init(named name: String) throws {
        let known = BlockFormats.describable.filter { $0 is any EncodableFormat }.map(\.type.name)
        guard let type = TensorType.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw BlockProblem.unknownFormat(name: name, known: known)
        }
        guard let format = BlockFormats.describableFormat(for: type), format is any EncodableFormat else {
            throw BlockProblem.formatNotDescribable(type: type, known: known)
        }
        self.type = type
        activationType = format.activationType
        example = Example(SampleWeights.bell(type.blockElements), as: type)
        claims = [Claim.outliers, Claim.zeroPoint, Claim.distillation, Claim.fourBits].compactMap { $0(type) }
    }
}

extension FormatExplanation.Example {
    /// - Precondition: one block of weights, in a format that can be made and taken apart.
    init(_ weights: [Float], as type: TensorType) {
        let encoder = BlockFormats.encodableFormat(for: type)!
        var bytes = [UInt8](repeating: 0, count: type.blockBytes)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encoder.encode(weights.span, importance: nil, into: &span)
        self.weights = weights
        block = BlockFormats.describableFormat(for: type)!.describe(bytes.span.bytes)
    }

    /// Root of the mean squared error of some of the weights.
    func rmse(_ indices: some Collection<Int>) -> Double {
        let squares = indices.reduce(0.0) { $0 + Double(errors[$1]) * Double(errors[$1]) }
        return (squares / Double(indices.count)).squareRoot()
    }
}

/// Weights that are the same each time.
enum SampleWeights {
    /// Many small and few large ones of either sign, as in models: cubes of evenly spread numbers, shuffled.
    ///
    /// - Parameter shift: makes other weights, and more of them positive.
    static func bell(_ count: Int, shift: Int = 0) -> [Float] {
        (0..<count).map { j in
            let spread = Float((j * 37 + 11) % 64 - 30 + 3 * shift) / 32
            return 0.5 * spread * spread * spread + 0.05 * spread
        }
    }
}

extension FormatExplanation.Claim {
    private typealias Example = FormatExplanation.Example

    /// About the legacy formats.
    static func outliers(_ type: TensorType) -> Self? {
        let pairs: [TensorType: (TensorType, TensorType)] = [
            .q4_0: (.q4_0, .q4_1), .q4_1: (.q4_0, .q4_1), .q5_0: (.q5_0, .q5_1), .q5_1: (.q5_0, .q5_1),
        ]
        guard let (symmetric, withMinimum) = pairs[type] else { return nil }
        let calm = SampleWeights.bell(32).map { 0.2 * $0 }
        var wild = calm
        let place = 20
        wild[place] = 3
        let others = wild.indices.filter { $0 != place }
        let (before, after) = (Example(calm, as: withMinimum), Example(wild, as: withMinimum))
        let (calmWithout, without) = (Example(calm, as: symmetric), Example(wild, as: symmetric))
        let (m0, m1) = (before.block.scales.minimum!, after.block.scales.minimum!)
        let (d0, d1) = (before.block.scales.scale!, after.block.scales.scale!)
        let smallest = calm.min()!
        return Self(
            claim: "\(withMinimum) has a second factor for outliers",
            finding: [
                "No: its second number m is the block's minimum. Of 32 weights from \(smallest) to \(calm.max()!) it is "
                    + "\(m0); with an outlier of 3 among them it is \(m1), the same. It is the scale d that the outlier "
                    + "changes, from \(d0) to \(d1).",
                "The other 31 weights pay for it in either format: their rmse goes from \(Float(before.rmse(others))) to "
                    + "\(Float(after.rmse(others))) in \(withMinimum), from \(Float(calmWithout.rmse(others))) to "
                    + "\(Float(without.rmse(others))) in \(symmetric).",
                "What the minimum does: codes of \(withMinimum) reach from the smallest to the largest weight, those of "
                    + "\(symmetric) lie about zero, as far as the largest magnitude. Of all 32 weights, without the outlier, rmse is "
                    + "\(Float(before.rmse(wild.indices))) in \(withMinimum) and \(Float(calmWithout.rmse(wild.indices))) in "
                    + "\(symmetric).",
            ],
            numbers: [
                ("smallest_weight", Double(smallest)), ("m_without_outlier", Double(m0)),
                ("m_with_outlier", Double(m1)), ("d_without_outlier", Double(d0)), ("d_with_outlier", Double(d1)),
                ("rmse_of_others_without_outlier", before.rmse(others)),
                ("rmse_of_others_with_outlier", after.rmse(others)),
                ("symmetric_rmse_of_others_without_outlier", calmWithout.rmse(others)),
                ("symmetric_rmse_of_others_with_outlier", without.rmse(others)),
            ])
    }

    /// About formats with a minimum.
    static func zeroPoint(_ type: TensorType) -> Self? {
        let examples = (0..<4).map { Example(SampleWeights.bell(type.blockElements, shift: $0), as: type) }
        guard let name = examples[0].block.scales.minimum.map({ _ in type.blockElements == 32 ? "m" : "dmin * min" })
        else { return nil }
        let subs = examples.flatMap { example in
            example.block.subBlocks.enumerated().map { ($1, example.block.zeroExact[$0]) }
        }
        let exact = subs.count { $0.1 }
        let isAdded = examples[0].block.scales.use == .added
        let shown = subs.filter { $0.0.scale! != 0 }.prefix(4).map { sub, isExact in
            let zero = (isAdded ? -sub.minimum! : sub.minimum!) / sub.scale!
            return "scale \(sub.scale!), \(name) \(sub.minimum!): zero would be code \(zero)"
                + (isExact ? ", which exists" : ", which does not exist")
        }
        let kind = type.blockElements == 32 ? "blocks" : "sub-blocks"
        return Self(
            claim: "a zero point is stored",
            finding: [
                "No: a zero point is an integer code z with x = (q - z) * scale, so that code z is exactly 0. ggml stores "
                    + "a minimum, a number with a fraction, and zero is exact only where it happens to fall on a code: in "
                    + "\(exact) of \(subs.count) \(kind) made just now."
            ] + shown,
            numbers: [("blocks", Double(subs.count)), ("zero_exact", Double(exact))])
    }

    /// About the name of the K-quants.
    static func distillation(_ type: TensorType) -> Self? {
        guard [.q2_K, .q3_K, .q4_K, .q5_K, .q6_K].contains(type) else { return nil }
        let example = Example(SampleWeights.bell(type.blockElements), as: type)
        let (again, subs) = (Example(example.weights, as: type), example.block.subBlocks.count)
        let isSame = again.block.bytes == example.block.bytes
        return Self(
            claim: "K means knowledge distillation",
            finding: [
                "No: nothing is trained and no other model takes part. \(type) was just made from \(example.weights.count) "
                    + "numbers and nothing else, twice, "
                    + (isSame ? "with the same \(again.block.bytes.count) bytes." : "with different bytes."),
                "What these formats share is the super-block: \(type.blockElements) weights in \(subs) sub-blocks of "
                    + "\(type.blockElements / subs), whose scales are themselves integers. ggml calls the length QK_K and "
                    + "the family k-quants; what the letter stands for, its source does not say.",
            ],
            numbers: [
                ("weights", Double(type.blockElements)), ("sub_blocks", Double(subs)),
                ("same_bytes_again", isSame ? 1 : 0),
            ])
    }

    /// About Q2_K.
    static func fourBits(_ type: TensorType) -> Self? {
        guard type == .q2_K else { return nil }
        let example = Example(SampleWeights.bell(type.blockElements), as: type)
        let largest = example.weights.indices.max { example.weights[$0].magnitude < example.weights[$1].magnitude }!
        let code = example.block.elements[largest].stored
        func bits(_ integer: StoredInteger?) -> Int { integer?.parts.reduce(0) { $0 + $1.width } ?? 0 }
        let widths = Set(example.block.elements.map { bits($0.stored) }).sorted()
        let codeBits = example.block.elements.reduce(0) { $0 + bits($1.stored) }
        let scaleBits = example.block.subBlocks.reduce(0) { $0 + bits($1.scaleCode) }
        let minimumBits = example.block.subBlocks.reduce(0) { $0 + bits($1.minimumCode) }
        let rest = 8 * type.blockBytes - codeBits - scaleBits - minimumBits
        return Self(
            claim: "Q2_K turns the largest weights into 4 bits",
            finding: [
                "No: every weight has \(widths.map(String.init).joined(separator: " or ")) bits. The 4 bits are those of each "
                    + "sub-block's scale and of its min.",
                "Bits of a block: codes \(codeBits) + scales \(scaleBits) + mins \(minimumBits) + d and dmin \(rest) = "
                    + "\(8 * type.blockBytes), which is \(type.bitsPerWeight) a weight.",
                "The largest of the \(example.weights.count) weights above, number \(largest) with "
                    + "\(example.weights[largest]), has code \(code.code) in \(bits(code)) bits.",
            ],
            numbers: [
                ("code_bits", Double(codeBits)), ("scale_bits", Double(scaleBits)), ("min_bits", Double(minimumBits)),
                ("d_and_dmin_bits", Double(rest)), ("bits_of_largest_weight", Double(bits(code))),
            ])
    }
}
