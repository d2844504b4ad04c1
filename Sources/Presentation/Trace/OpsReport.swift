import Recording
import Tensors

/// The result of `ops`: recorded operations.
public struct OpsReport: Report {
    struct Line: Encodable {
        let seq: Int
        let name: String
        let kind: String
        @OrNull var role: String?
        @OrNull var layer: Int?
        let type: String
        let shape: [Int]
        let ns: Int
        let flops: Int
        let bytesRead: Int
        let bytesWritten: Int
        let n: Int
        @OrNull var sum: Double?
        @OrNull var min: Double?
        @OrNull var max: Double?
        @OrNull var mean: Double?
        @OrNull var rms: Double?
        @OrNull var std: Double?
        let zeros: Int
        let nan: Int
        let inf: Int

        init(_ op: RecordedOperation) {
            seq = op.seq
            name = op.name
            kind = op.kind
            type = op.type.name
            shape = op.shape.dimensions
            ns = op.nanoseconds
            flops = op.flops
            bytesRead = op.bytesRead
            bytesWritten = op.bytesWritten
            n = op.count
            (zeros, nan, inf) = (op.zeros, op.nans, op.infinities)
            (role, layer) = (op.role?.rawValue, op.layer)
            (sum, min, max, mean, rms, std) = (op.sum, op.minimum, op.maximum, op.mean, op.rms, op.std)
        }
    }

    let trace: String
    let run: Int
    let step: Int
    let complete: Bool
    let ops: [Line]

    public init(trace: String, run: RecordedRun, step: Int, operations: [RecordedOperation]) {
        self.trace = trace
        self.run = run.id
        self.step = step
        complete = run.isComplete
        ops = operations.map(Line.init)
    }

    public func page(_ style: Style) -> String {
        var table = Table([
            ("seq", .right), ("kind", .left), ("name", .left), ("shape", .left), ("time", .right), ("rms", .right),
            ("min", .right), ("max", .right),
        ])
        for op in ops {
            table.add(
                "\(op.seq)", op.kind, op.name, "\(Shape(op.shape))", Numbers.duration(nanoseconds: op.ns),
                Numbers.short(op.rms), Numbers.short(op.min), Numbers.short(op.max))
        }
        let title = style.bold("\(Numbers.count(ops.count, "operation")) of step \(step)")
        let odd = ops.filter { $0.nan + $0.inf > 0 }.map {
            style.warning("\($0.name) (seq \($0.seq)) holds \($0.nan) NaN and \($0.inf) infinite values.")
        }
        return ([title + style.dim("  \(trace), run \(run)")] + table.lines(style) + odd).joined(separator: "\n")
    }
}
