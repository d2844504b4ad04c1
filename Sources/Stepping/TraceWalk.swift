import Operations
import Recording
import Tensors

/// A recorded run read as one walks through it: the operations of a pass when it is entered, values when they are looked
/// at, the last few of each kept.
public final class TraceWalk {
    public let store: TraceStore
    public let run: RecordedRun
    public let tokens: [RecordedToken]
    public let passes: [RecordedPass]
    /// Layers of the model; the last one gives what the output head reads.
    public let layers: Int

    private var operations = RecentValues<Int, [RecordedOperation]>(limit: 8)
    private var names = RecentValues<Int, [Int: [String]]>(limit: 8)
    private var tensors = RecentValues<Int, RecordedValues>(limit: 8)

    /// - Throws: `StepProblem.nothingRecorded` if the run holds no operations.
    public init(_ run: RecordedRun, in store: TraceStore) throws {
        self.store = store
        self.run = run
        tokens = try store.tokens(of: run)
        let passes = try store.passes(of: run)
        guard let first = passes.first else { throw StepProblem.nothingRecorded(trace: store.path, run.capture) }
        let operations = try store.operations(of: run, step: first.step)
        if operations.isEmpty { throw StepProblem.nothingRecorded(trace: store.path, run.capture) }
        self.operations[first.step] = operations
        layers = (operations.compactMap(\.layer).max() ?? -1) + 1
        // A run that was cut off may end in a pass of which nothing was written.
        if let last = passes.last, last.step != first.step, try store.operations(of: run, step: last.step).isEmpty {
            self.passes = passes.dropLast()
        } else {
            self.passes = passes
        }
    }

    /// All operations of a pass, in order; never empty.
    public func operations(step: Int) throws -> [RecordedOperation] {
        if let known = operations[step] { return known }
        let read = try store.operations(of: run, step: step)
        if read.isEmpty {
            throw TraceError.damaged(
                TraceDamage(
                    path: store.path, table: "op_stat", row: "step \(step)", column: "id", found: "no rows",
                    expected: "a row for each operation"))
        }
        operations[step] = read
        return read
    }

    public func operation(at location: StepLocation) throws -> RecordedOperation {
        try operations(step: location.step)[location.seq]
    }

    /// The values as captured; missing ones are `nil` in them.
    ///
    /// - Throws: `TraceError.notCaptured` if there are none.
    public func values(of operation: RecordedOperation) throws -> RecordedValues {
        if let known = tensors[operation.id] { return known }
        let read = try store.values(of: operation, in: run)
        tensors[operation.id] = read
        return read
    }

    /// The names of an operation's inputs.
    func inputNames(step: Int, operation: Int) throws -> [String] {
        if let known = names[step] { return known[operation] ?? [] }
        let read = try store.inputNames(of: passes[step])
        names[step] = read
        return read[operation] ?? []
    }

    /// The next location, or the one before; `nil` at the ends.
    public func neighbour(of location: StepLocation, _ direction: StepDirection) throws -> StepLocation? {
        switch direction {
        case .forward:
            if try location.seq + 1 < operations(step: location.step).count {
                return StepLocation(step: location.step, seq: location.seq + 1)
            }
            return location.step + 1 < passes.count ? StepLocation(step: location.step + 1, seq: 0) : nil
        case .backward:
            if location.seq > 0 { return StepLocation(step: location.step, seq: location.seq - 1) }
            return location.step > 0
                ? StepLocation(step: location.step - 1, seq: try operations(step: location.step - 1).count - 1) : nil
        }
    }

    /// The location nearest to one that may not exist.
    public func clamped(_ location: StepLocation) throws -> StepLocation {
        let step = min(max(0, location.step), passes.count - 1)
        return StepLocation(step: step, seq: min(max(0, location.seq), try operations(step: step).count - 1))
    }

    /// Tokens of a pass, in order.
    public func tokens(step: Int) -> [RecordedToken] {
        let pass = passes[step]
        return tokens.filter { (pass.firstPosition..<pass.firstPosition + pass.tokens).contains($0.position) }
    }

    public var first: StepLocation { StepLocation(step: 0, seq: 0) }

    public func last() throws -> StepLocation {
        StepLocation(step: passes.count - 1, seq: try operations(step: passes.count - 1).count - 1)
    }
}

/// A few values by key; the one unused for longest goes first.
struct RecentValues<Key: Hashable, Value> {
    private var values: [Key: Value] = [:]
    private var order: [Key] = []
    let limit: Int

    init(limit: Int) { self.limit = limit }

    subscript(key: Key) -> Value? {
        mutating get {
            guard let value = values[key] else { return nil }
            order.removeAll { $0 == key }
            order.append(key)
            return value
        }
        set {
            order.removeAll { $0 == key }
            values[key] = newValue
            if newValue != nil { order.append(key) }
            if order.count > limit { values[order.removeFirst()] = nil }
        }
    }
}

extension RecordedOperation {
    public var location: StepLocation { StepLocation(step: step, seq: seq) }

    /// The name without its layer: `kq_soft_max` of `kq_soft_max-3`.
    public var stem: String {
        guard let layer else { return name }
        return name.replacing("-\(layer)", with: "", maxReplacements: 1)
    }

    /// The dimension that counts the tokens of the pass, where shape and kind tell.
    public var tokenDimension: Int {
        // Experts come before tokens, however many tokens there are.
        if let role, role.part.isByExpert, role.step == nil || role.step == .product { return 2 }
        guard shape.ne2 == tokens, shape.ne2 > 1 || shape.ne1 > 1 else { return 1 }
        if shape.ne1 != tokens { return 2 }
        // As many heads as tokens: heads come first, but where a view has put them behind the tokens for the products.
        return [.query, .key, .value].contains(role?.part) && kind != Permute.kind ? 2 : 1
    }
}
