import Operations
import Tensors

/// A recorded operation and what its array is called in a file of arrays.
public struct NamedOperation: Sendable {
    public let name: String
    public let operation: RecordedOperation

    /// The array's axes in NumPy's order: ggml's reversed. Dimensions of length 1 at the slow end are left out, but two
    /// are always kept, and three of ROPE and SOFT_MAX, which are by head.
    public var axes: [Int] {
        let fewest = [RoPE.kind, SoftMax.kind].contains(operation.kind) ? 3 : 2
        var axes = Array(operation.shape.dimensions.reversed())
        while axes.count > fewest, axes[0] == 1 { axes.removeFirst() }
        return axes
    }
}

extension TraceStore {
    /// The operations of a step that names and patterns fit.
    ///
    /// A name without `*` and `?` is an address, as in `show`: one operation, whether it has values of its own or not. A
    /// pattern fits those that have, not views; with `#k` after it, only the k-th of each name. They are called by their
    /// addresses: `norm-3#0`, or the name alone where it is the only one.
    ///
    /// - Throws: `TraceError` if a name or pattern fits none.
    public func operations(named names: [String], of run: RecordedRun, step: Int) throws -> [NamedOperation] {
        let all = try operations(of: run, step: step)
        var found: [NamedOperation] = []
        var taken: Set<String> = []
        for name in names {
            let fitting = try operations(named: name, among: all, of: run, step: step)
            found += fitting.filter { taken.insert($0.name).inserted }
        }
        return found
    }

    private func operations(
        named name: String, among all: [RecordedOperation], of run: RecordedRun, step: Int
    ) throws -> [NamedOperation] {
        guard name.contains(where: { "*?".contains($0) }) else {
            let address = try TensorAddress(name)
            guard address.slices.isEmpty else { throw TraceError.wholeOnly(address: name) }
            let operation = try operation(address, run: run, step: step)
            return [try Self.checked(NamedOperation(name: name, operation: operation), path)]
        }
        let address = try TensorAddress(name)
        let pattern = Capture(.all, names: [address.name])
        let held = try Set(
            fetch("tensor", by: ["op_id"], "SELECT DISTINCT op_id FROM tensor") { try $0.int("op_id") })
        let counts = all.reduce(into: [:]) { $0[$1.name, default: 0] += 1 }
        var seen: [String: Int] = [:]
        var fitting: [NamedOperation] = []
        for operation in all {
            let number = seen[operation.name, default: 0]
            seen[operation.name] = number + 1
            guard held.contains(operation.id), !operation.isView,
                pattern.keepsValues(of: operation.name), address.occurrence.map({ $0 == number }) ?? true
            else { continue }
            let name = counts[operation.name] == 1 ? operation.name : "\(operation.name)#\(number)"
            fitting.append(try Self.checked(NamedOperation(name: name, operation: operation), path))
        }
        if fitting.isEmpty {
            let matching = all.filter { pattern.keepsValues(of: $0.name) }.map(\.name)
            throw TraceError.noValues(pattern: name, matching: matching, capture: run.capture)
        }
        return fitting
    }

    /// Names become names of files inside an archive; one of a stranger's trace must not lead out of it.
    private static func checked(_ named: NamedOperation, _ path: String) throws -> NamedOperation {
        let isSafe = named.name.unicodeScalars.allSatisfy {
            $0 != "/" && $0 != "\\" && $0.properties.generalCategory != .control
        }
        guard isSafe, !named.name.hasPrefix(".") else {
            throw TraceError.unsafeName(path: path, step: named.operation.step, seq: named.operation.seq)
        }
        return named
    }
}
