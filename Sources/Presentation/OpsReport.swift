import Recording

/// The result of `ops`: recorded operations.
public struct OpsReport: Report {
    struct Line: Encodable {
        let seq: Int
        let name: String
        let kind: String
        let layer: Int?
        let type: String
        let shape: [Int]
        let ns: Int
        let flops: Int
        let bytesRead: Int
        let bytesWritten: Int
        let n: Int
        let sum: Double?
        let min: Double?
        let max: Double?
        let mean: Double?
        let rms: Double?
        let std: Double?
        let zeros: Int
        let nan: Int
        let inf: Int
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
        ops = operations.map { op in
            Line(
                seq: op.seq, name: op.name, kind: op.kind, layer: op.layer, type: op.type.name,
                shape: op.shape.dimensions, ns: op.nanoseconds, flops: op.flops, bytesRead: op.bytesRead,
                bytesWritten: op.bytesWritten, n: op.count, sum: op.sum, min: op.minimum, max: op.maximum,
                mean: op.mean, rms: op.rms, std: op.std, zeros: op.zeros, nan: op.nans, inf: op.infinities)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([
            ("seq", .right), ("kind", .left), ("name", .left), ("shape", .left), ("time", .right), ("rms", .right),
            ("min", .right), ("max", .right),
        ])
        for op in ops {
            let warning = op.nan + op.inf > 0 ? style.warning(" !\(op.nan) NaN, \(op.inf) inf") : ""
            table.add(
                "\(op.seq)", op.kind, op.name.cut(to: 28), op.shape.shapeText, Numbers.duration(nanoseconds: op.ns),
                Numbers.short(op.rms), Numbers.short(op.min), Numbers.short(op.max) + warning)
        }
        var lines = [style.bold("\(ops.count) operations of step \(step)") + style.dim("  \(trace), run \(run)")]
        if !complete { lines.append(style.warning("This run was cut off before its end.")) }
        return (lines + table.lines(style)).joined(separator: "\n")
    }
}

extension [Int] {
    fileprivate var shapeText: String {
        var dims = self
        while dims.count > 1, dims.last == 1 { dims.removeLast() }
        return dims.map(String.init).joined(separator: "x")
    }
}
