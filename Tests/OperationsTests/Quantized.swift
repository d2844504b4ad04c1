import Quantization
import Tensors
import TestSupport

/// Weights in every format: random bytes with sane scales.
enum Quantized {
    /// Offsets of F16 scales in a block, in bytes.
    private static let scales: [TensorType: [Int]] = [
        .q4_0: [0], .q4_1: [0, 2], .q5_0: [0], .q5_1: [0, 2], .q8_0: [0], .q2_K: [80, 82], .q3_K: [108], .q4_K: [0, 2],
        .q5_K: [0, 2], .q6_K: [208],
    ]

    /// The formats made here; all others are held against ggml where they are decoded and multiplied.
    static let types: [TensorType] = [.f32, .f16, .bf16] + scales.keys.sorted { $0.rawValue < $1.rawValue }

    /// `nil` for other formats.
    static func matrix(_ type: TensorType, rows: Int, columns: Int, seed: UInt64 = 7) -> Tensor? {
        var random = SeededGenerator(seed: seed)
        let shape = Shape(columns, rows)
        switch type {
        case .f32: return .floats(random.floats(shape.count), shape)
        case .f16: return .halves(random.floats(shape.count), shape)
        case .bf16: return .integers(.bf16, random.floats(shape.count).map(Half.bf16), shape)
        default: break
        }
        guard let scales = scales[type] else { return nil }
        let tensor = Tensor.zeros(type, shape)
        let count = tensor.layout.byteCount
        tensor.buffer.withMutableElements(of: UInt8.self, in: 0..<count) { bytes in
            for i in 0..<count { bytes[i] = UInt8.random(in: .min ... .max, using: &random) }
            for block in stride(from: 0, to: count, by: type.blockBytes) {
                for offset in scales {
                    let bits = Half.f16(Float.random(in: 0.01...0.1, using: &random))
                    bytes[block + offset] = UInt8(truncatingIfNeeded: bits)
                    bytes[block + offset + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                }
            }
        }
        return tensor
    }
}
