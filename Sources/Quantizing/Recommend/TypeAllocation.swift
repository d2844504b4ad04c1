/// Which of several types each tensor gets so that all fit a budget and the sum of what they cost is least: the knapsack
/// problem with a choice of one of each item.
///
/// A price on bytes (a Lagrange multiplier) splits the problem into one choice for each tensor. The price at which the
/// choices fit gives both an allocation and a bound: no allocation under the budget costs less. What the budget leaves
/// over is then spent on the single changes that gain most.
public struct TypeAllocation: Sendable, Equatable {
    /// A type that an item may get.
    public struct Option: Sendable, Equatable {
        public let bytes: Int
        /// What it costs in quality; not negative.
        public let cost: Double

        public init(bytes: Int, cost: Double) { (self.bytes, self.cost) = (bytes, cost) }
    }

    /// Of each item the index of its option.
    public let choice: [Int]
    public let bytes: Int
    public let cost: Double
    /// No allocation under the budget costs less than this.
    public let bound: Double

    /// By how much the cost may be above the least possible, as a share of the bound; 0 where it is known to be the least.
    public var gap: Double { cost <= bound ? 0 : bound > 0 ? cost / bound - 1 : .infinity }

    /// - Parameters:
    ///   - items: of each its options, at least one.
    ///   - budget: bytes that all may take together.
    /// - Returns: `nil` if even the smallest options take more.
    public init?(_ items: [[Option]], budget: Int) {
        let problem = Problem(items: items)
        let smallest = problem.choice(price: .infinity)
        guard problem.bytes(smallest) <= budget else { return nil }
        var (best, bound) = (smallest, -Double.infinity)
        func consider(_ price: Double) -> Bool {
            let choice = problem.choice(price: price)
            let bytes = problem.bytes(choice)
            bound = max(bound, problem.cost(choice) + price * Double(bytes - budget))
            guard bytes <= budget else { return false }
            if problem.cost(choice) < problem.cost(best) { best = choice }
            return true
        }
        if !consider(0) {
            var (low, high) = (0.0, problem.highestPrice)
            while !consider(high) { high *= 2 }
            for _ in 0..<200 where high - low > 1e-12 * high {
                let middle = low == 0 ? high / 1024 : (low * high).squareRoot()
                if consider(middle) { high = middle } else { low = middle }
            }
        }
        problem.spend(budget - problem.bytes(best), on: &best)
        choice = best
        bytes = problem.bytes(best)
        cost = problem.cost(best)
        self.bound = max(0, bound)
    }
}

private struct Problem {
    let items: [[TypeAllocation.Option]]

    func bytes(_ choice: [Int]) -> Int { zip(items, choice).reduce(0) { $0 + $1.0[$1.1].bytes } }
    func cost(_ choice: [Int]) -> Double { zip(items, choice).reduce(0) { $0 + $1.0[$1.1].cost } }

    /// The best option of each item if a byte costs so much; of equals the smaller.
    func choice(price: Double) -> [Int] {
        items.map { options in
            options.indices.min { left, right in
                let (a, b) = (options[left], options[right])
                guard price.isFinite else { return (Double(a.bytes), a.cost) < (Double(b.bytes), b.cost) }
                return (a.cost + price * Double(a.bytes), a.bytes) < (b.cost + price * Double(b.bytes), b.bytes)
            }!
        }
    }

    /// A price at which bytes matter about as much as cost.
    var highestPrice: Double {
        let costs = items.map { options in options.map(\.cost).max()! }.reduce(0, +)
        return max(costs, .leastNormalMagnitude * 1e20)
    }

    /// Changes single choices, the most gain for a byte first, as long as they fit.
    func spend(_ left: Int, on choice: inout [Int]) {
        var left = left
        while true {
            var best: (item: Int, option: Int, bytes: Int, gain: Double)?
            for (item, options) in items.enumerated() {
                let now = options[choice[item]]
                for (index, option) in options.enumerated() {
                    let (bytes, gain) = (option.bytes - now.bytes, now.cost - option.cost)
                    guard bytes <= left, gain > 0 else { continue }
                    let value = bytes > 0 ? gain / Double(bytes) : .infinity
                    let most = best.map { $0.bytes > 0 ? $0.gain / Double($0.bytes) : .infinity } ?? -1
                    if value > most { best = (item, index, bytes, gain) }
                }
            }
            guard let best else { return }
            choice[best.item] = best.option
            left -= best.bytes
        }
    }
}
