import Recording
import Tracing

/// Which experts the tokens of a run went through; an item a choice, and an item a layer.
public struct ExpertsDigest: Encodable, Sendable {
    struct Layers: Encodable {
        let layer: [Int]
        let nExperts: [Int]
        let nUsed: [Int]
        let entropyBits: [Double?]
        let alike: [Double?]
    }

    struct Passes: Encodable {
        let step: [Int]
        let nDistinct: [Int]
        let nExperts: [Int]
        let bytesRead: [Int]
        let bytesAll: [Int]
        let shareIfEven: [Double?]
    }

    let layers: Layers
    let passes: Passes
    private(set) var layer: [Int] = []
    private(set) var position: [Int] = []
    private(set) var slot: [Int] = []
    private(set) var expert: [Int] = []
    private(set) var probability: [Double?] = []
    private(set) var weight: [Double?] = []

    /// Choices that a page has.
    private static let limit = 40_000

    /// `nil` if the run's model has no experts.
    init?(of run: RecordedRun, in store: TraceStore, _ notes: inout [String]) throws {
        let traffic: ExpertTraffic
        do { traffic = try ExpertTraffic(run, in: store) } catch ExpertProblem.none { return nil }
        layers = Layers(
            layer: traffic.layers.map(\.layer), nExperts: traffic.layers.map(\.experts),
            nUsed: traffic.layers.map(\.used), entropyBits: traffic.layers.map { $0.entropyBits?.digits(4) },
            alike: traffic.layers.map { $0.alike?.digits(4) })
        passes = Passes(
            step: traffic.passes.map(\.step), nDistinct: traffic.passes.map(\.distinct),
            nExperts: traffic.passes.map(\.experts), bytesRead: traffic.passes.map(\.bytesRead),
            bytesAll: traffic.passes.map(\.bytesAll), shareIfEven: traffic.passes.map { $0.shareIfEven.digits(4) })
        for choice in traffic.choices.prefix(Self.limit) {
            layer.append(choice.layer)
            position.append(choice.position)
            slot.append(choice.slot)
            expert.append(choice.expert)
            probability.append(choice.probability?.digits(4))
            weight.append(choice.weight?.digits(4))
        }
        if traffic.choices.count > Self.limit {
            notes.append("Of \(traffic.choices.count) choices of experts, the first \(Self.limit) are shown.")
        }
    }
}
