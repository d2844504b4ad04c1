import Tensors

/// The value types of GGUF metadata, by their id in the file.
public enum GGUFValueType: UInt32, CaseIterable, Sendable {
    case uint8 = 0
    case int8 = 1
    case uint16 = 2
    case int16 = 3
    case uint32 = 4
    case int32 = 5
    case float32 = 6
    case bool = 7
    case string = 8
    case array = 9
    case uint64 = 10
    case int64 = 11
    case float64 = 12

    /// The name llama.cpp's tools print.
    public var name: String {
        switch self {
        case .uint8: "u8"
        case .int8: "i8"
        case .uint16: "u16"
        case .int16: "i16"
        case .uint32: "u32"
        case .int32: "i32"
        case .float32: "f32"
        case .bool: "bool"
        case .string: "str"
        case .array: "arr"
        case .uint64: "u64"
        case .int64: "i64"
        case .float64: "f64"
        }
    }

    /// Bytes of one value in the file; `nil` for strings and arrays, whose length is stored with them.
    public var byteCount: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }
}

/// One metadata value, with the type it has in the file.
public enum GGUFValue: Sendable, Hashable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case bool(Bool)
    case string(String)
    case array(GGUFArray)
    case uint64(UInt64)
    case int64(Int64)
    case float64(Double)

    /// The type that the value has in the file.
    public var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    /// The value of any integer type, if it fits `Int`.
    public var integer: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(value)
        default: nil
        }
    }

    /// The value of either float type.
    public var number: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        default: nil
        }
    }

    /// The text of a string; `nil` for other types.
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    /// The value of a bool; `nil` for other types.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The values of an array; `nil` for other types.
    public var array: GGUFArray? { if case .array(let value) = self { value } else { nil } }
}

extension GGUFValue {
    /// Decodes a value of any type but array, as it lies in a file.
    ///
    /// - Precondition: the value lies within `bytes` at `offset`. The reader has checked.
    init(_ type: GGUFValueType, _ bytes: RawSpan, at offset: Int) {
        switch type {
        case .uint8: self = .uint8(bytes.littleEndian(UInt8.self, at: offset))
        case .int8: self = .int8(bytes.littleEndian(Int8.self, at: offset))
        case .uint16: self = .uint16(bytes.littleEndian(UInt16.self, at: offset))
        case .int16: self = .int16(bytes.littleEndian(Int16.self, at: offset))
        case .uint32: self = .uint32(bytes.littleEndian(UInt32.self, at: offset))
        case .int32: self = .int32(bytes.littleEndian(Int32.self, at: offset))
        case .float32: self = .float32(Float(bitPattern: bytes.littleEndian(UInt32.self, at: offset)))
        case .bool: self = .bool(bytes.littleEndian(UInt8.self, at: offset) != 0)
        case .uint64: self = .uint64(bytes.littleEndian(UInt64.self, at: offset))
        case .int64: self = .int64(bytes.littleEndian(Int64.self, at: offset))
        case .float64: self = .float64(Double(bitPattern: bytes.littleEndian(UInt64.self, at: offset)))
        case .string:
            let length = Int(bytes.littleEndian(UInt64.self, at: offset))
            self = .string(String(bytes.extracting(offset + 8..<offset + 8 + length)))
        case .array: preconditionFailure("arrays are not values of arrays")
        }
    }
}
