import Quantization
import Quantizing

extension FormatReport.Claim {
    /// Those about a scheme.
    static func all(about explanation: SchemeExplanation) -> [Self] {
        [zeroPoint, outlier, powersOfTwo].compactMap { $0(explanation.scheme, explanation.weights) }
    }

    /// What a zero point is, and what ggml has instead.
    private static func zeroPoint(_ scheme: any TeachingScheme, _ weights: [Float]) -> Self? {
        guard scheme is AffineScheme else { return nil }
        let groups = scheme.roundTrip(weights, rows: 4, columns: 256).parameters
        let blocks = stride(from: 0, to: weights.count, by: 32).map {
            FormatExplanation.Example(Array(weights[$0..<$0 + 32]), as: .q4_1)
        }
        let exact = blocks.count { $0.block.zeroExact[0] }
        let scales = blocks[0].block.scales
        let nearest = blocks[0].block.book.factors.map { scales.value($0, sub: 0) }.min {
            $0.magnitude < $1.magnitude
        }!
        let first = groups[0]
        return Self(
            claim: "GGUF files store a zero point",
            finding: [
                "No. A zero point z is an integer code, here \(first.zeroPoint) in the first group: a weight of 0 gets code z, "
                    + "and (z - z) * s is 0, exactly, in \(groups.count == 1 ? "the one group" : "all \(groups.count) groups"). The price: z is rounded, "
                    + "which moves the ends of the range by up to half a step.",
                "ggml's formats with a second number (Q4_1, Q5_1, Q2_K, Q4_K, Q5_K) store a float min instead: x = q * d + m. "
                    + "The smallest weight is hit well, 0 only by chance: in \(exact) of \(blocks.count) blocks of these weights in "
                    + "Q4_1. In the first, d = \(scales.scale!) and m = \(scales.minimum!), and a weight of 0 comes back as "
                    + "\(nearest).",
            ],
            numbers: [
                ("zero_point", Double(first.zeroPoint)), ("groups", Double(groups.count)),
                ("q4_1_blocks", Double(blocks.count)), ("q4_1_zero_exact", Double(exact)),
                ("q4_1_nearest_to_zero", Double(nearest)),
            ])
    }

    /// How far one outlier reaches.
    private static func outlier(_ scheme: any TeachingScheme, _ weights: [Float]) -> Self? {
        let largest = weights.reduce(0) { max($0, $1.magnitude) }
        var wild = weights
        let index = weights.indices.max { weights[$0] < weights[$1] }!
        wild[index] = 30 * largest
        let others = weights.indices.filter { $0 != index }
        func rmse(_ values: [Float], _ made: [Float]) -> Double {
            let squares = others.reduce(0.0) { $0 + Double(made[$1] - values[$1]) * Double(made[$1] - values[$1]) }
            return (squares / Double(others.count)).squareRoot()
        }
        func inScheme(_ values: [Float]) -> Double {
            rmse(values, scheme.roundTrip(values, rows: 4, columns: 256).values)
        }
        func inBlocks(_ values: [Float]) -> Double {
            let made = stride(from: 0, to: values.count, by: 32).flatMap {
                FormatExplanation.Example(Array(values[$0..<$0 + 32]), as: .q8_0).block.elements.map(\.value)
            }
            return rmse(values, made)
        }
        let (calm, hurt, q8, q8Hurt) = (inScheme(weights), inScheme(wild), inBlocks(weights), inBlocks(wild))
        return Self(
            claim: "one scale for many weights is enough",
            finding: [
                "Tried just now: the largest of these \(weights.count) weights made 30 times as large. The rmse of the others goes "
                    + "from \(Float(calm)) to \(Float(hurt)), since every weight of its \(scheme.group.name) shares the scale. In "
                    + "Q8_0, with a scale for every 32 weights, it goes from \(Float(q8)) to \(Float(q8Hurt))."
            ],
            numbers: [
                ("rmse", calm), ("rmse_with_outlier", hurt), ("q8_0_rmse", q8), ("q8_0_rmse_with_outlier", q8Hurt),
            ])
    }

    /// About Qm.n: what a scale that is a power of two costs.
    private static func powersOfTwo(_ scheme: any TeachingScheme, _ weights: [Float]) -> Self? {
        guard scheme is FixedPointScheme else { return nil }
        let free = AbsmaxScheme(bits: min(16, scheme.bits), group: .tensor)
        func step(_ scheme: any TeachingScheme) -> Double {
            Double(scheme.roundTrip(weights, rows: 4, columns: 256).parameters[0].scale)
        }
        let (two, any) = (step(scheme), step(free))
        return Self(
            claim: "a power of two as scale costs nothing",
            finding: [
                "It costs up to half of the codes: here the step is \(Float(two)), with any scale allowed it is \(Float(any)), "
                    + "\(Float(two / any)) times smaller. What it gains: a shift takes the place of a multiplication, which "
                    + "counts on processors without floating point. Of ggml's formats only MXFP4 has powers of two."
            ],
            numbers: [("step", two), ("step_with_any_scale", any)])
    }
}
