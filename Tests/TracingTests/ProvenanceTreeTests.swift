import ComputeGraph
import GGUF
import LlamaModel
import Operations
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

@Suite struct ProvenanceTreeTests {
    /// At each sum, the terms that are followed and those that are not are the element; below, weights are in the file.
    @Test(arguments: [TinyModel.gqa, .biases, .kQuants])
    func termsAddUp(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 2, Capture(.all))
        for step in 0..<2 {
            let provenance = try recorded.provenance(step: step)
            let node = try provenance.node(TensorAddress("result_output"))
            let tree = try provenance.tree(of: node, at: ElementIndex(7), depth: 14, breadth: 2)
            var seen = (weights: 0, inputs: 0, caches: 0, operations: Set<String>())
            try check(tree, provenance, &seen)
            #expect(seen.weights > 20)
            #expect(seen.operations.isSuperset(of: ["MUL_MAT", "MUL", "RMS_NORM", "ADD", "SWIGLU"]))
        }
    }

    private func check(
        _ tree: ProvenanceTree, _ provenance: Provenance,
        _ seen: inout (weights: Int, inputs: Int, caches: Int, operations: Set<String>)
    ) throws {
        switch tree.origin {
        case .operation(let kind): seen.operations.insert(kind)
        case .weight(let weight): try check(weight, provenance, &seen)
        case .input: seen.inputs += 1
        case .cache: seen.caches += 1
        }
        if let factor = tree.factor { try check(factor, provenance, &seen) }
        let terms = tree.children.compactMap(\.contribution)
        if terms.count == tree.children.count, !terms.isEmpty {
            let (rest, magnitude) = (tree.rest?.contribution ?? 0, terms.reduce(0) { $0 + abs($1) })
            // Q8_1 rounds sums to F16, which no term shows: 2^-11 of the minima's share.
            #expect(
                abs(terms.reduce(rest, +) - Double(tree.value)) <= 0x1p-10 * (magnitude + abs(rest) + 1),
                "\(tree.address)")
        }
        for child in tree.children + tree.factorTree { try check(child, provenance, &seen) }
    }

    /// The weight that is named is the weight there.
    private func check(
        _ weight: StoredWeight, _ provenance: Provenance,
        _ seen: inout (weights: Int, inputs: Int, caches: Int, operations: Set<String>)
    ) throws {
        seen.weights += 1
        let info = weight.block.tensor
        #expect(weight.byteOffset >= info.fileOffset && weight.byteOffset < info.fileOffset + info.byteCount)
        guard info.type == .q4_1 else { return }
        let index = weight.column % 32
        let byte = provenance.model.file.parts[0].withBytes(in: weight.byteOffset..<weight.byteOffset + 1) {
            $0.unsafeLoad(as: UInt8.self)
        }
        #expect(weight.element.code == Int(index < 16 ? byte & 15 : byte >> 4))
    }

    /// Keys and values of this pass are followed to where they were made, those of earlier ones end in the cache.
    @Test func theCacheIsFollowedWithinAPass() async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.all))
        for step in 0..<2 {
            let provenance = try recorded.provenance(step: step)
            let node = try #require(provenance.graph.nodes.last { $0.name == "kqv-1" })
            let tree = try provenance.tree(
                of: node, at: ElementIndex(3, node.layout.shape.ne1 - 1, 2), depth: 2, breadth: 99)
            let values = tree.children.map { $0.factorTree[0] }
            #expect(values.count == provenance.firstPosition + provenance.tokens.count)
            for value in values {
                let isEarlier: Bool
                if case .cache(let position) = value.origin {
                    isEarlier = true
                    #expect(position < provenance.firstPosition)
                } else {
                    isEarlier = false
                    #expect(value.address.hasPrefix("Vcur-1"), "\(value.address)")
                }
                #expect(isEarlier == (value.address.hasPrefix("cache_v")))
            }
            #expect(values.count { $0.address.hasPrefix("cache_v") } == provenance.firstPosition)
        }
    }
}
