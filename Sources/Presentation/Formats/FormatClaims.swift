import Quantization
import Quantizing
import Tensors

extension FormatReport.Claim {
    private typealias Example = FormatExplanation.Example

    /// Those about a format.
    static func all(about explanation: FormatExplanation) -> [Self] {
        [outliers, zeroPoint, distillation, fourBits, zeros].compactMap { $0(explanation.type, explanation.sample) }
    }

    /// About the legacy formats.
    private static func outliers(_ type: TensorType, _ weights: SampleWeights) -> Self? {
        let pairs: [TensorType: (TensorType, TensorType)] = [
            .q4_0: (.q4_0, .q4_1), .q4_1: (.q4_0, .q4_1), .q5_0: (.q5_0, .q5_1), .q5_1: (.q5_0, .q5_1),
        ]
        guard let (symmetric, withMinimum) = pairs[type] else { return nil }
        let calm = weights.block(32)
        let outlier = 30 * calm.reduce(0) { max($0, $1.magnitude) }
        var wild = calm
        // Not the smallest one, which the minimum is.
        let index = calm.indices.max { calm[$0] < calm[$1] }!
        wild[index] = outlier
        let others = wild.indices.filter { $0 != index }
        let (before, after) = (Example(calm, as: withMinimum), Example(wild, as: withMinimum))
        let (calmWithout, without) = (Example(calm, as: symmetric), Example(wild, as: symmetric))
        let (m0, m1) = (before.block.scales.minimum!, after.block.scales.minimum!)
        let (d0, d1) = (before.block.scales.scale!, after.block.scales.scale!)
        let smallest = calm.min()!
        return Self(
            claim: "\(withMinimum) has a second factor for outliers",
            finding: [
                "No: its second number m is the block's minimum. Of 32 weights from \(smallest) to \(calm.max()!) it is "
                    + "\(m0); with the largest of them made \(outlier), \(m0 == m1 ? "still" : "it becomes") \(m1). It is "
                    + "the scale d that an outlier changes, here from \(d0) to \(d1). (An outlier below all others "
                    + "would be the minimum itself, and d would grow as much.)",
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
    private static func zeroPoint(_ type: TensorType, _ weights: SampleWeights) -> Self? {
        let length = type.blockElements
        let examples = (0..<weights.count(of: length)).map { Example(weights.block(length, number: $0), as: type) }
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
    private static func distillation(_ type: TensorType, _ weights: SampleWeights) -> Self? {
        guard [.q2_K, .q3_K, .q4_K, .q5_K, .q6_K].contains(type) else { return nil }
        let example = Example(weights.block(type.blockElements), as: type)
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
    private static func fourBits(_ type: TensorType, _ weights: SampleWeights) -> Self? {
        guard type == .q2_K else { return nil }
        let example = Example(weights.block(type.blockElements), as: type)
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

    /// About IQ3_S: what ggml's encoder makes of a group of zeros.
    private static func zeros(_ type: TensorType, _ weights: SampleWeights) -> Self? {
        guard type == .iq3_s else { return nil }
        let plain = weights.block(type.blockElements)
        var holed = plain
        for j in 32..<64 { holed[j] = 0 }
        let (before, after) = (Example(plain, as: type), Example(holed, as: type))
        let others = Array(64..<256)
        let (good, bad) = (before.rmse(others), after.rmse(others))
        let size = (others.reduce(0.0) { $0 + Double(plain[$1]) * Double(plain[$1]) } / Double(others.count))
            .squareRoot()
        return Self(
            claim: "zeros cost nothing",
            finding: [
                "Not in ggml's IQ3_S: its encoder does not step over the indices and signs of a group of 32 zeros, so that "
                    + "those of all groups behind it are stored one group too early and are decoded for other weights. "
                    + "Quipu does the same, so that files are the same.",
                "Tried just now: 256 weights, and again with weights 32 to 63 set to 0. The rmse of weights 64 to 255, which "
                    + "are the same in both, goes from \(Float(good)) to \(Float(bad)); their own size (rms) is \(Float(size)).",
                "Groups of zeros are rare in trained models, common in pruned ones: `quant blocks --reference` shows a block "
                    + "before and after.",
            ],
            numbers: [
                ("rmse_of_others", good), ("rmse_of_others_behind_zeros", bad), ("rms_of_others", size),
            ])
    }
}
