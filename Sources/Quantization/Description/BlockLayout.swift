import Tensors

/// What a format tells about its blocks, from which descriptions are made.
struct BlockLayout {
    /// A field, its bytes and what it holds.
    enum Field {
        case half(String, String)
        case bytes(String, Int, String)
    }

    /// One integer of a block.
    struct Integer {
        var subtracted = 0
        var isSigned = false
        let parts: (Int) -> [BitField]
    }

    let fields: [Field]
    let formula: String
    let codes: ClosedRange<Int>
    /// The code of a weight.
    let code: Integer
    /// The scale and minimum of a sub-block in units of the super-block.
    var subScale: Integer?
    var subMinimum: Integer?
}

extension DescribableFormat {
    /// The block as a value.
    func load(_ block: RawSpan) -> Block {
        precondition(block.byteCount == type.blockBytes, "\(block.byteCount) bytes for one block of \(type)")
        return block.unsafeLoadUnaligned(as: Block.self)
    }

    /// A block of codes, scales and minima.
    func describe(_ block: RawSpan, _ layout: BlockLayout) -> BlockDescription {
        let scales = scales(block)
        let length = type.blockElements / scales.subScales.count
        func integer(_ layout: BlockLayout.Integer, _ index: Int) -> StoredInteger {
            StoredInteger(
                layout.parts(index), of: block, subtracted: layout.subtracted, isSigned: layout.isSigned)
        }
        let subs = scales.subScales.indices.map { sub in
            BlockDescription.SubBlock(
                elements: length * sub..<length * (sub + 1), scale: scales.subScales[sub],
                minimum: scales.subMinima.isEmpty ? nil : scales.subMinima[sub],
                scaleCode: layout.subScale.map { integer($0, sub) },
                minimumCode: layout.subMinimum.map { integer($0, sub) })
        }
        let elements = (0..<type.blockElements).map { index in
            let code = integer(layout.code, index)
            return BlockDescription.Element(
                code: code, sub: index / length, value: scales.value(code.factor, sub: index / length))
        }
        let bytes = block.array
        return BlockDescription(
            type: type, bytes: bytes, fields: layout.fields.described(bytes), formula: layout.formula, scales: scales,
            subBlocks: subs, codes: layout.codes, elements: elements)
    }

    /// A number that stands for itself.
    func describe(plain block: RawSpan, value: Float, formula: String, meaning: String) -> BlockDescription {
        let parts = (0..<type.blockBytes).map { BitField($0, place: 8 * $0) }
        let bytes = block.array
        return BlockDescription(
            type: type, bytes: bytes,
            fields: [.init(name: "x", range: 0..<bytes.count, bytes: bytes, meaning: "\(meaning): \(value)")],
            formula: formula, scales: .none,
            subBlocks: [.init(elements: 0..<1, scale: nil, minimum: nil, scaleCode: nil, minimumCode: nil)],
            codes: 0...(1 << (8 * bytes.count) - 1),
            elements: [.init(code: StoredInteger(parts, of: block), sub: 0, value: value)])
    }
}

extension [BlockLayout.Field] {
    /// The fields one after the other, with their bytes.
    fileprivate func described(_ bytes: [UInt8]) -> [BlockDescription.Field] {
        var start = 0
        return map { field in
            switch field {
            case .half(let name, let meaning):
                let bits = UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8
                defer { start += 2 }
                return .init(
                    name: name, range: start..<start + 2, bytes: Array<UInt8>(bytes[start..<start + 2]),
                    meaning: "\(meaning), F16 0x\(hex(Int(bits), digits: 4)) = \(Half.float(f16: bits))")
            case .bytes(let name, let count, let meaning):
                defer { start += count }
                return .init(
                    name: name, range: start..<start + count, bytes: Array<UInt8>(bytes[start..<start + count]),
                    meaning: meaning)
            }
        }
    }
}

extension RawSpan {
    fileprivate var array: [UInt8] {
        (0..<byteCount).map { unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}

/// Hexadecimal with leading zeros.
func hex(_ value: Int, digits: Int = 2) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
