import ComputeGraph
import LlamaModel
import Measuring
import Tensors
import TestSupport
import Testing

@Suite struct BenchmarkTests {
    /// `measure` itself checks that every word was read and added up, whoever read it.
    @Test(arguments: [1, 2, 3], [1, 7])
    func memoryIsReadWhole(threads: Int, megabytes: Int) {
        let rates = MemoryBandwidth(megabytes: megabytes, workers: Workers(threads: threads)).measure(passes: 3)
        #expect(rates.count == 3 && rates.allSatisfy { $0 > 0 })
    }

    @Test(arguments: [
        // 2 operations per byte, 4e9 and 40e9 operations per second on cached operands, memory 10e9 bytes per second.
        (4e9, RooflineRow.Bound.arithmetic, 0.4, 0.5), (40e9, .memory, 4, 0.1),
    ])
    func theLowerRoofIsTheBound(peak: Double, bound: RooflineRow.Bound, balance: Double, reached: Double) throws {
        let row = try row(Cost(operations: 4000, bytesRead: 1500, bytesWritten: 500), peak: peak)
        #expect(row.nodes == 1 && row.nanoseconds == 1000 && row.share == 0.25)
        #expect(row.operations == 2000 && row.bytes == 1000 && row.intensity == 2)
        #expect(row.operationsPerSecond == 2e9 && row.bytesPerSecond == 1e9)
        #expect(row.balance == balance && row.bound == bound && row.reached == reached)
    }

    @Test func copyingIsBoundByMemoryAndAViewByNothing() throws {
        let copy = try row(Cost(operations: 0, bytesRead: 3000, bytesWritten: 1000), peak: nil)
        #expect(copy.bound == .memory && copy.balance == nil && copy.reached == 0.2)
        let view = try row(.none, peak: nil)
        #expect(view.bound == nil && view.intensity == nil && view.reached == nil && view.share == 0.25)
    }

    /// Two nodes in two passes, each of 1000 ns, in passes of 4000 ns.
    private func row(_ cost: Cost, peak: Double?) throws -> RooflineRow {
        let graph = try Session(try TinyModel.gqa.load(), positions: 1, threads: 1).pass(over: [1]).interpreter.graph
        var total = OperationTimes.Total()
        total.add(cost, nanoseconds: 1000)
        total.add(.none, nanoseconds: 1000)
        return RooflineRow(
            OperationGroup(graph.nodes[0], in: graph), total, passes: 2, passNanoseconds: 4000, peak: peak,
            bandwidth: 10e9)
    }

    /// Whether a weight is meant is decided by where an operand comes from, views seen through.
    @Test func operandsAreSeenThroughViews() throws {
        let model = try TinyModel.biases.load()
        let graph = try Session(model, positions: 2, threads: 1).pass(over: [1, 2]).interpreter.graph
        func group(_ name: String, _ kind: String) throws -> OperationGroup {
            OperationGroup(try #require(graph.nodes.first { $0.name == name && $0.kind == kind }), in: graph)
        }
        for (name, kind, type, role) in [
            ("Qcur-0", "MUL_MAT", TensorType.f16, Leaf.Role.weight), ("kq-0", "MUL_MAT", .f16, .cache),
            ("kqv-0", "MUL_MAT", .f16, .cache), ("attn_norm-0", "MUL", .f32, .weight), ("Qcur-0", "ADD", .f32, .weight),
            ("Qcur-0", "ROPE", .f32, .weight), ("embd", "GET_ROWS", .f16, .weight),
        ] {
            let group = try group(name, kind)
            #expect(group.kind == kind && group.type == type && group.role == role, "\(name)")
        }
        for (name, kind) in [("kq_soft_max-0", "SOFT_MAX"), ("ffn_swiglu-0", "SWIGLU"), ("l_out-0", "ADD")] {
            let group = try group(name, kind)
            #expect(group.type == nil && group.role == nil, "\(name)")
        }
    }

    @Test(arguments: TinyModel.allCases)
    func timesAreThoseOfTheNodes(model: TinyModel) throws {
        final class Clock: ExecutionObserver {
            var nanoseconds: [String: Int] = [:]
            func didEvaluate(_ evaluation: Evaluation) {
                nanoseconds[evaluation.node.kind, default: 0] += evaluation.nanoseconds
            }
        }
        let (times, clock) = (OperationTimes(), Clock())
        var session = try Session(model.load(), positions: 8, threads: 2)
        var (nodes, operations) = (0, 0)
        for tokens in [[1, 5, 9], [4], [2]] {
            var pass = try session.pass(over: tokens, observers: [times, clock])
            try pass.interpreter.run()
            session.advance(past: pass)
            let graph = pass.interpreter.graph
            times.add(graph)
            nodes += graph.nodes.count
            operations += graph.nodes.reduce(0) { $0 + graph.cost(of: $1).operations }
        }
        #expect(times.passes == 3)
        #expect(times.totals.values.reduce(0) { $0 + $1.nodes } == nodes)
        #expect(times.totals.values.reduce(0) { $0 + $1.cost.operations } == operations)
        for (kind, expected) in clock.nanoseconds {
            #expect(times.totals.filter { $0.key.kind == kind }.values.reduce(0) { $0 + $1.nanoseconds } == expected)
        }
    }

    /// A group has a peak exactly if it computes; measuring it leaves all tensors of the pass alone.
    @Test(arguments: TinyModel.allCases, [1, 2])
    func peaksAreMeasuredBesideThePass(model: TinyModel, threads: Int) throws {
        let session = try Session(model.load(), positions: 8, threads: threads)
        let tokens = [1, 5, 9, 7, 3]
        let graph = try session.pass(over: tokens).interpreter.graph
        let peaks = CachedPeaks(graph)
        var pass = try session.pass(over: tokens, observers: [peaks], keepsValues: true)
        try pass.interpreter.run()
        func bits() -> [[UInt32]] {
            graph.nodes.map { pass.interpreter.value(of: .node($0.index))!.bits }
        }
        let before = bits()
        let rates = peaks.measure(on: Workers(threads: threads))
        #expect(bits() == before)
        let computing = graph.nodes.filter { graph.cost(of: $0).operations > 0 }.map { OperationGroup($0, in: graph) }
        #expect(Set(rates.keys) == Set(computing))
        #expect(rates.values.allSatisfy { $0 > 0 && $0.isFinite })
    }
}
