import ComputeGraph
import Operations
import Tensors
import TestSupport
import Testing

/// Scores, soft max and mix as one, against the three on their own: the same bits, by every set of kernels.
@Suite struct AttentionTests {
    static let sets = InstructionSet.allCases.filter(\.isAvailable)
    /// Sets that have kernels for it.
    static let fast = sets.filter { $0 != .reference && $0 != .portable }

    /// Inputs in memory as a pass has them: views of a cache, and queries counted by heads.
    struct Example: Sendable, CustomTestStringConvertible {
        var keySize = 64
        var valueSize = 64
        var kvHeads = 2
        var group = 3
        /// Positions before the first token.
        var first = 0
        var tokens = 19
        var window: Int?
        var hasSinks = false

        var positions: Int { first + tokens }
        var heads: Int { kvHeads * group }
        var testDescription: String {
            "\(keySize)/\(valueSize), \(kvHeads)x\(group), \(first)+\(tokens), \(window ?? 0) \(hasSinks)"
        }
    }

    static let examples = [
        Example(), Example(tokens: 2), Example(group: 1, first: 7, tokens: 33), Example(first: 5, tokens: 170),
        Example(keySize: 128, valueSize: 128, kvHeads: 1, group: 4, tokens: 70),
        Example(keySize: 80, valueSize: 48, kvHeads: 3, group: 2, first: 90, tokens: 40, window: 17),
        Example(keySize: 48, valueSize: 32, kvHeads: 1, group: 16, tokens: 40, hasSinks: true),
        Example(kvHeads: 1, group: 5, first: 600, tokens: 30, window: 64, hasSinks: true),
        Example(keySize: 16, valueSize: 16, kvHeads: 1, group: 1, tokens: 550),
    ]

    private struct Inputs {
        var keys, queries, mask, values: Tensor
        var sinks: Tensor?

        /// In the order of a graph.
        var all: [Tensor] { [keys, queries, mask] + (sinks.map { [$0] } ?? []) + [values] }
    }

    private func inputs(_ e: Example, seed: UInt64) -> Inputs {
        var random = SeededGenerator(seed: seed)
        let capacity = e.positions + 5
        // Cells that were not written hold what would show.
        func cache(_ count: Int, _ isWritten: (Int) -> Bool) -> Tensor {
            let values = random.floats(count)
            return .halves(values.indices.map { isWritten($0) ? values[$0] : .nan }, Shape(count))
        }
        let keyWidth = e.kvHeads * e.keySize
        let keys = cache(keyWidth * capacity) { $0 < keyWidth * e.positions }.view(
            Layout(
                type: .f16, shape: Shape(e.keySize, e.positions, e.kvHeads),
                strides: .init(2, 2 * keyWidth, 2 * e.keySize, 2 * keyWidth * capacity)))
        let row = 2 * capacity
        let values = cache(e.kvHeads * e.valueSize * capacity) { $0 % capacity < e.positions }.view(
            Layout(
                type: .f16, shape: Shape(e.positions, e.valueSize, e.kvHeads),
                strides: .init(2, row, row * e.valueSize, row * e.valueSize * e.kvHeads)))
        let token = 4 * e.keySize * e.heads
        let queries = random.tensor(e.keySize, e.heads, e.tokens).view(
            Layout(
                type: .f32, shape: Shape(e.keySize, e.tokens, e.heads),
                strides: .init(4, token, 4 * e.keySize, token * e.tokens)))
        let mask = (0..<e.tokens).flatMap { t in
            (0..<e.positions).map { n -> Float in
                let isSeen = n <= e.first + t && n > e.first + t - (e.window ?? .max / 2)
                return isSeen ? 0 : -.infinity
            }
        }
        return Inputs(
            keys: keys, queries: queries, mask: .floats(mask, Shape(e.positions, e.tokens)), values: values,
            sinks: e.hasSinks ? .floats(random.floats(e.heads), Shape(e.heads)) : nil)
    }

    private let scores = MatMul(cachedDimension: 1)
    private let mix = MatMul(cachedDimension: 0)

    private func oneByOne(_ i: Inputs, _ softMax: SoftMax, on set: InstructionSet) throws -> Tensor {
        let scores = try scores.output(of: [i.keys, i.queries], threads: 2, instructions: set)
        let shares = try softMax.output(
            of: [scores, i.mask] + (i.sinks.map { [$0] } ?? []), threads: 2, instructions: set)
        return try mix.output(of: [i.values, shares], threads: 2, instructions: set)
    }

    /// `nil` if it declines.
    private func asOne(_ i: Inputs, _ softMax: SoftMax, on set: InstructionSet, threads: Int = 2) throws -> Tensor? {
        let fusion = try #require(mix.fusion(after: [scores, softMax]))
        let workers = Workers(threads: threads, instructions: set)
        let prepared = try #require(fusion.prepare(i.all[fusion.sharedInput], on: workers))
        let shape = Shape(i.values.shape.ne1, i.queries.shape.ne1, i.queries.shape.ne2)
        let output = Tensor.floats([Float](repeating: .nan, count: shape.count), shape)
        return fusion.evaluate(i.all, prepared: prepared, into: output, on: workers) ? output : nil
    }

