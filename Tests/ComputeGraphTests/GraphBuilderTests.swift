import ComputeGraph
import Tensors
import Testing

@Suite struct GraphBuilderTests {
    private let vector = Layout(.f32, Shape(8))

    /// Operations are declared from left to right; the order is that of what the result needs, first source first.
    @Test func orderIsDepthFirstWithTheFirstSourceFirst() throws {
        var builder = GraphBuilder()
        let x = builder.leaf("x", vector, .input)
        let w = builder.leaf("w", vector, .weight)
        let late = try builder.apply(Plus(), x, x, name: "late", role: .init(.scores))
        let early = try builder.apply(Plus(), w, x, name: "early", role: .init(.scores))
        let unused = try builder.apply(Plus(), early, late, name: "unused", role: .init(.scores))
        let middle = try builder.apply(Plus(), early, late, name: "middle", role: .init(.scores))
        let result = try builder.apply(Plus(), middle, early, name: "result", role: .init(.scores))
        builder.expand(result)
        let graph = builder.build()
        _ = unused

        #expect(graph.nodes.map(\.name) == ["early", "late", "middle", "result"])
        #expect(graph.nodes.map(\.index) == [0, 1, 2, 3])
        // Leaves too are in the order in which the walk meets them.
        #expect(graph.leaves.map(\.name) == ["w", "x"])
        #expect(graph.leaves.map(\.role) == [.weight, .input])
        #expect(graph.nodes[0].inputs == [.leaf(0), .leaf(1)])
        #expect(graph.nodes[2].inputs == [.node(0), .node(1)])
        #expect(graph.nodes[3].inputs == [.node(2), .node(0)])
        #expect(graph.name(of: .node(3)) == "result" && graph.name(of: .leaf(0)) == "w")
        #expect(graph.layout(of: .node(3)) == vector)
    }

    @Test func expandingEarlierComesEarlier() throws {
        var builder = GraphBuilder()
        let x = builder.leaf("x", vector, .input)
        let a = try builder.apply(Plus(), x, x, name: "a", role: .init(.scores))
        let b = try builder.apply(Plus(), x, x, name: "b", role: .init(.scores))
        let both = try builder.apply(Plus(), a, b, name: "both", role: .init(.scores))
        builder.expand(b)
        builder.expand(both)
        builder.expand(b)
        #expect(builder.build().nodes.map(\.name) == ["b", "a", "both"])
    }

    @Test func namesFollowGgml() throws {
        var builder = GraphBuilder()
        let x = builder.leaf("x", vector, .input)
        builder.layer = 3
        let named = try builder.apply(Plus(), x, x, name: "sum", role: .init(.scores))
        let view = try builder.apply(Half2(), named, role: .init(.scores))
        let again = try builder.apply(Half2("reshaped"), view, role: .init(.scores))
        let own = try builder.apply(Half2("permuted"), named, name: "Qcur", role: .init(.scores))
        builder.layer = nil
        let unnamed = try builder.apply(Plus(), view, own, role: .init(.scores))
        let afterUnnamed = try builder.apply(Half2(), unnamed, role: .init(.scores))
        let stored = try builder.apply(Accumulate(), x, named, role: .init(.scores))
        let last = try builder.apply(Plus(), x, x, name: "last", role: .init(.scores))
        for value in [again, unnamed, afterUnnamed, stored, last] { builder.expand(value) }
        let nodes = builder.build().nodes

        #expect(
            nodes.map(\.name) == [
                "sum-3", "sum-3 (view)", "sum-3 (view) (reshaped)", "Qcur-3", "node_4", " (view)", "sum-3 (sum)",
                "last",
            ])
        #expect(nodes.map(\.layer) == [3, 3, 3, 3, nil, nil, nil, nil])
    }

    @Test func rolesGoWithTheNodes() throws {
        var builder = GraphBuilder()
        let x = builder.leaf("x", vector, .input)
        let product = try builder.apply(Plus(), x, x, role: .init(.query, .product))
        let sum = try builder.apply(Plus(), product, x, role: .init(.query, .biased))
        builder.mark(sum, as: .init(.query))
        builder.expand(sum)
        let graph = builder.build()
        let roles = [NodeRole(.query, .product), NodeRole(.query)]
        #expect(graph.nodes.map(\.role) == roles)
        #expect(graph.nodes.map(\.role.result) == [nil, .query])
        #expect(graph.rebuilt(leaves: graph.leaves) { ($0.operation, $0.inputs) }.nodes.map(\.role) == roles)
        #expect(try graph.replacing(operations: [1: Plus()], layouts: [:]).nodes.map(\.role) == roles)
    }

    @Test func rolesAreTheirText() {
        for part in NodeRole.Part.allCases {
            for step in [nil] + NodeRole.Step.allCases {
                let role = NodeRole(part, step)
                #expect(NodeRole(rawValue: role.rawValue) == role)
                #expect(role.rawValue.allSatisfy { $0.isLowercase || "_.".contains($0) })
            }
        }
        #expect(NodeRole(.attentionWrite, .rows).rawValue == "attention_write.rows")
        for text in ["", "query.", "query.products", ".product", "Query", "query.product.view"] {
            #expect(NodeRole(rawValue: text) == nil, "\(text)")
        }
    }

    @Test func whatDoesNotFitIsRefused() throws {
        var builder = GraphBuilder()
        let x = builder.leaf("x", vector, .input)
        let y = builder.leaf("y", Layout(.f32, Shape(4, 2)), .input)
        let error = #expect(throws: GraphError.self) { try builder.apply(Plus(), x, y, role: .init(.scores)) }
        #expect(
            error
                == .shape(
                    kind: "PLUS", inputs: [vector, Layout(.f32, Shape(4, 2))], expected: "two inputs of one shape"))
        #expect(error?.description == "PLUS of (F32 8, F32 4x2): expected two inputs of one shape")
    }
}
