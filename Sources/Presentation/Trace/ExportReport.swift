import Recording

/// The result of `export`: the arrays that were written.
public struct ExportReport: Report {
    public struct Array: Encodable, Sendable {
        /// What it is called in the file.
        let name: String
        let step: Int
        let operation: String
        /// In NumPy's order, the slowest dimension first.
        let shape: [Int]
        let dtype: String
        /// Elements that the trace does not hold; NaN in the array.
        let missing: Int

        public init(name: String, step: Int, operation: String, shape: [Int], missing: Int) {
            (self.name, self.step, self.operation, self.shape) = (name, step, operation, shape)
            (self.dtype, self.missing) = ("<f4", missing)
        }
    }

    let trace: String
    let run: Int
    let output: String
    let sizeBytes: Int
    let arrays: [Array]

    public init(trace: String, run: Int, output: String, sizeBytes: Int, arrays: [Array]) {
        (self.trace, self.run, self.output) = (trace, run, output)
        (self.sizeBytes, self.arrays) = (sizeBytes, arrays)
    }

    public func page(_ style: Style) -> String {
        var table = Table([("array", .left), ("shape", .left), ("not captured", .right)])
        let shown = arrays.count <= 24 ? arrays.count : 20
        for array in arrays.prefix(shown) {
            table.add(
                array.name.cut(to: max(20, style.width - 40)), "\(array.shape)",
                array.missing == 0 ? "" : Numbers.grouped(array.missing))
        }
        var lines = table.lines(style)
        if shown < arrays.count { lines.append(style.dim("… and \(arrays.count - shown) more")) }
        let sizes = "(\(ByteSize(sizeBytes))), \(Numbers.count(arrays.count, "array"))"
        return (lines + ["", style.bold("Written: \(output)") + " " + sizes]).joined(separator: "\n")
    }
}
