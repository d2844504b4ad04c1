import ComputeGraph
import Operations
import Quantization
import Tensors

/// A score of latent attention, asked of the latent vector, beside the score that the head's own key would give.
///
/// `q · (W c) = (Wᵀ q) · c`: what would unpack the key out of the latent vector c is multiplied into the query instead, once
/// for all positions, so that the cache keeps c alone. The part that is rotated is the same in both.
/// Source: DeepSeek-AI 2024, "DeepSeek-V2", section 2.1.2.
public struct AbsorbedScore: Sendable {
    public let position: Int
    public let head: Int
    /// What the absorbed query and the latent vector give; what the head's query and its key, unpacked, give; and what the
    /// rotated parts add to either. All in Double, of the values that the cache has.
    public let latent: Double
    public let unpacked: Double
    public let rotated: Double
    /// Products of the two ways, the rotated part included.
    public let absorbedProducts: Int
    public let unpackedProducts: Int

    public var absorbedScore: Double { latent + rotated }
    public var unpackedScore: Double { unpacked + rotated }

    /// - Returns: `nil` for anything but a score of latent attention.
    public init?(_ node: Node, at element: ElementIndex, in provenance: Provenance) {
        guard node.role.result == .scores, let layer = node.layer,
            let sizes = provenance.model.configuration.perLayer[layer].latent,
            let absorbed = provenance.graph.nodes.first(where: {
                $0.layer == layer && $0.role == NodeRole(.query, .absorbed)
            })
        else { return nil }
        (position, head) = (element.i0, element.i2)
        let cached = provenance.tensor(of: node.inputs[0]).row(element.i0, 0, 0)
        let asked = provenance.tensor(of: node.inputs[1]).row(element.i1, element.i2, 0)
        let query = provenance.tensor(of: absorbed.inputs[1]).row(element.i1, element.i2, 0)
        let matrix = provenance.tensor(of: absorbed.inputs[0])
        func products(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
            zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        latent = products(cached[..<sizes.rank], asked[..<sizes.rank])
        rotated = products(cached[sizes.rank...], asked[sizes.rank...])
        var key = [Double](repeating: 0, count: query.count)
        for r in 0..<sizes.rank {
            for (j, weight) in matrix.decodedRow(r, element.i2).enumerated() {
                key[j] += Double(weight) * Double(cached[r])
            }
        }
        unpacked = zip(query, key).reduce(0) { $0 + Double($1.0) * $1.1 }
        (absorbedProducts, unpackedProducts) = (sizes.rank + sizes.rotated, sizes.keySize)
    }
}
