/// Where a walk stands: an operation of a pass.
public struct StepLocation: Hashable, Sendable, Comparable, Codable {
    /// The pass: 0 is the prompt.
    public var step: Int
    /// The operation's index in the pass's order, from 0.
    public var seq: Int

    public init(step: Int, seq: Int) {
        self.step = step
        self.seq = seq
    }

    public static func < (a: StepLocation, b: StepLocation) -> Bool { (a.step, a.seq) < (b.step, b.seq) }
}

public enum StepDirection: Sendable, Hashable {
    case forward, backward
}