    @Test(arguments: examples)
    func bitsAreThoseOfTheNodes(example: Example) throws {
        let inputs = inputs(example, seed: 31)
        let softMax = SoftMax(scale: 0.125, window: example.window)
        let expected = try oneByOne(inputs, softMax, on: .reference).bits
        #expect(!expected.contains(Float.nan.bitPattern))
        for set in Self.sets {
            for threads in [1, 2] {
                let found = try asOne(inputs, softMax, on: set, threads: threads)
                // Sets without kernels leave it to the nodes.
                #expect((found != nil) == Self.fast.contains(set), "\(set)")
                if let found { #expect(found.bits == expected, "\(set), \(threads) threads") }
            }
            #expect(try oneByOne(inputs, softMax, on: set).bits == expected, "\(set)")
        }
    }

    /// What is hidden from a query reaches it all the same if it is infinite or none.
    @Test(arguments: fast, [Float.infinity, .nan])
    func whatIsNotFiniteIsLeftToTheNodes(set: InstructionSet, value: Float) throws {
        let example = Example()
        let plain = inputs(example, seed: 32)
        #expect(try asOne(plain, SoftMax(scale: 1), on: set) != nil)
        for which in 0..<3 {
            var inputs = inputs(example, seed: 32)
            let tensor = [inputs.keys, inputs.values, inputs.queries][which].copied()
            let at = tensor.offset + tensor.layout.rowOffset(tensor.shape.ne1 - 1, 1)
            if which == 2 {
                tensor.buffer.withMutableElements(of: Float.self, in: at..<at + 4) { $0[0] = value }
                inputs.queries = tensor
            } else {
                tensor.buffer.withMutableElements(of: UInt16.self, in: at..<at + 2) { $0[0] = Half.f16(value) }
                if which == 0 { inputs.keys = tensor } else { inputs.values = tensor }
            }
            #expect(try asOne(inputs, SoftMax(scale: 1), on: set) == nil, "input \(which)")
        }
    }

    @Test func otherMasksAreLeftToTheNodes() throws {
        let fusion = try #require(mix.fusion(after: [scores, SoftMax(scale: 1)]))
        let workers = Workers(threads: 2)
        func seen(_ rows: [[Float]]) -> [Float]? {
            fusion.prepare(.floats(rows.flatMap(\.self), Shape(rows[0].count, rows.count)), on: workers)?.floats()
        }
        let hidden = -Float.infinity
        #expect(seen([[0, hidden, hidden], [0, 0, hidden], [hidden, 0, 0]]) == [0, 1, 0, 2, 1, 3])
        #expect(seen([[0, 0, 0], [hidden, hidden, hidden]]) == nil)
        #expect(seen([[0, hidden, 0]]) == nil)
        #expect(seen([[0, -1, 0]]) == nil)
        #expect(seen([[.nan, 0, 0]]) == nil)
    }

    /// With a scale under 0 what is hidden would be the largest.
    @Test func otherOperationsAreNotOne() {
        #expect(mix.fusion(after: [scores, SoftMax(scale: -1)]) == nil)
        #expect(mix.fusion(after: [scores, SoftMax(scale: .nan)]) == nil)
        #expect(mix.fusion(after: [MatMul(), SoftMax(scale: 1)]) == nil)
        #expect(MatMul().fusion(after: [scores, SoftMax(scale: 1)]) == nil)
        #expect(mix.fusion(after: [scores, Scale(by: 2), SoftMax(scale: 1)]) == nil)
    }

    /// Products of those positions that are seen, counted one by one.
    @Test(arguments: examples)
    func costIsOfWhatIsSeen(example: Example) throws {
        let inputs = inputs(example, seed: 33)
        let fusion = try #require(mix.fusion(after: [scores, SoftMax(scale: 1, window: example.window)]))
        let output = Layout(.f32, Shape(example.valueSize, example.tokens, example.heads))
        let cost = fusion.cost(inputs: inputs.all.map(\.layout), output: output)
        let pairs = inputs.mask.floats().filter { $0 == 0 }.count * example.heads
        #expect(cost.operations == pairs * (2 * example.keySize + 6 + 2 * example.valueSize))
        #expect(cost.bytesRead == inputs.all.reduce(0) { $0 + $1.layout.byteCount })
        #expect(cost.bytesWritten == output.byteCount)
    }

    // MARK: one token

    /// Heads that share keys or values are multiplied together, and each gets what it would get on its own.
    @Test(arguments: sets, [1, 2, 3, 4, 7])
    func headsOfAGroupGetTheirOwnProducts(set: InstructionSet, group: Int) throws {
        for (size, positions) in [(64, 1), (64, 130), (80, 77), (128, 515)] {
            let inputs = inputs(
                Example(keySize: size, valueSize: size, group: group, first: positions - 1, tokens: 1), seed: 34)
            let scores = try scores.output(of: [inputs.keys, inputs.queries], threads: 2, instructions: set)
            let shares = try SoftMax(scale: 0.2).output(of: [scores, inputs.mask], threads: 2, instructions: set)
            let mixed = try mix.output(of: [inputs.values, shares], threads: 2, instructions: set)
            for head in 0..<inputs.queries.shape.ne2 {
                let shared = head / group
                let alone = try self.scores.output(
                    of: [inputs.keys.plane(shared), inputs.queries.plane(head)], instructions: .reference)
                #expect(alone.bits == scores.plane(head).bits, "\(size), \(positions), head \(head)")
                let mixedAlone = try mix.output(
                    of: [inputs.values.plane(shared), shares.plane(head)], instructions: .reference)
                #expect(mixedAlone.bits == mixed.plane(head).bits, "\(size), \(positions), head \(head)")
            }
        }
    }
}

extension Tensor {
    /// One plane of rows.
    fileprivate func plane(_ number: Int) -> Tensor {
        var layout = layout
        layout.shape = Shape(shape.ne0, shape.ne1)
        return view(layout, at: layout.strides.nb2 * number)
    }
}
