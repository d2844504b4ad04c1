import ComputeGraph
import LlamaModel
import Operations
import Quantization
import Tensors
import TestSupport
import Testing

@Suite struct EvaluationTests {
    @Test func everyKindHasACase() {
        let covered = Set(OperationCases.all.map { $0.operation.kind })
        #expect(covered == Set(OperationCatalog.all.map { $0.kind }))
    }

    @Test(arguments: OperationCatalog.all.map { $0.kind })
    func theCatalogFindsEveryKind(kind: String) throws {
        #expect(try #require(OperationCatalog.operation(kind: kind)).kind == kind)
        #expect(OperationCatalog.all.filter { $0.kind == kind }.count == 1)
        #expect(OperationCatalog.operation(kind: kind.lowercased()) == nil)
    }

    @Test(arguments: OperationCases.all)
    func valuesAreTheTextbooks(example: OperationCase) throws {
        let output = try example.output()
        let expected = output.shape.indices.map { example.reference(example.inputs, $0) }
        let scale = expected.map(abs).max()!
        try #require(scale > 0)
        for (index, (value, reference)) in zip(output.shape.indices, zip(output.floats(), expected)) {
            #expect(
                abs(Double(value) - reference) <= example.tolerance * scale,
                "\(index): \(value), expected \(reference)")
        }
    }

    @Test(arguments: OperationCases.all)
    func threadsChangeNothing(example: OperationCase) throws {
        let bits = try example.output().bits
        for threads in [2, 3] { #expect(try example.output(threads: threads).bits == bits) }
    }

    @Test(arguments: OperationCases.all)
    func instructionsChangeNothing(example: OperationCase) throws {
        let bits = try example.output().bits
        for set in InstructionSet.allCases where set.isAvailable {
            #expect(try example.output(instructions: set).bits == bits, "\(set)")
        }
    }

    /// A format's product is near the product of the decoded weights; how near, its activations' precision decides.
    @Test(arguments: Quantized.types)
    func productsOfFormats(type: TensorType) throws {
        let weights = try #require(Quantized.matrix(type, rows: 6, columns: 512))
        var random = SeededGenerator(seed: 3)
        let x = random.tensor(512, 3)
        let output = try MatMul().output(of: [weights, x])
        let table = try GetRows().output(of: [weights, .integers(.i32, (0..<6).map(Int32.init))])
        let magnitude = table.floats().map(abs).max()! * 2 * Float(512).squareRoot()
        for e in output.shape.indices {
            let exact = (0..<512).reduce(0.0) { $0 + table.double($1, e.i0) * x.double($1, e.i1) }
            #expect(abs(Double(output[e]) - exact) <= 0.01 * Double(magnitude), "\(e)")
        }
        #expect(Set(output.bits).count > 10)
    }
}

@Suite struct GraphCatalogTests {
    @Test(arguments: TinyModel.allCases)
    func everyNodeOfABuiltGraphIsInTheCatalog(model: TinyModel) throws { try expectKnownNodes(of: model.load()) }

    @Test(arguments: ArchitectureFixture.all)
    func everyNodeOfAnArchitectureIsInTheCatalog(fixture: ArchitectureFixture) throws {
        try expectKnownNodes(of: fixture.load())
    }

    private func expectKnownNodes(of model: Llama) throws {
        let nodes = try Session(model, positions: 8, threads: 1).pass(over: [1, 2, 3]).interpreter.graph.nodes
        #expect(nodes.count > 30)
        for node in nodes {
            let type = try #require(OperationCatalog.operation(kind: node.kind), "\(node.kind)")
            #expect(ObjectIdentifier(type) == ObjectIdentifier(Swift.type(of: node.operation)))
        }
    }
}
