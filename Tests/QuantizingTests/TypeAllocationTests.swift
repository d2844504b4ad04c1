import Quantizing
import TestSupport
import Testing

/// Allocations against all there are, of random items.
@Suite struct TypeAllocationTests {
    typealias Option = TypeAllocation.Option

    /// The least cost under the budget, by trying everything.
    private func least(_ items: [[Option]], budget: Int) -> Double? {
        var best: Double?
        func go(_ index: Int, _ bytes: Int, _ cost: Double) {
            guard bytes <= budget else { return }
            guard index < items.count else {
                best = min(best ?? .infinity, cost)
                return
            }
            for option in items[index] { go(index + 1, bytes + option.bytes, cost + option.cost) }
        }
        go(0, 0, 0)
        return best
    }

    @Test(arguments: 0..<60)
    func noneIsBetterThanTheBound(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let items = (0..<Int.random(in: 1...6, using: &random)).map { _ in
            (0..<Int.random(in: 1...5, using: &random)).map { _ in
                Option(
                    bytes: Int.random(in: 1...1000, using: &random),
                    cost: Bool.random(using: &random) ? 0 : Double.random(in: 0...1, using: &random))
            }
        }
        let smallest = items.reduce(0) { $0 + $1.map(\.bytes).min()! }
        let budget = Int.random(in: smallest - 2...smallest + 3000, using: &random)
        let found = TypeAllocation(items, budget: budget)
        guard let best = least(items, budget: budget) else {
            #expect(found == nil)
            return
        }
        let allocation = try #require(found)
        #expect(allocation.bytes <= budget)
        #expect(allocation.bytes == zip(items, allocation.choice).reduce(0) { $0 + $1.0[$1.1].bytes })
        #expect(allocation.cost >= best - 1e-12)
        // What is promised of it: the bound holds, so the gap does.
        #expect(allocation.bound <= best + 1e-9)
    }

    /// With many small items the gap is what one item can make.
    @Test func manyItemsAreNearlyExact() throws {
        var random = SeededGenerator(seed: 7)
        let items = (0..<300).map { _ in
            let (size, cost) = (
                Int.random(in: 100...1000, using: &random), Double.random(in: 0.001...1, using: &random)
            )
            return (1...6).map { Option(bytes: $0 * size, cost: cost / Double(1 << (2 * $0))) }
        }
        let all = items.reduce(0) { $0 + $1.map(\.bytes).max()! }
        for share in [0.3, 0.5, 0.8] {
            let allocation = try #require(TypeAllocation(items, budget: Int(share * Double(all))))
            #expect(allocation.gap < 0.01, "\(share): \(allocation.gap)")
        }
    }

    @Test func allFits() throws {
        let items = [[Option(bytes: 1, cost: 2), Option(bytes: 5, cost: 0)], [Option(bytes: 3, cost: 1)]]
        let allocation = try #require(TypeAllocation(items, budget: 100))
        #expect(allocation.choice == [1, 0] && allocation.cost == 1 && allocation.gap == 0)
    }
}
