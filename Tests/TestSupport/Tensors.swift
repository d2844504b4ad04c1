import Tensors

extension Tensor {
    /// A contiguous tensor of whole numbers.
    public static func integers<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: TensorType, _ values: [Number], _ shape: Shape? = nil
    ) -> Tensor {
        let tensor = zeros(type, shape ?? Shape(values.count))
        tensor.withMutableElements(of: Number.self) { for index in values.indices { $0[index] = values[index] } }
        return tensor
    }

    /// A contiguous F16 tensor.
    public static func halves(_ values: [Float], _ shape: Shape) -> Tensor {
        integers(.f16, values.map(Half.f16), shape)
    }

    /// Every value's bits: equal values of unequal signs or NaNs are told apart.
    public var bits: [UInt32] { floats().map(\.bitPattern) }

    /// The same bytes in memory of their own, at the same offset within it.
    public func copied() -> Tensor {
        let buffer = Buffer(byteCount: source.byteCount)
        source.withBytes(in: 0..<source.byteCount) { bytes in
            buffer.withMutableBytes(in: 0..<source.byteCount) { target in
                for i in 0..<bytes.byteCount {
                    target.storeBytes(
                        of: bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self), toByteOffset: i, as: UInt8.self)
                }
            }
        }
        return Tensor(layout, in: buffer, offset: offset)
    }
}

extension Shape {
    /// Every index, `ne0` fastest.
    public var indices: [ElementIndex] {
        (0..<count).map(element(at:))
    }
}

/// Sum and root mean square in Double, as a measure of a tensor that has nothing to do with the recorder's.
public struct Moments: Equatable {
    public let sum: Double
    public let rms: Double

    public init(_ values: [Float]) {
        sum = values.reduce(0) { $0 + Double($1) }
        rms = (values.reduce(0) { $0 + Double($1) * Double($1) } / Double(max(1, values.count))).squareRoot()
    }
}
