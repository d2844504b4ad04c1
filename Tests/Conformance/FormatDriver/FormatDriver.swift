import Foundation
import Quantization
import Tensors

/// Does on request what `format_conformance.py` compares with ggml.
///
/// Requests on standard input, little-endian: u32 operation, u32 type id, u32 rows, u32 elements of a row, then
///   0 encode             rows x elements f32                 -> the encoded rows
///   1 encode, weighted   elements f32 importance, then as 0  -> the encoded rows
///   2 decode             the encoded rows                    -> rows x elements f32
///   3 dot                the encoded rows, one row of f32    -> rows f32; activations are encoded here
///   4 encode, reference  rows x elements f32                 -> the encoded rows, of IQ4_NL with a single try
/// The answer is f64 seconds and the bytes.
@main struct FormatDriver {
    static func main() throws {
        while let request = try read(16) {
            let fields = request.withUnsafeBytes { bytes in
                (0..<4).map { Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
            }
            guard let type = TensorType(rawValue: UInt32(fields[1])), let format = BlockFormats.format(for: type) else {
                throw CocoaError(.featureUnsupported)
            }
            let clock = ContinuousClock()
            var answer: [UInt8] = []
            let (operation, rows, count) = (fields[0], fields[2], fields[3])
            let rowBytes = type.rowBytes(count)!
            var duration = Duration.zero
            switch operation {
            case 4:
                let values = try readFloats(rows * count)
                duration = clock.measure { answer = encodeReference(values, rows: rows, count: count) }
            case 0, 1:
                guard let encoder = format as? any EncodableFormat else { throw CocoaError(.featureUnsupported) }
                let importance = operation == 1 ? try readFloats(count) : nil
                let values = try readFloats(rows * count)
                duration = clock.measure {
                    answer = encode(encoder, values, importance, rows: rows, count: count)
                }
            case 2:
                let bytes = try read(rows * rowBytes)!
                duration = clock.measure { answer = decode(format, [UInt8](bytes), rows: rows, count: count) }
            default:
                let bytes = [UInt8](try read(rows * rowBytes)!)
                let values = try readFloats(count)
                duration = clock.measure { answer = multiply(format, bytes, values, rows: rows, count: count) }
            }
            let seconds = duration / .seconds(1)
            FileHandle.standardOutput.write(withUnsafeBytes(of: seconds) { Data($0) } + Data(answer))
        }
    }

    static func encode(
        _ format: any EncodableFormat, _ values: [Float], _ importance: [Float]?, rows: Int, count: Int
    ) -> [UInt8] {
        let rowBytes = format.type.rowBytes(count)!
        var bytes = [UInt8](repeating: 0, count: rows * rowBytes)
        var span = bytes.mutableSpan
        var output = span.mutableBytes
        for row in 0..<rows {
            var part = output._mutatingExtracting(row * rowBytes..<(row + 1) * rowBytes)
            format.encode(
                values.span.extracting(row * count..<(row + 1) * count), importance: importance?.span, into: &part)
        }
        return bytes
    }

    static func encodeReference(_ values: [Float], rows: Int, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: rows * TensorType.iq4_nl.rowBytes(count)!)
        var span = bytes.mutableSpan
        var output = span.mutableBytes
        FormatIQ4_NL().encodeReference(values.span, into: &output)
        return bytes
    }

    static func decode(_ format: any BlockFormat, _ bytes: [UInt8], rows: Int, count: Int) -> [UInt8] {
        var values = [Float](repeating: 0, count: rows * count)
        var span = values.mutableSpan
        format.decode(bytes.span.bytes, into: &span)
        return values.withUnsafeBytes { [UInt8]($0) }
    }

    static func multiply(
        _ format: any BlockFormat, _ bytes: [UInt8], _ values: [Float], rows: Int, count: Int
    ) -> [UInt8] {
        let activation = BlockFormats.activationFormat(for: format.activationType)!
        var encoded = [UInt8](repeating: 0, count: activation.type.rowBytes(count)!)
        var elements = encoded.mutableSpan
        var encodedBytes = elements.mutableBytes
        activation.encodeActivations(values.span, into: &encodedBytes)
        var products = [Float](repeating: 0, count: rows)
        var output = products.mutableSpan
        format.dotRows(
            bytes.span.bytes, stride: format.type.rowBytes(count)!, encoded.span.bytes, count: count, order: .single,
            into: &output)
        return products.withUnsafeBytes { [UInt8]($0) }
    }

    static func read(_ count: Int) throws -> Data? {
        var data = Data()
        while data.count < count {
            guard let part = try FileHandle.standardInput.read(upToCount: count - data.count), !part.isEmpty else {
                return nil
            }
            data.append(part)
        }
        return data
    }

    static func readFloats(_ count: Int) throws -> [Float] {
        guard let data = try read(4 * count) else { throw CocoaError(.fileReadCorruptFile) }
        return data.withUnsafeBytes { bytes in
            (0..<count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }
}
