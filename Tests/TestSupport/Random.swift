import Tensors

/// A small generator with a fixed seed, so that a failure can be repeated. Source: SplitMix64 (Steele et al. 2014).
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    public mutating func floats(_ count: Int, in range: ClosedRange<Float> = -2...2) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    /// A contiguous F32 tensor of random values.
    public mutating func tensor(_ dimensions: Int..., in range: ClosedRange<Float> = -2...2) -> Tensor {
        let shape = Shape(dimensions)
        return .floats(floats(shape.count, in: range), shape)
    }

    public mutating func element(of shape: Shape) -> ElementIndex {
        ElementIndex(
            Int.random(in: 0..<shape.ne0, using: &self), Int.random(in: 0..<shape.ne1, using: &self),
            Int.random(in: 0..<shape.ne2, using: &self), Int.random(in: 0..<shape.ne3, using: &self))
    }
}
