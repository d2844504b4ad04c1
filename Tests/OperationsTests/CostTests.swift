import ComputeGraph
import LlamaModel
import Operations
import Tensors
import TestSupport
import Testing

@Suite struct CostTests {
    private func cost(_ operation: any ComputeGraph.Operation, _ inputs: Layout...) throws -> Cost {
        operation.cost(inputs: inputs, output: try operation.output(for: inputs).layout)
    }

    private func f32(_ ne: Int...) -> Layout { Layout(.f32, Shape(ne)) }

    @Test func productsCountMultiplyAndAddAndStoredBytes() throws {
        // 576 x 576 Q4_1: 576 rows of 18 blocks of 20 bytes.
        let weights = Layout(.q4_1, Shape(576, 576))
        #expect(
            try cost(MatMul(), weights, f32(576, 5))
                == Cost(
                    operations: 2 * 576 * 576 * 5, bytesRead: 576 * 18 * 20 + 576 * 5 * 4, bytesWritten: 576 * 5 * 4))
        #expect(
            try cost(MatMul(), f32(7, 3), f32(7))
                == Cost(operations: 2 * 7 * 3, bytesRead: (21 + 7) * 4, bytesWritten: 12))
    }

    /// 3 KV heads serve 9 query heads: arithmetic as for 9, bytes of 3.
    @Test func groupedHeadsAreReadOnce() throws {
        let keys = Layout(type: .f16, shape: Shape(64, 20, 3), strides: .init(2, 384, 128, 196_608))
        #expect(
            try cost(MatMul(cachedDimension: 1), keys, f32(64, 5, 9))
                == Cost(
                    operations: 2 * 64 * 20 * 5 * 9, bytesRead: 64 * 20 * 3 * 2 + 64 * 5 * 9 * 4,
                    bytesWritten: 20 * 5 * 9 * 4))
    }

    @Test func onlyTouchedRowsCount() throws {
        let table = Layout(.q4_1, Shape(576, 49152))
        #expect(
            try cost(GetRows(), table, Layout(.i32, Shape(5)))
                == Cost(operations: 0, bytesRead: 5 * 18 * 20 + 5 * 4, bytesWritten: 576 * 5 * 4))
        #expect(
            try cost(SetRows(), f32(192, 5), Layout(.i64, Shape(5)), Layout(.f16, Shape(192, 512)))
                == Cost(operations: 0, bytesRead: 192 * 5 * 4 + 5 * 8, bytesWritten: 192 * 5 * 2))
    }

    /// Of 8 experts of 10 rows of 2 blocks: as many as were chosen, each once; without values, as many as may have been.
    @Test func onlyChosenExpertsAreRead() throws {
        let experts = Layout(.q4_1, Shape(64, 10, 8))
        func read(_ distinct: Int, tokens: Int) -> Cost {
            Cost(
                operations: 2 * 64 * 10 * 2 * tokens,
                bytesRead: distinct * 10 * 2 * 20 + 64 * tokens * 4 + 2 * tokens * 4,
                bytesWritten: 10 * 2 * tokens * 4)
        }
        #expect(try cost(MatMulID(), experts, f32(64, 1, 1), Layout(.i32, Shape(2))) == read(2, tokens: 1))
        #expect(try cost(MatMulID(), experts, f32(64, 1, 9), Layout(.i32, Shape(2, 9))) == read(8, tokens: 9))
        let inputs = [
            Tensor.zeros(.q4_1, Shape(64, 10, 8)), .zeros(.f32, Shape(64, 1, 3)),
            .integers(.i32, [Int32(5), 1, 1, 5, 7, 5], Shape(2, 3)),
        ]
        let output = Tensor.zeros(.f32, Shape(10, 2, 3))
        #expect(MatMulID().cost(inputs: inputs, output: output) == read(3, tokens: 3))
        #expect(SumRows().cost(inputs: [inputs[1]], output: .zeros(.f32, Shape(1, 1, 3))).operations == 192)
    }

    @Test func elementwiseCosts() throws {
        let bytes = 8 * 3 * 4
        #expect(try cost(RMSNorm(epsilon: 0), f32(8, 3)) == Cost(operations: 72, bytesRead: bytes, bytesWritten: bytes))
        #expect(try cost(Scale(by: 2), f32(8, 3)) == Cost(operations: 24, bytesRead: bytes, bytesWritten: bytes))
        #expect(try cost(Mul(), f32(8, 3), f32(8)) == Cost(operations: 24, bytesRead: bytes + 32, bytesWritten: bytes))
        #expect(
            try cost(Add(), f32(8, 3), f32(8, 3)) == Cost(operations: 24, bytesRead: 2 * bytes, bytesWritten: bytes))
        #expect(
            try cost(SwiGLU(), f32(8, 3), f32(8, 3)) == Cost(operations: 120, bytesRead: 2 * bytes, bytesWritten: bytes)
        )
        #expect(try cost(Cont(Shape(24)), f32(8, 3)) == Cost(operations: 0, bytesRead: bytes, bytesWritten: bytes))
        #expect(
            try cost(SoftMax(scale: 1), f32(8, 3, 2), f32(8, 3))
                == Cost(operations: 6 * 48, bytesRead: 3 * bytes, bytesWritten: 2 * bytes))
        #expect(
            try cost(RoPE(Reference.Rotation().parameters), f32(16, 2, 3), Layout(.i32, Shape(3)))
                == Cost(operations: 3 * 96, bytesRead: 96 * 4 + 12, bytesWritten: 96 * 4))
    }

    @Test(arguments: OperationCases.all)
    func viewsCostNothingAndOthersSomething(example: OperationCase) throws {
        let output = try example.operation.output(for: example.inputs.map(\.layout))
        let cost = example.operation.cost(inputs: example.inputs.map(\.layout), output: output.layout)
        #expect((cost == .none) == output.isPureView)
    }

    /// Of a whole pass no weight is read twice, and of the table only the picked rows.
    @Test func aPassReadsEachWeightOnce() throws {
        let model = try TinyModel.gqa.load()
        let session = try Session(model, positions: 4, threads: 1)
        let graph = try session.pass(over: [1, 2, 3]).interpreter.graph
        let read = graph.nodes.reduce(0) { $0 + graph.cost(of: $1).bytesRead }
        let weights = model.file.tensors.reduce(0) { $0 + $1.byteCount }
        let activations = graph.nodes.reduce(0) { sum, node in
            node.output.isPureView ? sum : sum + node.inputs.reduce(0) { $0 + activationBytes($1, graph) }
        }
        #expect(read >= weights - model.weights.tokenEmbedding.info.byteCount)
        #expect(read <= weights + activations + 3 * model.weights.tokenEmbedding.tensor.layout.rowBytes)
    }

    private func activationBytes(_ source: Source, _ graph: Graph) -> Int {
        if case .leaf(let index) = source, graph.leaves[index].role == .weight { return 0 }
        return graph.layout(of: source).byteCount
    }
}
