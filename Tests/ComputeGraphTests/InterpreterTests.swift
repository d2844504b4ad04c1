import ComputeGraph
import Tensors
import TestSupport
import Testing

@Suite struct InterpreterTests {
    /// x, w -> a = x + w; b = a + a; half = second half of b; c = half + half; memory += c; d = c + half.
    private struct Example {
        let graph: Graph
        let leaves: [Tensor]
        var memory: Tensor { leaves[2] }
        static let count = 1000

        init() throws {
            var builder = GraphBuilder()
            let vector = Layout(.f32, Shape(Self.count))
            let memory = builder.leaf("memory", Layout(.f32, Shape(Self.count / 2)), .cache)
            let a = try builder.apply(
                Plus(), builder.leaf("x", vector, .input), builder.leaf("w", vector, .weight), name: "a",
                role: .init(.scores))
            let b = try builder.apply(Plus(), a, a, name: "b", role: .init(.scores))
            let half = try builder.apply(Half2(), b, role: .init(.scores))
            let c = try builder.apply(Plus(), half, half, name: "c", role: .init(.scores))
            builder.expand(try builder.apply(Accumulate(), c, memory, role: .init(.scores)))
            builder.expand(try builder.apply(Plus(), c, half, name: "d", role: .init(.scores)))
            graph = builder.build()
            var random = SeededGenerator(seed: 1)
            leaves = [random.tensor(Self.count), random.tensor(Self.count), .zeros(.f32, Shape(Self.count / 2))]
        }

        func interpreter(
            threads: Int = 1, _ observers: [any ExecutionObserver] = [], keepsValues: Bool = false
        ) -> Interpreter {
            Interpreter(
                graph: graph, leaves: leaves, workers: Workers(threads: threads), observers: observers,
                keepsValues: keepsValues)
        }
    }

    @Test func valuesAreWhatTheOperationsMake() throws {
        let example = try Example()
        var interpreter = example.interpreter()
        try interpreter.run()
        let (x, w) = (example.leaves[0].floats(), example.leaves[1].floats())
        let half = (500..<1000).map { (x[$0] + w[$0]) + (x[$0] + w[$0]) }
        #expect(interpreter.value(of: .node(5))?.floats() == half.map { ($0 + $0) + $0 })
        #expect(example.memory.floats() == half.map { $0 + $0 })
    }

    @Test(arguments: [1, 2, 4])
    func stepByStepAndAllAtOnceGiveTheSameBits(threads: Int) throws {
        let (stepped, whole) = (Witness(), Witness())
        var first = try Example().interpreter(threads: threads, [stepped])
        var second = try Example().interpreter(threads: 1, [whole])
        var steps = 0
        while let evaluation = try first.step() {
            #expect(evaluation.node.index == steps)
            #expect(evaluation.nanoseconds >= 0)
            #expect(evaluation.inputs.map(\.layout) == evaluation.node.inputs.map(first.graph.layout(of:)))
            steps += 1
            #expect(first.position == steps)
        }
        try second.run()
        #expect(first.isDone && second.isDone && steps == 6)
        #expect(stepped.bits == whole.bits)
        #expect(Set(stepped.bits[5]).count > 400, "the values must be able to differ")
        #expect(try first.step() == nil)
    }

    @Test func runStopsWhereAsked() throws {
        var interpreter = try Example().interpreter()
        try interpreter.run(until: 2)
        #expect(interpreter.position == 2 && !interpreter.isDone)
        try interpreter.run(until: 1)
        #expect(interpreter.position == 2)
        try interpreter.run(until: 99)
        #expect(interpreter.isDone)
    }

    @Test func valuesGoWithTheirLastUse() throws {
        var interpreter = try Example().interpreter()
        func alive() -> [Int] { (0..<6).filter { interpreter.value(of: .node($0)) != nil } }
        let expected = [[0], [1], [1, 2].suffix(1), [2, 3], [2, 3, 4], [4, 5]].map(Array.init)
        for (step, left) in expected.enumerated() {
            try interpreter.step()
            #expect(alive() == left, "after node \(step)")
        }
        #expect(interpreter.value(of: .leaf(0)) != nil)
    }

    /// A view reads its source's memory after the source's own value was let go.
    @Test func valuesAreKeptOnRequest() throws {
        var interpreter = try Example().interpreter(keepsValues: true)
        #expect(interpreter.value(of: .node(0)) == nil)
        try interpreter.run()
        let values = try (0..<6).map { try #require(interpreter.value(of: .node($0))) }
        #expect(values[2].source === values[1].source && values[2].offset == 2000)
        #expect(values[4].source === interpreter.value(of: .leaf(2))!.source)
    }

    @Test func observersAreToldInOrder() throws {
        var calls: [String] = []
        let (first, second) = (Witness(name: "a") { calls.append($0) }, Witness(name: "b") { calls.append($0) })
        var interpreter = try Example().interpreter([first, second])
        try interpreter.run()
        #expect(calls == (0..<6).flatMap { ["a\($0)", "b\($0)"] })
    }

    @Test func anObserverStopsTheRunByThrowing() throws {
        let (stopper, later) = (Witness(stoppingAt: 3), Witness())
        var interpreter = try Example().interpreter([stopper, later])
        #expect(throws: Witness.Stop(node: 3)) { try interpreter.run() }
        #expect(stopper.seen == [0, 1, 2, 3])
        #expect(later.seen == [0, 1, 2], "those after the one that threw hear nothing")
        // The node was evaluated; whoever caught the error may go on.
        #expect(interpreter.position == 4)
        try interpreter.run()
        #expect(stopper.seen == [0, 1, 2, 3, 4, 5])
    }

    @Test func costsComeFromTheOperation() throws {
        let graph = try Example().graph
        #expect(graph.cost(of: graph.nodes[0]) == Cost(operations: 1000, bytesRead: 8000, bytesWritten: 4000))
        #expect(graph.cost(of: graph.nodes[2]) == .none)
    }
}

extension Evaluation: Equatable {
    public static func == (left: Evaluation, right: Evaluation) -> Bool { left.node.index == right.node.index }
}
