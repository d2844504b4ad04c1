import Tensors

extension Tensor {
    /// Decodes one row of any known format.
    ///
    /// - Precondition: the format can be decoded, `output` holds `ne0` values, and dimension 0 is contiguous.
    package func decodeRow(_ i1: Int, _ i2: Int = 0, _ i3: Int = 0, into output: inout MutableSpan<Float>) {
        guard let format = BlockFormats.format(for: type) else { preconditionFailure("\(type) cannot be decoded") }
        decodeRow(at: layout.rowOffset(i1, i2, i3), by: format, into: &output)
    }

    /// One row of any known format as `ne0` values.
    package func decodedRow(_ i1: Int, _ i2: Int = 0, _ i3: Int = 0) -> [Float] {
        var row = [Float](repeating: 0, count: shape.ne0)
        var span = row.mutableSpan
        decodeRow(i1, i2, i3, into: &span)
        return row
    }

    /// Rows of a contiguous tensor of any known format, one after another.
    package func decodedRows(_ rows: Range<Int>) -> [Float] {
        guard let format = BlockFormats.format(for: type) else { preconditionFailure("\(type) cannot be decoded") }
        let start = offset + rows.lowerBound * layout.rowBytes
        return source.withBytes(in: start..<start + rows.count * layout.rowBytes) { format.values(of: $0) }
    }

    /// Decodes row `number` of a contiguous tensor, counting rows with dimension 1 fastest, by its own type's format.
    package func decodeRow(_ number: Int, by format: any BlockFormat, into output: inout MutableSpan<Float>) {
        decodeRow(at: number * layout.rowBytes, by: format, into: &output)
    }

    private func decodeRow(at rowOffset: Int, by format: any BlockFormat, into output: inout MutableSpan<Float>) {
        let start = offset + rowOffset
        source.withBytes(in: start..<start + layout.rowBytes) { format.decode($0, into: &output) }
    }
}
