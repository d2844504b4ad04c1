import Tensors

/// What a format tells about its blocks, from which descriptions are made.
struct BlockLayout {
    /// A field, its bytes and what it holds.
    enum Field {
        case half(String, String)
        /// A number that is no F16, with its value in the words.
        case number(String, Int, String)
        case bytes(String, Int, String)
        case sums(String, Int, String)
    }

    /// One integer of a block.
    struct Integer {
        var subtracted = 0
        var isSigned = false
        /// Which digit to base 3 of the bits.
        var digit: ((Int) -> Int)?
        let parts: (Int) -> [BitField]
    }

    /// How weights are stored.
    enum Codes {
        /// An integer each.
        case own(Integer, CodeBook)
        case grid(GridLayout)
    }

    let fields: [Field]
    let formula: String
    var legend: String?
    let codes: Codes
    /// The bits of d where it has no field.
    var scale: [BitField]?
    /// The scale and minimum of a sub-block in units of the super-block.
    var subScale: Integer?
    /// What the formula makes of the scale's integer.
    var subScaleTerm: (StoredInteger) -> String = { $0.term }
    var subMinimum: Integer?

    /// Codes that are multiplied as they are, or less a number.
    init(
        fields: [Field], formula: String, codes: ClosedRange<Int>, code: Integer, subScale: Integer? = nil,
        subMinimum: Integer? = nil
    ) {
        (self.fields, self.formula) = (fields, formula)
        self.codes = .own(code, CodeBook(codes, subtracted: code.subtracted))
        (self.subScale, self.subMinimum) = (subScale, subMinimum)
    }

    /// Codes that stand for the values of a table, which is T in the formula.
    init(
        fields: [Field], formula: String, table: [Int], code: Integer, subScale: Integer? = nil,
        subScaleTerm: @escaping (StoredInteger) -> String = { $0.term }
    ) {
        (self.fields, self.formula, self.subScale, self.subScaleTerm) = (fields, formula, subScale, subScaleTerm)
        legend = "T: " + table.map(String.init).joined(separator: ", ")
        codes = .own(code, CodeBook(table: table))
    }

    /// Points of a grid, whose values are g in the formula.
    init(
        fields: [Field], formula: String, legend: String, grid: GridLayout, scale: [BitField]? = nil,
        subScale: Integer, subScaleTerm: @escaping (StoredInteger) -> String
    ) {
        (self.fields, self.formula, self.legend, codes) = (fields, formula, legend, .grid(grid))
        (self.scale, self.subScale, self.subScaleTerm) = (scale, subScale, subScaleTerm)
    }
}

extension StoredInteger {
    /// `12`, or `(12 - 8)`.
    var term: String { subtracted == 0 ? "\(code)" : "(\(code) - \(subtracted))" }

    fileprivate init(_ layout: BlockLayout.Integer, _ index: Int, of block: RawSpan) {
        self.init(
            layout.parts(index), of: block, subtracted: layout.subtracted, isSigned: layout.isSigned,
            digit: layout.digit?(index))
    }
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
        let subs = scales.subScales.indices.map { sub in
            let scaleCode = layout.subScale.map { StoredInteger($0, sub, of: block) }
            return BlockDescription.SubBlock(
                elements: length * sub..<length * (sub + 1), scale: scales.subScales[sub],
                minimum: scales.subMinima.isEmpty ? nil : scales.subMinima[sub], scaleCode: scaleCode,
                minimumCode: layout.subMinimum.map { StoredInteger($0, sub, of: block) },
                scaleTerm: scaleCode.map(layout.subScaleTerm))
        }
        func element(_ index: Int, code: Int, factor: Float, _ stored: StoredInteger) -> BlockDescription.Element {
            let sub = index / length
            return .init(
                code: code, factor: factor, stored: stored, sub: sub, value: scales.value(factor, sub: sub))
        }
        var points: [GridPoint] = []
        let (book, elements): (CodeBook, [BlockDescription.Element])
        switch layout.codes {
        case .own(let code, let codes):
            book = codes
            elements = (0..<type.blockElements).map { index in
                let stored = StoredInteger(code, index, of: block)
                let factor = codes.table.map { $0[stored.code] } ?? stored.factor
                return element(index, code: stored.code, factor: Float(factor), stored)
            }
        case .grid(let grid):
            book = grid.book
            points = (0..<type.blockElements / 8).map { grid.point($0, of: block) }
            elements = (0..<type.blockElements).map { index in
                let (point, inPoint) = (points[index / 8], index % 8)
                return element(
                    index, code: point.code(inPoint), factor: grid.factor(point, inPoint),
                    point.indices[inPoint * point.indices.count / 8])
            }
        }
        let bytes = block.array
        return BlockDescription(
            type: type, bytes: bytes, fields: layout.fields.described(bytes), formula: layout.formula,
            legend: layout.legend, scales: scales, scaleBits: layout.scale.map { StoredInteger($0, of: block) },
            subBlocks: subs, book: book, elements: elements, points: points)
    }

    /// A number that stands for itself.
    func describe(plain block: RawSpan, value: Float, formula: String, meaning: String) -> BlockDescription {
        let parts = (0..<type.blockBytes).map { BitField($0, offset: 8 * $0) }
        let (bytes, stored) = (block.array, StoredInteger(parts, of: block))
        return BlockDescription(
            type: type, bytes: bytes,
            fields: [
                .init(
                    name: "x", content: .integers, range: 0..<bytes.count, bytes: bytes,
                    meaning: "\(meaning): \(value)")
            ],
            formula: formula, legend: nil, scales: .none, scaleBits: nil,
            subBlocks: [
                .init(
                    elements: 0..<1, scale: nil, minimum: nil, scaleCode: nil, minimumCode: nil, scaleTerm: nil)
            ],
            book: CodeBook(numbersOfBits: 8 * bytes.count),
            elements: [.init(code: stored.code, factor: nil, stored: stored, sub: 0, value: value)], points: [])
    }
}

extension [BlockLayout.Field] {
    /// The fields one after the other, with their bytes.
    fileprivate func described(_ bytes: [UInt8]) -> [BlockDescription.Field] {
        var start = 0
        return map { field in
            let (name, content, count, meaning) = field.parts
            defer { start += count }
            let own = Array<UInt8>(bytes[start..<start + count])
            var words = meaning
            if case .half = field {
                let bits = UInt16(own[0]) | UInt16(own[1]) << 8
                words += ", F16 0x\(hex(Int(bits), digits: 4)) = \(Half.float(f16: bits))"
            }
            return .init(name: name, content: content, range: start..<start + count, bytes: own, meaning: words)
        }
    }
}

extension BlockLayout.Field {
    fileprivate var parts: (name: String, content: BlockDescription.Field.Content, count: Int, meaning: String) {
        switch self {
        case .half(let name, let meaning): (name, .number, 2, meaning)
        case .number(let name, let count, let meaning): (name, .number, count, meaning)
        case .bytes(let name, let count, let meaning): (name, .integers, count, meaning)
        case .sums(let name, let count, let meaning): (name, .sums, count, meaning)
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
