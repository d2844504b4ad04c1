import GGUF
import Quantization
import Synchronization
import Tensors

/// Rows of a tensor, checked and, if asked for, written in another format.
///
/// Workers convert different rows at the same time.
final class RowConversion: Sendable {
    /// The new format and where it goes.
    struct Encoding: Sendable {
        let format: any EncodableFormat
        let target: Tensor
        /// `ne0` values for each matrix of a volume.
        let importance: [Float]?
    }

    /// A weight that cannot be written: not finite, or too large for the format.
    struct Fault: Sendable {
        /// From the start of the tensor.
        let index: Int
        let value: Float

        func problem(of tensor: TensorInfo, in file: GGUFFile, as type: TensorType) -> QuantizeProblem {
            value.isFinite
                ? .overflow(file: file.path, tensor: tensor.name, index: index, value: value, type: type)
                : .notFinite(file: file.path, tensor: tensor.name, index: index, value: value)
        }
    }

    private let source: Tensor
    private let decoder: any BlockFormat
    private let encoding: Encoding?
    private let firstFault = Mutex<Fault?>(nil)

    /// Magnitudes below this are in reach of every format, whose scales are halves at least.
    private static let safeMagnitude = Float(30000)

    init(source: Tensor, decoder: any BlockFormat, encoding: Encoding?) {
        self.source = source
        self.decoder = decoder
        self.encoding = encoding
    }

    /// The fault with the lowest index of those found.
    var fault: Fault? { firstFault.withLock { $0 } }

    /// Converts rows until a fault is found in one.
    func convert(_ rows: Range<Int>) {
        var values = [Float](repeating: 0, count: source.shape.ne0)
        for row in rows {
            var output = values.mutableSpan
            source.decodeRow(row, by: decoder, into: &output)
            guard let fault = convert(values.span, row: row) else { continue }
            let found = Fault(index: row * values.count + fault.index, value: fault.value)
            return firstFault.withLock { if $0 == nil || found.index < $0!.index { $0 = found } }
        }
    }

    private func convert(_ values: Span<Float>, row: Int) -> Fault? {
        let magnitude = Self.largestMagnitude(values)
        guard magnitude.isFinite else {
            let index = firstNonFinite(values)!
            return Fault(index: index, value: values[index])
        }
        guard let encoding else { return nil }
        let target = encoding.target
        let range = row * target.layout.rowBytes..<(row + 1) * target.layout.rowBytes
        target.buffer.withMutableBytes(in: range) { bytes in
            guard let importance = encoding.importance else {
                return encoding.format.encode(values, importance: nil, into: &bytes)
            }
            let matrix = row / target.shape.ne1 % target.shape.ne2
            let columns = importance.span.extracting(matrix * values.count..<(matrix + 1) * values.count)
            encoding.format.encode(values, importance: columns, into: &bytes)
        }
        guard magnitude > Self.safeMagnitude else { return nil }
        let largest = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
        return survives(largest, in: range, count: values.count, encoding)
            ? nil : Fault(index: largest, value: values[largest])
    }

    /// Infinity or NaN if one is among the values.
    private static func largestMagnitude(_ values: Span<Float>) -> Float {
        var largest: UInt32 = 0
        for i in 0..<values.count { largest = max(largest, values[i].bitPattern & 0x7fff_ffff) }
        return Float(bitPattern: largest)
    }

    /// Whether an encoded row decodes to numbers, and its largest is not lost: where squares overflow, searches for
    /// scales find none and whole blocks become zero.
    private func survives(_ largest: Int, in range: Range<Int>, count: Int, _ encoding: Encoding) -> Bool {
        var decoded = [Float](repeating: 0, count: count)
        var output = decoded.mutableSpan
        encoding.target.buffer.withBytes(in: range) { encoding.format.decode($0, into: &output) }
        return firstNonFinite(decoded.span) == nil && decoded[largest] != 0
    }
}
